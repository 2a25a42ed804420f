/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oslo.messaging's messages: the envelope 2.0, replies and failures; requests are rpc_request.h's.
 * Pure functions. Sources: oslo_messaging._drivers.common (serialize_msg, deserialize_msg,
 * serialize_remote_exception).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define OSLO_BODY_MAX_BYTES (16u << 20) /* of an AMQP body, in and out */
#define OSLO_NAME_MAX_BYTES 255u        /* AMQP's short string: queue names */

/*
 * The AMQP body of `message` (borrowed): in an envelope, or bare (notification driver
 * "messaging"). EMSGSIZE beyond OSLO_BODY_MAX_BYTES. Returns owned.
 */
int oslo_message_pack(const json_t *message, bool enveloped, char **ret_body, size_t *ret_length,
                      struct error *err);

/* The message of an AMQP body, enveloped or bare; always an object. Returns owned. */
int oslo_message_unpack(const char *body, size_t length, json_t **ret_message, struct error *err);

/*
 * The message of a reply. Takes `result` (NULL = null). `failure` NULL = success. `ending` false =
 * a call-monitor heartbeat. Returns owned.
 */
int rpc_reply_message(const char *msg_id, json_t *result, const struct error *failure, bool ending,
                      json_t **ret_message, struct error *err);

/*
 * Reads the "failure" of a reply. Fills *ret_failure with the remote's class, module and message
 * (errnum EREMOTEIO, code from its kwargs). EBADMSG when the text is no failure.
 */
int rpc_failure_unpack(const char *text, struct error *ret_failure, struct error *err);
