/* SPDX-License-Identifier: Apache-2.0 */
/* One option: from what is assigned to it to its field. See conf.h for the whole. */
#pragma once

#include "conf/conf.h"
#include "conf/lookup.h"
#include "conf/origins.h"

/*
 * Fills `field` with the default, then with what counts for the option, and notes its origin. The
 * error names file and line.
 */
int load_option(struct lookup *lookup, const struct option *option, void *field,
                struct conf_origins *origins, enum origins_set set, struct error *err);

/*
 * Parses both transport URLs and applies the query of each to [oslo_messaging_rabbit] as the files
 * have it (oslo_messaging._drivers.common.ConfigOptsProxy): values are converted and checked as the
 * option's are. The options must be loaded.
 */
int load_transports(struct lookup *lookup, struct conf *conf, struct error *err);

/* The field of an option of that group in either copy. */
void *load_rabbit_field(struct rabbit_options *rabbit, const struct option *option);
