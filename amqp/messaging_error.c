/* SPDX-License-Identifier: Apache-2.0 */
/* See messaging_error.h. */
#include "amqp/messaging_error.h"

#include <stdarg.h>
#include <stdio.h>

int messaging_error(struct error *err, int errnum, const char *exc, const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    return error_set_foreign(err, errnum, "oslo_messaging.exceptions", exc, "%s", message);
}
