/* SPDX-License-Identifier: Apache-2.0 */
/* Copying the text of an option that may not be given. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * An owned copy of `text`, or of `fallback` when it is NULL or ""; *ret_copy is NULL when both are.
 * False when out of memory.
 */
static inline bool option_text_copy(const char *text, const char *fallback, char **ret_copy)
{
    if (!text || text[0] == '\0')
        text = fallback;
    *ret_copy = text ? strdup(text) : NULL;
    return !text || *ret_copy;
}
