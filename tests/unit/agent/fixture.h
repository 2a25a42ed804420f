/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent's unit tests share: the recorded request of a real snapshot. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "agent/instance.h"
#include "amqp/bus.h"
#include "common/request_context.h"

#define FIXTURE_INSTANCE "2e0af6cc-8dab-4d5d-b039-8bb41cec430e"
#define FIXTURE_IMAGE "e5a20dc3-b3eb-4dcf-b1be-b0cc75cf15ed"

/* A test vector; owned. */
static inline json_t *fixture_load(const char *name)
{
    char path[256];
    json_error_t json_error;
    (void)snprintf(path, sizeof(path), "tests/unit/agent/data/%s.json", name);
    json_t *value = json_load_file(path, JSON_DECODE_ANY, &json_error);
    if (!value)
        fail_msg("%s:%d: %s", path, json_error.line, json_error.text);
    return value;
}

/* The request nova-api sent; owned. */
static inline struct rpc_request *fixture_request(void)
{
    struct error err = ERROR_INIT;
    json_t *message = fixture_load("snapshot_instance");
    struct rpc_request *request = calloc(1, sizeof(*request));
    request->method = strdup("snapshot_instance");
    request->version = strdup("6.0");
    request->unique_id = strdup("daae81140ec04af6bf426dac72a3f2d3");
    request->args = json_incref(json_object_get(message, "args"));
    assert_int_equal(request_context_from_message(message, &request->context, &err), 0);
    json_decref(message);
    return request;
}

static inline void fixture_instance(struct instance *ret_instance)
{
    struct error err = ERROR_INIT;
    json_t *message = fixture_load("snapshot_instance");
    assert_int_equal(
        instance_from_primitive(json_object_get(json_object_get(message, "args"), "instance"),
                                ret_instance, &err),
        0);
    json_decref(message);
}

/* Shows both sides when they differ. */
static inline void assert_json_equal(const json_t *actual, const json_t *expected)
{
    if (json_equal(actual, expected))
        return;
    char *a = json_dumps(actual, JSON_SORT_KEYS | JSON_ENCODE_ANY);
    char *b = json_dumps(expected, JSON_SORT_KEYS | JSON_ENCODE_ANY);
    fail_msg("is  %s\nnot %s", a ? a : "NULL", b ? b : "NULL");
}
