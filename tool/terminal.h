/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal somebody sits before. Its size is that of now: ask again before what is written
 * next. */
#pragma once

#include <stdbool.h>

struct terminal {
    bool goes_back;   /* it is one, and goes back over what was written when it is told to */
    unsigned columns; /* to be written in, or what is good where there is no terminal that says */
    unsigned rows;
};

struct terminal terminal_look(int fd);
