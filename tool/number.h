/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of the command line. */
#pragma once

#include <stdbool.h>

/* False, and it has said so, when `text` is no whole number from `min` to `max`. */
bool number_read(const char *option, const char *text, int min, int max, int *ret_number);
