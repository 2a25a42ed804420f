/* SPDX-License-Identifier: Apache-2.0 */
/* See status_text.h. */
#include "amqp/status_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "amqp/librabbitmq.h"

const char *status_text_errno(int status, int errnum, char text[static STATUS_TEXT_SIZE])
{
    char of_errno[128];
    const char *what = amqp_error_string2(status);
    bool is_known = status == AMQP_STATUS_SOCKET_ERROR && errnum != 0;
    (void)snprintf(text, STATUS_TEXT_SIZE, "%s%s%s", what, is_known ? ": " : "",
                   is_known ? strerror_r(errnum, of_errno, sizeof(of_errno)) : "");
    return text;
}

const char *status_text(int status, char text[static STATUS_TEXT_SIZE])
{
    return status_text_errno(status, errno, text);
}
