/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request context of Nova (nova.context.RequestContext) as it travels in every RPC message in
 * keys "_context_<name>". Received keys are kept as they came and echoed to nova-conductor.
 *
 * Immutable after construction, so it may be read by several threads.
 */
#pragma once

#include <jansson.h>

#include "common/error.h"

struct request_context {
    json_t *values;         /* object, all keys without the "_context_" prefix; owned */
    const char *request_id; /* all below point into `values`; never NULL: "" if absent */
    const char *global_request_id;
    const char *user_id;
    const char *project_id;
    const char *auth_token;        /* the user's bearer token: a secret */
    const json_t *service_catalog; /* array or NULL; entries as in Keystone v2 */
};

/*
 * Collects the "_context_*" members of a decoded message (borrowed). A request id or token with
 * a control character is refused (EINVAL): both end in HTTP headers. Returns owned.
 */
int request_context_from_message(const json_t *message, struct request_context **ret_context,
                                 struct error *err);

/* The same from the values alone (object, borrowed), as a context keeps them. Returns owned. */
int request_context_from_values(const json_t *values, struct request_context **ret_context,
                                struct error *err);

/* The agent's own administrative context with a fresh request id. Returns owned. */
int request_context_new_admin(struct request_context **ret_context, struct error *err);

/* context.elevated(): a copy with is_admin and role "admin". Returns owned. */
int request_context_elevated(const struct request_context *context,
                             struct request_context **ret_context, struct error *err);

/* Adds "_context_<name>" for every value to `message`. */
int request_context_add_to_message(const struct request_context *context, json_t *message,
                                   struct error *err);

/* The id REST requests carry in X-OpenStack-Request-ID: context.global_id. Borrowed. */
const char *request_context_global_id(const struct request_context *context);

/* NULL-safe. */
void request_context_free(struct request_context *context);
