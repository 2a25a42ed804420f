/* SPDX-License-Identifier: Apache-2.0 */
/* The transport URLs and what their queries change. */
#pragma once

#include "conf/conf.h"
#include "conf/lookup.h"

/*
 * Parses both transport URLs and applies the query of each to [oslo_messaging_rabbit] as the files
 * have it (oslo_messaging._drivers.common.ConfigOptsProxy): values are converted and checked as the
 * option's are. The options must be loaded.
 */
int load_transports(struct lookup *lookup, struct conf *conf, struct error *err);
