/* SPDX-License-Identifier: Apache-2.0 */
/* See convert.h. */
#include "conf/convert.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/string_list.h"
#include "conf/blank.h"

#define LIST_MAX 256

/* A string is one of the choices, if there are any; so is each item of a list. */
static int check_choice(const struct option *option, const char *text, struct error *err)
{
    char wanted[256];
    if (!option->choices)
        return 0;
    int n = snprintf(wanted, sizeof(wanted), "|%s|", text);
    if (n >= 0 && (size_t)n < sizeof(wanted) && !strchr(text, '|') &&
        strstr(option->choices, wanted))
        return 0;
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "'%s' is none of %.*s", text,
                     (int)strlen(option->choices) - 2, option->choices + 1);
}

static int store_string(const struct option *option, const char *text, char **to, struct error *err)
{
    int r = check_choice(option, text, err);
    if (r < 0)
        return r;
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

/* The digits as Python's int() takes them: "+1_000" too. False when it is no whole number. */
static bool read_number(const char *text, size_t length, long *ret_value)
{
    char digits[32];
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        bool between = i > 0 && isdigit((unsigned char)text[i - 1]) && i + 1 < length &&
                       isdigit((unsigned char)text[i + 1]);
        if (text[i] == '_' && between)
            continue;
        bool sign = i == 0 && (text[i] == '-' || text[i] == '+');
        if (!isdigit((unsigned char)text[i]) && !sign)
            return false;
        if (used + 1 < sizeof(digits)) /* what is cut off was out of range before */
            digits[used++] = text[i];
    }
    digits[used] = '\0';
    *ret_value = strtol(digits, NULL, 10); /* LONG_MAX when it is too large */
    return used > 0 && isdigit((unsigned char)digits[used - 1]);
}

static int take_limit(int limit, int *to)
{
    *to = limit;
    return 1;
}

/* An empty number is None to oslo: with most of them nova would not start, and the default stays.
 */
static int store_int(const struct option *option, const char *text, int *to, struct error *err)
{
    size_t length = strlen(text);
    long value;
    text = blank_trim(text, &length);
    if (length == 0) {
        *to = option->empty_is_zero ? 0 : *to;
        return 0;
    }
    bool number = read_number(text, length, &value);
    if (number && value > option->max && (option->lax || option->max == INT_MAX))
        return take_limit(option->max, to);
    if (number && value < option->min && option->lax)
        return take_limit(option->min, to);
    if (!number || value < option->min || value > option->max)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "'%.*s' is no whole number from %d to %d",
                         length > 80 ? 80 : (int)length, text, option->min, option->max);
    *to = (int)value;
    return 0;
}

static size_t list_length(char *const *list)
{
    return string_list_length((const char *const *)list);
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

static int store_list(const struct option *option, const char *text, char ***to, struct error *err)
{
    char **list = calloc(1, sizeof(*list));
    if (!list)
        return error_nomem(err);
    size_t length = strlen(text);
    text = blank_trim(text, &length);
    while (length > 0 && text[length - 1] == ',')
        length--;
    int r = 0;
    for (const char *end = text + length; r == 0 && text < end;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t item_length = (size_t)((comma ? comma : end) - text);
        const char *item = blank_trim(text, &item_length);
        r = list_add(&list, item, item_length, err);
        if (r == 0)
            r = check_choice(option, list[list_length(list) - 1], err);
        text = comma ? comma + 1 : end;
    }
    if (r < 0) {
        string_list_free(list);
        return r;
    }
    string_list_free(*to);
    *to = list;
    return 0;
}

int convert_store(const struct option *option, const char *text, void *field, struct error *err)
{
    switch (option->type) {
    case OPTION_BOOL:
        return store_bool(text, field, err);
    case OPTION_INT:
        return store_int(option, text, field, err);
    case OPTION_LIST:
        return store_list(option, text, field, err);
    case OPTION_MULTI:
        return list_add(field, text, strlen(text), err);
    case OPTION_OTHERS:
        return 0;
    case OPTION_STRING:
        break;
    }
    return store_string(option, text, field, err);
}

void convert_free(const struct option *option, void *field)
{
    if (option->type == OPTION_STRING)
        secret_free(*(char **)field);
    else if (option->type == OPTION_LIST || option->type == OPTION_MULTI)
        string_list_free(*(char ***)field);
}

int convert_clear(const struct option *option, void *field, struct error *err)
{
    if (option->type == OPTION_LIST || option->type == OPTION_MULTI)
        return store_list(option, "", field, err);
    return 0;
}
