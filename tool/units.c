/* SPDX-License-Identifier: Apache-2.0 */
/* See units.h. */
#include "tool/units.h"

#include <inttypes.h>
#include <stdio.h>

#define LONGEST_S 3.6e7 /* ten thousand hours */

static struct units_text with_unit(uint64_t bytes, const char *behind)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    struct units_text text;
    double number = (double)bytes;
    unsigned unit = 0;
    for (; number >= 1023.95 && unit < 4; unit++)
        number /= 1024;
    (void)snprintf(text.text, sizeof(text.text), "%.*f %s%s", unit == 0 ? 0 : 1, number,
                   units[unit], behind);
    return text;
}

struct units_text units_bytes(uint64_t bytes)
{
    return with_unit(bytes, "");
}

struct units_text units_rate(uint64_t bytes_per_s)
{
    return with_unit(bytes_per_s, "/s");
}

struct units_text units_time(double seconds)
{
    struct units_text text = {.text = "-"};
    if (seconds < 0 || seconds > LONGEST_S)
        return text;
    unsigned s = (unsigned)seconds;
    if (s < 60)
        (void)snprintf(text.text, sizeof(text.text), "%u s", s);
    else if (s < 3600)
        (void)snprintf(text.text, sizeof(text.text), "%u:%02u", s / 60, s % 60);
    else
        (void)snprintf(text.text, sizeof(text.text), "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    return text;
}

struct units_text units_limit(int64_t mib)
{
    struct units_text text = {.text = "none"};
    if (mib > 0)
        (void)snprintf(text.text, sizeof(text.text), "%" PRId64 " MiB/s", mib);
    return text;
}
