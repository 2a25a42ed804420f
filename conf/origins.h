/* SPDX-License-Identifier: Apache-2.0 */
/* Where the value of each option is from, in words. */
#pragma once

#include "conf/lookup.h"

struct conf_origins;

/* Two sets: of the options, and of [oslo_messaging_rabbit] as notifications use it. */
enum origins_set { ORIGINS_OPTIONS, ORIGINS_NOTIFICATIONS };

/* Returns owned; all are "default". */
int origins_new(struct conf_origins **ret_origins, struct error *err);

/* NULL-safe. */
void origins_free(struct conf_origins *origins);

/* "file:line", the variable's name, with the deprecated name that was used; NULL = the default. */
int origins_note(struct conf_origins *origins, enum origins_set set, const struct option *option,
                 const struct lookup *lookup, const struct assignment *item, struct error *err);

/* The query of a URL, whose option is named. */
int origins_note_query(struct conf_origins *origins, enum origins_set set,
                       const struct option *option, const char *url_option, struct error *err);

/* Borrowed. */
const char *origins_get(const struct conf_origins *origins, enum origins_set set,
                        const struct option *option);
