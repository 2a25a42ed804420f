/* SPDX-License-Identifier: Apache-2.0 */
/* What Python's str.strip() takes away: more than C's blanks, as pasted text may have it. */
#pragma once

#include <stddef.h>

/* Bytes of white space at the start or the end of `length` bytes of UTF-8. */
size_t blank_at_start(const char *text, size_t length);
size_t blank_at_end(const char *text, size_t length);

/* Both ends. Returns where it starts and the rest's length. */
const char *blank_trim(const char *text, size_t *length);
