/* SPDX-License-Identifier: Apache-2.0 */
/* See host_check.h. */
#include "agent/host_check.h"

#include <stdarg.h>
#include <stdio.h>

void host_check_tell(struct host_fact *fact, const char *format, ...)
{
    va_list args;
    if (!fact)
        return;
    va_start(args, format);
    (void)vsnprintf(fact->text, sizeof(fact->text), format, args);
    va_end(args);
}

void host_check_warn(struct host_fact *fact, const char *format, ...)
{
    va_list args;
    if (!fact)
        return;
    fact->is_warning = true;
    va_start(args, format);
    (void)vsnprintf(fact->text, sizeof(fact->text), format, args);
    va_end(args);
}
