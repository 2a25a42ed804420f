/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that was assigned, by files and the environment, in the order it was read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct assignment {
    char *group; /* "" = of the environment */
    char *name;
    char *value; /* lines of a continued value are joined with '\n' */
    unsigned file;
    unsigned line;
};

struct assignments {
    struct assignment *items;
    size_t n;
    char **files; /* names by number */
    unsigned n_files;
};

/* Starts a file (or what stands for one): what is added from now on is of it. */
int assignments_start_file(struct assignments *assignments, const char *name, struct error *err);

/* Copies the group; takes name and value on success. */
int assignments_add(struct assignments *assignments, const char *group, char *name, char *value,
                    unsigned line, struct error *err);

/* Values are cleared. */
void assignments_done(struct assignments *assignments);

/* True when both name the same group: oslo folds the case of all but DEFAULT. */
bool assignments_same_group(const char *a, const char *b);

/* The last assignment of one name in one file, NULL if there is none. */
const struct assignment *assignments_find(const struct assignments *assignments, unsigned file,
                                          const char *group, const char *name);

/* The same of an option in the environment: OS_GROUP__OPTION. */
const struct assignment *assignments_find_in_environment(const struct assignments *assignments,
                                                         const char *group, const char *name);

/* Adds what is named OS_GROUP__OPTION in the environment (oslo_config.sources._environment). */
int assignments_read_environment(struct assignments *assignments, struct error *err);
