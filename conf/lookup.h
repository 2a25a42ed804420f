/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is assigned to an option, and what "$name" in it stands for: oslo_config.cfg's ConfigOpts.
 * Not thread-safe.
 */
#pragma once

#include "common/log.h"
#include "conf/assignments.h"
#include "conf/installed.h"
#include "conf/options.h"

struct lookup {
    struct assignments in; /* files, then the environment */
    struct installed installed;
    const char *plugin_group; /* where the auth plugin's options are; NULL = in their own */
    const char *group;        /* of the value that is being substituted */
    unsigned depth;
    bool is_quiet; /* all this warns of has been said before */
};

#define lookup_warning(lookup, ...) ((lookup)->is_quiet ? (void)0 : log_warning(__VA_ARGS__))

/* The group in which an option is looked for. */
const char *lookup_group(const struct lookup *lookup, const struct option *option);

/*
 * What counts for an option: the environment, then later files before earlier ones, and in one file
 * the current name before the deprecated ones. NULL when nothing is assigned.
 */
const struct assignment *lookup_find(const struct lookup *lookup, const struct option *option);

/* The `place`-th name of an option, its own first; NULL when there is no more, or it is dropped. */
struct option_name lookup_name(const struct lookup *lookup, const struct option *option,
                               size_t place);

#define LOOKUP_DEFAULT_MAX 4096

/* The default of the installed release, in `buffer` where it is found out; NULL = none. */
const char *lookup_default(const struct lookup *lookup, const struct option *option,
                           char buffer[static LOOKUP_DEFAULT_MAX]);

/* Replaces the names in the text of an option of `group`. Returns owned. */
int lookup_substitute(struct lookup *lookup, const char *group, const char *text, char **ret_text,
                      struct error *err);
