/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two configurations. See conf.h. */
#include <string.h>

#include "conf/conf.h"
#include "conf/options.h"

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_list(char *const *a, char *const *b)
{
    for (; *a && *b; a++, b++)
        if (strcmp(*a, *b) != 0)
            return false;
    return !*a && !*b;
}

static bool same_value(const struct option *option, const void *a, const void *b)
{
    switch (option->type) {
    case OPTION_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case OPTION_INT:
        return *(const int *)a == *(const int *)b;
    case OPTION_LIST:
    case OPTION_MULTI:
        return same_list(*(char **const *)a, *(char **const *)b);
    case OPTION_OTHERS:
        return true;
    case OPTION_STRING:
        break;
    }
    return same_text(*(char *const *)a, *(char *const *)b);
}

void conf_compare(const struct conf *a, const struct conf *b,
                  void (*differs)(void *arg, const char *group, const char *name), void *arg)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (!same_value(option, (const char *)a + option->offset, (const char *)b + option->offset))
            differs(arg, option->group, option->name);
    }
}
