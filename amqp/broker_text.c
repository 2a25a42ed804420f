/* SPDX-License-Identifier: Apache-2.0 */
/* See broker_text.h. */
#include "amqp/broker_text.h"

#include <stdio.h>

#include "common/secret.h"

void broker_text(uint16_t code, amqp_bytes_t text, char ret_text[BROKER_TEXT_SIZE])
{
    (void)snprintf(ret_text, BROKER_TEXT_SIZE, "%u %.*s", code, (int)text.len,
                   (const char *)text.bytes);
    secret_strip(ret_text);
}
