/* SPDX-License-Identifier: Apache-2.0 */
/* See text.h. */
#include "common/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The bytes of the character at `text`, 0 when it is none (RFC 3629). */
static size_t character_bytes(const unsigned char *text)
{
    size_t n = text[0] < 0x80   ? 1
               : text[0] < 0xc2 ? 0
               : text[0] < 0xe0 ? 2
               : text[0] < 0xf0 ? 3
                                : 4;
    if (text[0] > 0xf4 || (text[0] == 0xe0 && text[1] < 0xa0) ||
        (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf0 && text[1] < 0x90) ||
        (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80) /* the end is none, either */
            return 0;
    return n;
}

/* Where it was cut off: a beginning, and then nothing. */
static bool is_cut_character(const unsigned char *text)
{
    size_t n = 1;
    while ((text[n] & 0xc0) == 0x80)
        n++;
    return text[n] == '\0' && text[0] >= 0xc2 && n < (text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4);
}

static bool is_control(const unsigned char *text, size_t n)
{
    return text[0] < ' ' || text[0] == 0x7f || (n == 2 && text[0] == 0xc2 && text[1] < 0xa0);
}

/* JSON takes nothing else, and a log line is one line. */
void text_make_whole(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c != '\0';) {
        size_t n = character_bytes(c);
        if (n == 0 && is_cut_character(c)) {
            *c = '\0';
            return;
        }
        if (n == 0)
            *c = '?';
        else if (is_control(c, n))
            memset(c, ' ', n);
        c += n == 0 ? 1 : n;
    }
}
