/* See convert.h. */
#include "conf/convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/secret.h"

#define LIST_MAX 256

static void *field(const struct option *option, struct conf *conf)
{
    return (char *)conf + option->offset;
}

static int store_string(const struct option *option, const char *text, char **to, struct error *err)
{
    char wanted[256];
    if (option->choices) {
        int n = snprintf(wanted, sizeof(wanted), "|%s|", text);
        if (n < 0 || (size_t)n >= sizeof(wanted) || strchr(text, '|') ||
            !strstr(option->choices, wanted))
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "'%s' is none of %.*s", text,
                             (int)strlen(option->choices) - 2, option->choices + 1);
    }
    char *copy = strdup(text);
    if (!copy)
        return error_nomem(err);
    secret_free(*to);
    *to = copy;
    return 0;
}

static int store_bool(const char *text, bool *to, struct error *err)
{
    static const char *const yes[] = {"true", "1", "on", "yes"};
    static const char *const no[] = {"false", "0", "off", "no"};
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *to = strcasecmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "'%s' is no boolean (true, 1, on, yes, false, 0, off, no)", text);
}

/* An empty number is an unset one, as in oslo. */
static int store_int(const struct option *option, const char *text, int *to, struct error *err)
{
    char *end;
    if (text[strspn(text, " \t\n")] == '\0')
        return 0;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < option->min || value > option->max)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "'%s' is no whole number from %d to %d",
                         text, option->min, option->max);
    *to = (int)value;
    return 0;
}

static size_t list_length(char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

static int list_add(char ***list, const char *text, size_t length, struct error *err)
{
    size_t n = list_length(*list);
    if (n == LIST_MAX)
        return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "more than %d items", LIST_MAX);
    char *item = strndup(text, length);
    char **grown = item ? reallocarray(*list, n + 2, sizeof(*grown)) : NULL;
    if (!grown) {
        free(item);
        return error_nomem(err);
    }
    grown[n] = item;
    grown[n + 1] = NULL;
    *list = grown;
    return 0;
}

static int store_list(const char *text, char ***to, struct error *err)
{
    char **list = calloc(1, sizeof(*list));
    if (!list)
        return error_nomem(err);
    size_t end = strlen(text);
    while (end > 0 && strchr(" \t\n,", text[end - 1]))
        end--;
    int r = 0;
    for (size_t at = 0; r == 0 && at < end;) {
        size_t length = strcspn(text + at, ",");
        if (at + length > end)
            length = end - at;
        const char *item = text + at;
        size_t item_length = length;
        while (item_length > 0 && strchr(" \t\n", *item)) {
            item++;
            item_length--;
        }
        while (item_length > 0 && strchr(" \t\n", item[item_length - 1]))
            item_length--;
        r = list_add(&list, item, item_length, err);
        at += length + 1;
    }
    if (r < 0) {
        free_list(list);
        return r;
    }
    free_list(*to);
    *to = list;
    return 0;
}

int convert_store(const struct option *option, const char *text, struct conf *conf,
                  struct error *err)
{
    switch (option->type) {
    case OPTION_BOOL:
        return store_bool(text, field(option, conf), err);
    case OPTION_INT:
        return store_int(option, text, field(option, conf), err);
    case OPTION_LIST:
        return store_list(text, field(option, conf), err);
    case OPTION_MULTI:
        return list_add(field(option, conf), text, strlen(text), err);
    case OPTION_STRING:
        break;
    }
    return store_string(option, text, field(option, conf), err);
}

void convert_free(const struct option *option, struct conf *conf)
{
    if (option->type == OPTION_STRING)
        secret_free(*(char **)field(option, conf));
    else if (option->type == OPTION_LIST || option->type == OPTION_MULTI)
        free_list(*(char ***)field(option, conf));
}

int convert_clear(const struct option *option, struct conf *conf, struct error *err)
{
    if (option->type == OPTION_LIST || option->type == OPTION_MULTI)
        return store_list("", field(option, conf), err);
    return 0;
}
