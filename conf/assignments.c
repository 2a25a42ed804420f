/* SPDX-License-Identifier: Apache-2.0 */
/* See assignments.h. */
#include "conf/assignments.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/secret.h"

#define ASSIGNMENTS_MAX 20000
#define ENVIRONMENT_NAME_MAX 256

int assignments_start_file(struct assignments *assignments, const char *name, struct error *err)
{
    char **files = reallocarray(assignments->files, assignments->n_files + 1, sizeof(*files));
    if (!files)
        return error_nomem(err);
    assignments->files = files;
    files[assignments->n_files] = strdup(name);
    if (!files[assignments->n_files])
        return error_nomem(err);
    assignments->n_files++;
    return 0;
}

int assignments_add(struct assignments *assignments, const char *group, char *name, char *value,
                    unsigned line, struct error *err)
{
    if (assignments->n >= ASSIGNMENTS_MAX)
        return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "more than %d options are set",
                         ASSIGNMENTS_MAX);
    struct assignment *items = reallocarray(assignments->items, assignments->n + 1, sizeof(*items));
    if (!items)
        return error_nomem(err);
    assignments->items = items;
    char *copy = strdup(group);
    if (!copy)
        return error_nomem(err);
    items[assignments->n++] = (struct assignment){
        .group = copy,
        .name = name,
        .value = value,
        .file = assignments->n_files - 1,
        .line = line,
    };
    return 0;
}

void assignments_done(struct assignments *assignments)
{
    for (size_t i = 0; i < assignments->n; i++) {
        struct assignment *item = &assignments->items[i];
        free(item->group);
        free(item->name);
        secret_free(item->value);
    }
    for (unsigned i = 0; i < assignments->n_files; i++)
        free(assignments->files[i]);
    free(assignments->items);
    free(assignments->files);
    *assignments = (struct assignments){0};
}

bool assignments_same_group(const char *a, const char *b)
{
    return strcmp(a, b) == 0 || (strcmp(b, "DEFAULT") != 0 && strcasecmp(a, b) == 0);
}

const struct assignment *assignments_find(const struct assignments *assignments, unsigned file,
                                          const char *group, const char *name)
{
    for (size_t i = assignments->n; i > 0; i--) {
        const struct assignment *item = &assignments->items[i - 1];
        if (item->file == file && assignments_same_group(item->group, group) &&
            strcmp(item->name, name) == 0)
            return item;
    }
    return NULL;
}

const struct assignment *assignments_find_in_environment(const struct assignments *assignments,
                                                         const char *group, const char *name)
{
    char wanted[ENVIRONMENT_NAME_MAX];
    int n = snprintf(wanted, sizeof(wanted), "OS_%s__%s", group, name);
    if (n < 0 || (size_t)n >= sizeof(wanted))
        return NULL;
    for (char *c = wanted; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    for (size_t i = 0; i < assignments->n; i++) {
        const struct assignment *item = &assignments->items[i];
        if (item->group[0] == '\0' && strcmp(item->name, wanted) == 0)
            return item;
    }
    return NULL;
}

static int add_variable(struct assignments *assignments, const char *variable, struct error *err)
{
    const char *equals = strchr(variable, '=');
    const char *separator = strstr(variable, "__");
    if (strncmp(variable, "OS_", 3) != 0 || !equals || !separator || separator > equals)
        return 0;
    char *name = strndup(variable, (size_t)(equals - variable));
    char *value = strdup(equals + 1);
    int r =
        name && value ? assignments_add(assignments, "", name, value, 0, err) : error_nomem(err);
    if (r < 0) {
        free(name);
        secret_free(value);
    }
    return r;
}

int assignments_read_environment(struct assignments *assignments, struct error *err)
{
    int r = assignments_start_file(assignments, "environment", err);
    if (r < 0)
        return r;
    for (char *const *variable = environ; *variable; variable++) {
        r = add_variable(assignments, *variable, err);
        if (r < 0)
            return r;
    }
    return 0;
}
