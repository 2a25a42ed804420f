/* SPDX-License-Identifier: Apache-2.0 */
/* A bar that shows how far something is. */
#pragma once

#include <stdio.h>

struct bar {
    const char *before, *behind; /* what stands there, in the same line; borrowed */
    unsigned percent;            /* at most 100 */
};

/* In `columns`: where they are too few even for a short bar, the line is cut. Without its end. */
void bar_write(const struct bar *bar, unsigned columns, FILE *out);
