/* SPDX-License-Identifier: Apache-2.0 */
/* What real peers put on the bus, in data/. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

/* The file's bytes without the newline at its end, on the heap without a terminating NUL, so that
 * a sanitizer sees every read beyond. */
static inline char *read_vector(const char *name, size_t *ret_length)
{
    char path[128];
    static char text[65536];
    (void)snprintf(path, sizeof(path), "tests/unit/amqp/data/%s", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    while (length > 0 && text[length - 1] == '\n')
        length--;
    char *copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, text, length);
    *ret_length = length;
    return copy;
}
