/* SPDX-License-Identifier: Apache-2.0 */
/* See broker_text.h. */
#include "amqp/broker_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"

void broker_text(uint16_t code, amqp_bytes_t text, char ret_text[BROKER_TEXT_SIZE])
{
    (void)snprintf(ret_text, BROKER_TEXT_SIZE, "%u %.*s", code, (int)text.len,
                   (const char *)text.bytes);
    secret_strip(ret_text);
}

uint64_t broker_text_max_message_bytes(const char *text)
{
    static const char limit_follows[] = "max size ";
    const char *limit = strstr(text, limit_follows);
    if (!strstr(text, "message size ") || !limit)
        return 0;
    return strtoull(limit + sizeof(limit_follows) - 1, NULL, 10);
}
