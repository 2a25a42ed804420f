/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker says when it closes something. */
#pragma once

#include <amqp.h>
#include <stdint.h>

#define BROKER_TEXT_SIZE 272 /* a short string of AMQP has 255 bytes */

/* "403 ACCESS_REFUSED - ...", without our secrets should it quote one. */
void broker_text(uint16_t code, amqp_bytes_t text, char ret_text[BROKER_TEXT_SIZE]);

/* The max_message_size in such a text, when it says that a message was larger; 0 in any other.
 * Source: rabbit_channel:check_msg_size */
uint64_t broker_text_max_message_bytes(const char *text);
