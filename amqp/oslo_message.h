/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oslo.messaging's messages: the envelope 2.0, requests, replies and failures.
 * Pure functions. Sources: oslo_messaging._drivers.common (serialize_msg, deserialize_msg,
 * serialize_remote_exception), ._drivers.amqp (pack_context), rpc/dispatcher.py.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "amqp/bus.h"

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

/* Decodes a request. Returns owned. */
int rpc_request_unpack(const char *body, size_t length, struct rpc_request **ret_request,
                       struct error *err);

/*
 * The message of a request without the ids that are new at every attempt. Takes `args` (object),
 * also on failure. Returns owned.
 */
int rpc_request_message(const char *method, const char *version,
                        const struct request_context *context, json_t *args, json_t **ret_message,
                        struct error *err);

/*
 * The message of a request that came from elsewhere, ids included: what was unpacked, packed again.
 * Borrows `request`. Returns owned.
 */
int rpc_request_message_again(const struct rpc_request *request, json_t **ret_message,
                              struct error *err);

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

/* oslo_messaging._utils.version_is_compatible: same major, requested minor not newer. */
bool rpc_version_is_compatible(const char *implemented, const char *requested);
