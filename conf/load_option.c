/* SPDX-License-Identifier: Apache-2.0 */
/* See load_option.h. */
#include "conf/load_option.h"

#include <errno.h>
#include <string.h>

#include "common/secret.h"
#include "conf/convert.h"

int load_option_store(const struct lookup *lookup, const struct option *option, const char *text,
                      void *field, struct error *err)
{
    int r = convert_store(option, text, field, err);
    if (r > 0)
        lookup_warning(lookup, "[%s]%s is out of range: %d is used instead", option->group,
                       option->name, *(const int *)field);
    return r < 0 ? r : 0;
}

/* Puts "file:line: [group]name" in front of what is wrong with a value. */
static int blame_option(const struct lookup *lookup, const struct option *option,
                        const struct assignment *item, struct error *err)
{
    if (!item)
        return error_prepend(err, "default of [%s]%s", option->group, option->name);
    if (item->group[0] == '\0')
        return error_prepend(err, "environment: %s", item->name);
    return error_prepend(err, "%s:%u: [%s]%s", lookup->in.files[item->file], item->line,
                         item->group, item->name);
}

static int store_value(struct lookup *lookup, const struct option *option, const char *text,
                       void *field, struct error *err)
{
    char *value;
    int r = lookup_substitute(lookup, lookup_group(lookup, option), text, &value, err);
    if (r < 0 && option->secret) /* part of it may be in the message */
        return error_set(err, err->errnum, EXC_INTERNAL_ERROR,
                         "a $ in it is neither doubled nor that of an option");
    if (r < 0)
        return r;
    r = load_option_store(lookup, option, value, field, err);
    secret_free(value);
    return r;
}

/* In the environment every character is an item, for oslo takes the string for a list. */
static int load_characters(const struct option *option, const char *text, void *field,
                           struct error *err)
{
    while (*text != '\0') {
        char character[8] = {*text++};
        for (size_t i = 1; ((unsigned char)*text & 0xc0) == 0x80 && i + 1 < sizeof(character); i++)
            character[i] = *text++;
        int r = convert_store(option, character, field, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int load_named(struct lookup *lookup, const struct option *option, unsigned file,
                      const struct option_name *name, void *field, struct error *err)
{
    for (size_t i = 0; i < lookup->in.n; i++) {
        const struct assignment *item = &lookup->in.items[i];
        if (item->file != file || strcmp(item->name, name->name) != 0 ||
            !assignments_same_group(item->group, name->group))
            continue;
        int r = store_value(lookup, option, item->value, field, err);
        if (r < 0)
            return blame_option(lookup, option, item, err);
    }
    return 0;
}

/* Every assignment in the files, whatever name it used, the deprecated ones of a file first. */
static int load_multi(struct lookup *lookup, const struct option *option,
                      const struct assignment *last, void *field, struct error *err)
{
    if (last->group[0] == '\0')
        return load_characters(option, last->value, field, err);
    for (unsigned file = 0; file < lookup->in.n_files; file++) {
        for (size_t place = OPTION_ALIASES_MAX + 1; place > 0; place--) {
            struct option_name name = lookup_name(lookup, option, place - 1);
            int r = name.name ? load_named(lookup, option, file, &name, field, err) : 0;
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int load_option(struct lookup *lookup, const struct option *option, void *field,
                struct conf_origins *origins, enum origins_set set, struct error *err)
{
    char buffer[LOOKUP_DEFAULT_MAX];
    int r = convert_clear(option, field, err);
    if (r < 0)
        return r;
    /* The default first: an empty number in a file leaves it standing. */
    const struct assignment *item = lookup_find(lookup, option);
    const char *text = lookup_default(lookup, option, buffer);
    if (text && !(item && option->type == OPTION_MULTI) &&
        store_value(lookup, option, text, field, err) < 0)
        return blame_option(lookup, option, NULL, err);
    if (item && option->type == OPTION_MULTI)
        r = load_multi(lookup, option, item, field, err);
    else if (item && store_value(lookup, option, item->value, field, err) < 0)
        r = blame_option(lookup, option, item, err);
    if (r < 0)
        return r;
    return origins_note(origins, set, option, lookup, item, err);
}
