/* SPDX-License-Identifier: Apache-2.0 */
/* See string_list.h. */
#include "common/string_list.h"

#include <stdlib.h>
#include <string.h>

size_t string_list_length(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

bool string_list_copy(const char *const *list, char ***ret_copy)
{
    size_t n = string_list_length(list);
    char **copy = calloc(n + 1, sizeof(*copy));
    if (!copy)
        return false;
    for (size_t i = 0; i < n; i++) {
        copy[i] = strdup(list[i]);
        if (!copy[i]) {
            string_list_free(copy);
            return false;
        }
    }
    *ret_copy = copy;
    return true;
}

void string_list_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}
