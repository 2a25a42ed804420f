/* SPDX-License-Identifier: Apache-2.0 */
/* A bar that shows how far something is. */
#pragma once

#include <stdio.h>

struct bar {
    const char *before, *behind; /* what stands there, in the same line; borrowed */
    unsigned percent;            /* at most 100 */
};

/* In `columns`, if that leaves it a few; without an end of the line. */
void bar_write(const struct bar *bar, unsigned columns, FILE *out);

/* Those of the terminal behind `fd`, or what is good where there is none that says. */
unsigned bar_columns(int fd);
