/* SPDX-License-Identifier: Apache-2.0 */
/* See rpc_version.h. */
#include "amqp/rpc_version.h"

#include <errno.h>
#include <stdlib.h>

/* The sizes of a parsed version; components oslo compares as integers. */
static bool parse_version(const char *text, long parts[3])
{
    parts[0] = parts[1] = parts[2] = 0;
    for (int i = 0; i < 3; i++) {
        char *end;
        if (*text < '0' || *text > '9')
            return false;
        errno = 0;
        parts[i] = strtol(text, &end, 10);
        if (errno != 0)
            return false;
        if (*end == '\0')
            return i > 0;
        if (*end != '.')
            return false;
        text = end + 1;
    }
    return false;
}

bool rpc_version_is_compatible(const char *implemented, const char *requested)
{
    long have[3];
    long want[3];
    if (!parse_version(implemented, have) || !parse_version(requested, want))
        return false;
    if (want[0] != have[0] || want[1] > have[1])
        return false;
    return want[1] != have[1] || want[2] <= have[2];
}

bool rpc_version_is_served(const char *const *implemented, const char *requested)
{
    for (; *implemented; implemented++)
        if (rpc_version_is_compatible(*implemented, requested))
            return true;
    return false;
}
