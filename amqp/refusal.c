/* SPDX-License-Identifier: Apache-2.0 */
/* See refusal.h. */
#include "amqp/refusal.h"

#include <errno.h>
#include <string.h>

#include "amqp/rpc_version.h"
#include "common/log.h"

#define BASE_NAMESPACE "baseapi" /* nova.baserpc.BaseRPCAPI */
#define BASE_VERSION "1.1"
#define DISPATCHER "oslo_messaging.rpc.dispatcher"

static bool is_base(const struct rpc_request *request)
{
    return request->namespace && strcmp(request->namespace, BASE_NAMESPACE) == 0;
}

static bool has_compatible_endpoint(const struct rpc_request *request, const char *const *versions)
{
    if (is_base(request))
        return rpc_version_is_compatible(BASE_VERSION, request->version);
    return !request->namespace && rpc_version_is_served(versions, request->version);
}

static json_t *pong_result(const struct rpc_request *request, const char *topic)
{
    json_t *arg = json_object_get(request->args, "arg");
    return json_pack("{s:s, s:O?}", "service", topic, "arg", arg);
}

void refusal_send(struct replies *replies, const struct rpc_request *request, const char *topic,
                  const char *const *versions)
{
    struct error failure = ERROR_INIT;
    if (!has_compatible_endpoint(request, versions)) {
        (void)error_set_foreign(&failure, ENOSYS, DISPATCHER, "UnsupportedVersion",
                                "Endpoint does not support RPC version %s. Attempted method: %s",
                                request->version, request->method);
    } else if (is_base(request) && strcmp(request->method, "ping") == 0) {
        log_debug("answering ping, message ID %s", request->msg_id ? request->msg_id : "none");
        replies_send(replies, request, pong_result(request, topic), NULL);
        return;
    } else {
        (void)error_set_foreign(&failure, ENOSYS, DISPATCHER, "NoSuchMethod",
                                "Endpoint does not support RPC method %s", request->method);
    }
    log_error("request %s is refused: %s", request->unique_id, failure.message);
    replies_send(replies, request, NULL, &failure);
}
