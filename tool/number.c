/* SPDX-License-Identifier: Apache-2.0 */
/* See number.h. */
#include "tool/number.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool number_read(const char *option, const char *text, int min, int max, int *ret_number)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && number >= min && number <= max) {
        *ret_number = (int)number;
        return true;
    }
    (void)fprintf(stderr, "nova-snapshot: --%s is a number from %d to %d\n", option, min, max);
    return false;
}
