/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of strings that end with NULL, as options have them. NULL is taken for an empty list. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

size_t string_list_length(const char *const *list);

/* Returns owned, also of an empty list: string_list_free(). False when out of memory. */
bool string_list_copy(const char *const *list, char ***ret_copy);

void string_list_free(char **list); /* NULL-safe */
