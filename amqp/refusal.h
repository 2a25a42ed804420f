/* SPDX-License-Identifier: Apache-2.0 */
/* What oslo's dispatcher answers to a call nobody serves (oslo_messaging/rpc/dispatcher.py). */
#pragma once

#include "amqp/replies.h"

/*
 * Answers `request` with a pong (namespace baseapi, method ping of nova.baserpc), NoSuchMethod or
 * UnsupportedVersion; a cast is only logged. `versions`: the null namespace's, NULL-ended.
 */
void refusal_send(struct replies *replies, const struct rpc_request *request, const char *topic,
                  const char *const *versions);
