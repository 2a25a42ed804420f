/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reads text from outside, one program each. With libFuzzer ("make fuzz") it is given texts
 * that were never seen; with replay.c, in the unit tests, those that are kept in corpus/<its name>.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy that ends with NUL. Returns owned. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* A failure has a reason for people to read; a success has none. */
static inline void fuzz_check(int r, const struct error *err)
{
    if ((r < 0) != (err->message[0] != '\0') || (r < 0 && err->errnum != -r))
        abort();
}
