/* SPDX-License-Identifier: Apache-2.0 */
/* One option: from what is assigned to it to its field. See conf.h for the whole. */
#pragma once

#include "conf/lookup.h"
#include "conf/origins.h"

/* convert_store(), with a warning where another number is stored. */
int load_option_store(const struct lookup *lookup, const struct option *option, const char *text,
                      void *field, struct error *err);

/*
 * Fills `field` with the default, then with what counts for the option, and notes its origin. The
 * error names file and line.
 */
int load_option(struct lookup *lookup, const struct option *option, void *field,
                struct conf_origins *origins, enum origins_set set, struct error *err);
