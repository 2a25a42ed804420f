/* SPDX-License-Identifier: Apache-2.0 */
/* See blank.h. Source: Unicode's White_Space, and the separators \x1c to \x1f that Python adds. */
#include "conf/blank.h"

#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"

static const char *const wide_blanks[] = {
    "\xc2\x85", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
    "\u2004",   "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
    "\u2028",   "\u2029", "\u202f", "\u205f", "\u3000",
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= '\x1f');
}

/* The length of the blank there, 0 if there is none. */
static size_t find_blank(const char *text, size_t length, bool at_end)
{
    if (length > 0 && is_blank(at_end ? text[length - 1] : text[0]))
        return 1;
    for (size_t i = 0; i < ARRAY_SIZE(wide_blanks); i++) {
        size_t size = strlen(wide_blanks[i]);
        if (length >= size &&
            memcmp(at_end ? text + length - size : text, wide_blanks[i], size) == 0)
            return size;
    }
    return 0;
}

size_t blank_at_start(const char *text, size_t length)
{
    size_t used = 0, size;
    while ((size = find_blank(text + used, length - used, false)) > 0)
        used += size;
    return used;
}

size_t blank_at_end(const char *text, size_t length)
{
    size_t used = 0, size;
    while ((size = find_blank(text, length - used, true)) > 0)
        used += size;
    return used;
}

const char *blank_trim(const char *text, size_t *length)
{
    size_t start = blank_at_start(text, *length);
    *length -= start;
    *length -= blank_at_end(text + start, *length);
    return text + start;
}
