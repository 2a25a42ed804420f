/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an option that may not be given. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* NULL and "" are not. */
static inline bool option_text_is_given(const char *text)
{
    return text && text[0] != '\0';
}

/*
 * An owned copy of `text`, or of `fallback` when it is not given; *ret_copy is NULL when both are
 * NULL. False when out of memory.
 */
static inline bool option_text_copy(const char *text, const char *fallback, char **ret_copy)
{
    const char *given = option_text_is_given(text) ? text : fallback;
    *ret_copy = given ? strdup(given) : NULL;
    return !given || *ret_copy;
}
