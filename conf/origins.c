/* SPDX-License-Identifier: Apache-2.0 */
/* See origins.h. */
#include "conf/origins.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define SETS 2

struct conf_origins {
    char **texts; /* by set and the option's place in the table; NULL = the default */
};

int origins_new(struct conf_origins **ret_origins, struct error *err)
{
    struct conf_origins *origins = calloc(1, sizeof(*origins));
    char **texts = calloc(SETS * options_count, sizeof(*texts));
    if (!origins || !texts) {
        free(origins);
        free(texts);
        return error_nomem(err);
    }
    origins->texts = texts;
    *ret_origins = origins;
    return 0;
}

void origins_free(struct conf_origins *origins)
{
    if (!origins)
        return;
    for (size_t i = 0; i < SETS * options_count; i++)
        free(origins->texts[i]);
    free(origins->texts);
    free(origins);
}

static char **place_of(const struct conf_origins *origins, enum origins_set set,
                       const struct option *option)
{
    return &origins->texts[(size_t)set * options_count + (size_t)(option - options_table)];
}

static int note_text(struct conf_origins *origins, enum origins_set set,
                     const struct option *option, struct error *err, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static int note_text(struct conf_origins *origins, enum origins_set set,
                     const struct option *option, struct error *err, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        return error_nomem(err);
    char **place = place_of(origins, set, option);
    free(*place);
    *place = text;
    return 0;
}

int origins_note(struct conf_origins *origins, enum origins_set set, const struct option *option,
                 const struct lookup *lookup, const struct assignment *item, struct error *err)
{
    if (!item)
        return note_text(origins, set, option, err, "default");
    if (item->group[0] == '\0')
        return note_text(origins, set, option, err, "environment: %s", item->name);
    const char *file = lookup->in.files[item->file];
    if (strcmp(item->name, option->name) == 0 && assignments_same_group(item->group, option->group))
        return note_text(origins, set, option, err, "%s:%u", file, item->line);
    return note_text(origins, set, option, err, "%s:%u, [%s]%s", file, item->line, item->group,
                     item->name);
}

int origins_note_query(struct conf_origins *origins, enum origins_set set,
                       const struct option *option, const char *url_option, struct error *err)
{
    return note_text(origins, set, option, err, "query of %s", url_option);
}

const char *origins_get(const struct conf_origins *origins, enum origins_set set,
                        const struct option *option)
{
    const char *text = *place_of(origins, set, option);
    return text ? text : "default";
}
