/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/oslo_message.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/oslo_message.h"
#include "amqp/rpc_request.h"
#include "amqp/rpc_version.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "fixture.h"

static struct rpc_request *request_of(const char *vector)
{
    size_t length;
    cleanup_free char *body = read_vector(vector, &length);
    struct rpc_request *request = NULL;
    struct error err = ERROR_INIT;
    if (rpc_request_unpack(body, length, &request, &err) < 0)
        fail_msg("%s: %s", vector, err.message);
    return request;
}

static void a_cast_is_decoded(void **state)
{
    (void)state;
    struct rpc_request *request = request_of("snapshot_cast.json");
    assert_string_equal(request->method, "snapshot_instance");
    assert_string_equal(request->version, "6.0");
    assert_null(request->namespace);
    assert_null(request->msg_id);
    assert_null(request->reply_q);
    assert_int_equal(request->call_monitor_timeout_s, 0);
    assert_string_equal(request->unique_id, "7734d3b626584873bbb2c52bab1eda11");
    assert_string_equal(json_string_member(request->args, "image_id"),
                        "77777777-8888-4999-aaaa-bbbbbbbbbbbb");
    assert_string_equal(request->context->request_id, "req-6f2b7a0c-1111-4222-8333-444455556666");
    assert_string_equal(request->context->auth_token, "user-token");
    assert_int_equal(json_array_size(request->context->service_catalog), 1);
    rpc_request_free(request);
}

static void a_call_is_decoded(void **state)
{
    (void)state;
    struct rpc_request *request = request_of("call.json");
    assert_string_equal(request->msg_id, "ec5249fbd9684c1f94328eec009d5aea");
    assert_string_equal(request->reply_q, "reply_5edac345033b40b19c68f0ce5abc0ece");
    assert_int_equal(request->call_monitor_timeout_s, 0);
    rpc_request_free(request);
    request = request_of("monitored_call.json");
    assert_int_equal(request->call_monitor_timeout_s, 2);
    rpc_request_free(request);
}

static void replies_are_decoded(void **state)
{
    (void)state;
    json_t *message = message_of("reply_result.json");
    assert_string_equal(json_string_member(message, "result"), " 10:00:00 up 1 day");
    assert_true(json_is_true(json_object_get(message, "ending")));
    json_decref(message);
    message = message_of("heartbeat.json");
    assert_true(json_is_false(json_object_get(message, "ending")));
    json_decref(message);
}

static void failures_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *vector;
        const char *exc;
        const char *module;
        const char *text;
    } rows[] = {
        {"reply_failure.json", "UnexpectedTaskStateError", "nova.exception",
         "Actual: {'task_state': 'image_pending_upload'}"},
        {"reply_no_such_method.json", "NoSuchMethod", "oslo_messaging.rpc.dispatcher",
         "Endpoint does not support RPC method no_such"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        json_t *message = message_of(rows[i].vector);
        struct error failure = ERROR_INIT;
        struct error err = ERROR_INIT;
        assert_int_equal(rpc_failure_unpack(json_string_member(message, "failure"), &failure, &err),
                         0);
        assert_int_equal(failure.errnum, EREMOTEIO);
        assert_int_equal(failure.code, 500);
        assert_string_equal(failure.exc, rows[i].exc);
        assert_string_equal(failure.module, rows[i].module);
        assert_non_null(strstr(failure.message, rows[i].text));
        json_decref(message);
    }
}

/* A database error shows its parameters, and the token of the context may be one. */
static void a_failure_does_not_show_our_token(void **state)
{
    (void)state;
    struct error failure = ERROR_INIT, err = ERROR_INIT;
    struct request_context *context = NULL;
    json_t *values = json_pack("{s:s}", "auth_token", "gAAAA-user-token");
    assert_int_equal(request_context_from_values(values, &context, &err), 0);
    json_decref(values);
    assert_int_equal(
        rpc_failure_unpack("{\"class\": \"DBError\", \"message\": \"[gAAAA-user-token]\"}",
                           &failure, &err),
        0);
    assert_string_equal(failure.message, "[***]");
    request_context_free(context);
}

static void bad_failures_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",   "null",           "[]",         "7",
                                        "{}", "{\"class\": 1}", "{\"class\":"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct error failure = ERROR_INIT;
        struct error err = ERROR_INIT;
        assert_int_equal(rpc_failure_unpack(texts[i], &failure, &err), -EBADMSG);
        assert_int_equal(failure.errnum, 0);
    }
    static const char *const odd[] = {
        "{\"class\": \"E\"}",
        "{\"class\": \"E\", \"module\": 1, \"message\": [], \"kwargs\": 3}",
        "{\"class\": \"E\", \"kwargs\": {\"code\": 99999999999}}",
        "{\"class\": \"E\", \"kwargs\": {\"code\": \"404\"}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        struct error failure = ERROR_INIT;
        struct error err = ERROR_INIT;
        assert_int_equal(rpc_failure_unpack(odd[i], &failure, &err), 0);
        assert_string_equal(failure.exc, "E");
        assert_int_equal(failure.code, 500);
    }
}

static json_t *round_trip(json_t *message, bool enveloped)
{
    char *body = NULL;
    size_t length = 0;
    json_t *back = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(oslo_message_pack(message, enveloped, &body, &length, &err), 0);
    assert_int_equal(strlen(body), length);
    for (size_t i = 0; i < length; i++)
        assert_true((unsigned char)body[i] < 0x80);
    assert_int_equal(strstr(body, "oslo.version") != NULL, enveloped);
    assert_int_equal(oslo_message_unpack(body, length, &back, &err), 0);
    assert_true(json_equal(message, back));
    free(body);
    return back;
}

static void messages_survive_the_envelope(void **state)
{
    (void)state;
    json_t *message =
        json_pack("{s:s, s:[i, n, b], s:{s:s}}", "text", "\xc3\xa4\xf0\x9f\x98\x80\"\\\n", "list",
                  -7, 1, "object", "", "empty key");
    json_decref(round_trip(message, true));
    json_decref(round_trip(message, false));
    json_decref(message);
}

static void requests_are_encoded_as_oslo_does(void **state)
{
    (void)state;
    json_t *captured = message_of("call.json");
    struct rpc_request *request = request_of("call.json");
    json_t *message = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(rpc_request_message(request->method, request->version, request->context,
                                         json_incref(request->args), &message, &err),
                     0);
    static const char *const ids[] = {"_msg_id", "_reply_q", "_unique_id"};
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        json_object_del(captured, ids[i]);
    assert_true(json_equal(message, captured));
    json_decref(message);
    json_decref(captured);
    rpc_request_free(request);
}

static void a_request_is_sent_again_as_it_came(void **state)
{
    (void)state;
    static const char *const vectors[] = {"snapshot_cast.json", "call.json", "monitored_call.json"};
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        json_t *captured = message_of(vectors[i]);
        struct rpc_request *request = request_of(vectors[i]);
        json_t *message = NULL;
        struct error err = ERROR_INIT;
        assert_int_equal(rpc_request_message_again(request, &message, &err), 0);
        if (!json_equal(message, captured))
            fail_msg("%s: %s", vectors[i], json_dumps(message, 0));
        json_decref(message);
        json_decref(captured);
        rpc_request_free(request);
    }
}

static void what_a_request_did_not_have_is_left_out(void **state)
{
    (void)state;
    static const char body[] = "{\"method\": \"m\", \"namespace\": \"n\", \"_reply_q\": \"q\"}";
    struct rpc_request *request = NULL;
    json_t *message = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(rpc_request_unpack(body, strlen(body), &request, &err), 0);
    assert_int_equal(rpc_request_message_again(request, &message, &err), 0);
    json_t *expected = json_pack("{s:s, s:s, s:{}, s:s}", "method", "m", "namespace", "n", "args",
                                 "version", "1.0");
    assert_true(json_equal(message, expected));
    json_decref(expected);
    json_decref(message);
    rpc_request_free(request);
}

static void replies_are_encoded_as_oslo_does(void **state)
{
    (void)state;
    json_t *captured = message_of("reply_result.json");
    json_t *message = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(rpc_reply_message(json_string_member(captured, "_msg_id"),
                                       json_string(" 10:00:00 up 1 day"), NULL, true, &message,
                                       &err),
                     0);
    assert_int_equal(strlen(json_string_member(message, "_unique_id")), 32);
    json_object_del(message, "_unique_id");
    json_object_del(captured, "_unique_id");
    assert_true(json_equal(message, captured));
    json_decref(message);
    json_decref(captured);
    captured = message_of("heartbeat.json");
    assert_int_equal(rpc_reply_message(json_string_member(captured, "_msg_id"), NULL, NULL, false,
                                       &message, &err),
                     0);
    json_object_del(message, "_unique_id");
    json_object_del(captured, "_unique_id");
    assert_true(json_equal(message, captured));
    json_decref(message);
    json_decref(captured);
}

static json_t *failure_of(const struct error *failure)
{
    json_t *message = NULL;
    json_t *decoded = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(rpc_reply_message("id", NULL, failure, true, &message, &err), 0);
    assert_true(json_is_null(json_object_get(message, "result")));
    const char *text = json_string_member(message, "failure");
    assert_int_equal(json_parse(text, strlen(text), 65536, "failure", &decoded, &err), 0);
    json_decref(message);
    return decoded;
}

static void failures_are_encoded_as_oslo_does(void **state)
{
    (void)state;
    struct error failure = ERROR_INIT;
    (void)error_set(&failure, EINVAL, EXC_INSTANCE_NOT_RUNNING, "Instance %s is not running", "u");
    json_t *got = failure_of(&failure);
    json_t *want = json_pack("{s:s, s:s, s:s, s:[], s:[s], s:{s:i}}", "class", "InstanceNotRunning",
                             "module", "nova.exception", "message", "Instance u is not running",
                             "tb", "args", "Instance u is not running", "kwargs", "code", 400);
    assert_true(json_equal(got, want));
    json_decref(got);
    json_decref(want);
    (void)error_set_foreign(&failure, ENOSYS, "builtins", "NotImplementedError", "%s", "");
    got = failure_of(&failure);
    assert_int_equal(json_object_size(json_object_get(got, "kwargs")), 0);
    json_decref(got);
    (void)error_set(&failure, EINVAL, EXC_NOVA_EXCEPTION, "cut \xc3"); /* half a character */
    got = failure_of(&failure);
    assert_string_equal(json_string_member(got, "message"), "cut ");
    json_decref(got);
}

static void too_large_is_refused(void **state)
{
    (void)state;
    size_t length = OSLO_BODY_MAX_BYTES;
    char *text = malloc(length + 1);
    assert_non_null(text);
    memset(text, 'x', length);
    text[length] = '\0';
    json_t *message = json_pack("{s:s}", "text", text);
    char *body = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(oslo_message_pack(message, false, &body, &length, &err), -EMSGSIZE);
    assert_null(body);
    json_decref(message);
    message = NULL;
    memset(text, ' ', OSLO_BODY_MAX_BYTES);
    assert_int_equal(oslo_message_unpack(text, OSLO_BODY_MAX_BYTES + 1, &message, &err), -EMSGSIZE);
    free(text);
}

static int unpack_request(const char *text, size_t length)
{
    char *exact = malloc(length > 0 ? length : 1);
    assert_non_null(exact);
    memcpy(exact, text, length);
    struct rpc_request *request = NULL;
    struct error err = ERROR_INIT;
    int r = rpc_request_unpack(exact, length, &request, &err);
    free(exact);
    assert_int_equal(r == 0, request != NULL);
    assert_int_equal(r == 0, err.errnum == 0);
    rpc_request_free(request);
    return r;
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    size_t length;
    cleanup_free char *body = read_vector("snapshot_cast.json", &length);
    assert_int_equal(unpack_request(body, length), 0);
    for (size_t cut = 0; cut < length; cut++)
        assert_true(unpack_request(body, cut) < 0);
}

static void wrong_types_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "null",
        "[]",
        "7",
        "\"x\"",
        "{}",
        "true",
        "{\"oslo.version\": \"2.0\", \"oslo.message\": 7}",
        "{\"oslo.version\": \"2.0\", \"oslo.message\": \"\"}",
        "{\"oslo.version\": \"2.0\", \"oslo.message\": \"[]\"}",
        "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{}\"}",
        "{\"oslo.version\": \"2.1\", \"oslo.message\": \"{\\\"method\\\": \\\"m\\\"}\"}",
        "{\"oslo.version\": \"1.0\", \"oslo.message\": \"{\\\"method\\\": \\\"m\\\"}\"}",
        "{\"oslo.version\": 2.0, \"oslo.message\": \"{\\\"method\\\": \\\"m\\\"}\"}",
        "{\"method\": 7}",
        "{\"method\": null}",
        "{\"args\": {}}",
        "{\"method\": \"m\", \"args\": []}",
        "{\"method\": \"m\", \"args\": null}",
        "{\"method\": \"m\", \"version\": 6.0}",
        "{\"method\": \"m\", \"namespace\": []}",
        "{\"method\": \"m\", \"_msg_id\": \"x\"}",
        "{\"method\": \"m\", \"_msg_id\": 1, \"_reply_q\": \"q\"}",
        "{\"method\": \"m\", \"_unique_id\": {}}",
        "{\"method\": \"m\\u0000\"}",
        "{\"method\": \"m\", \"args\": {\"n\": 123456789012345678901234567890}}",
        "{\"method\": \"m\", \"args\": {\"n\": 1e999}}",
        "{\"method\": \"m\", \"args\": {\"n\": NaN}}",
        "{\"method\": \"m\", \"_context_auth_token\": \"a\\r\\nX: y\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
        if (unpack_request(bodies[i], strlen(bodies[i])) == 0)
            fail_msg("accepted: %s", bodies[i]);
    static const char *const sound[] = {
        "{\"method\": \"m\"}",
        "{\"method\": \"m\", \"_timeout\": \"x\", \"_context_roles\": 7, \"other\": [[[]]]}",
        "{\"method\": \"m\", \"_timeout\": 1e30, \"namespace\": null, \"_msg_id\": null}",
        "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"method\\\": \\\"m\\\"}\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(sound); i++)
        assert_int_equal(unpack_request(sound[i], strlen(sound[i])), 0);
    assert_true(unpack_request("{\"method\": \"m\"}\0", 16) < 0);
}

static void long_names_are_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {"method", "namespace", "version", "_unique_id", "_reply_q"};
    char name[300];
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        char body[600];
        int n = snprintf(body, sizeof(body), "{\"method\": \"m\", \"%s\": \"%s\"}", keys[i], name);
        assert_int_equal(unpack_request(body, (size_t)n), -EBADMSG);
    }
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    size_t depth = 1u << 20;
    char *body = malloc(depth);
    assert_non_null(body);
    memset(body, '[', depth);
    assert_true(unpack_request(body, depth) < 0);
    for (size_t i = 0; i + 5 <= depth; i += 5)
        memcpy(body + i, "{\"a\":", 5);
    assert_true(unpack_request(body, depth) < 0);
    free(body);
}

static void flipped_bytes_do_no_harm(void **state)
{
    (void)state;
    size_t length;
    cleanup_free char *body = read_vector("call.json", &length);
    static const char values[] = {'\0', '"', '\\', '{', ']', '\x80', '9'};
    for (size_t i = 0; i < length; i++) {
        char kept = body[i];
        body[i] = values[i % sizeof(values)];
        (void)unpack_request(body, length);
        body[i] = kept;
    }
}

static void versions_compare_as_oslo_does(void **state)
{
    (void)state;
    static const struct {
        const char *implemented;
        const char *requested;
        bool compatible;
    } rows[] = {
        {"6.1", "6.0", true},
        {"6.1", "6.1", true},
        {"6.1", "6.2", false},
        {"6.1", "5.0", false},
        {"6.1", "7.0", false},
        {"5.13", "5.9", true},
        {"5.9", "5.13", false},
        {"2.0", "2.0", true},
        {"1.2.3", "1.2.3", true},
        {"1.2.3", "1.2.4", false},
        {"1.2.3", "1.1.9", true},
        {"6.1", "6", false},
        {"6.1", "", false},
        {"6.1", "6.", false},
        {"6.1", "6.x", false},
        {"6.1", "-6.0", false},
        {"6.1", " 6.0", false},
        {"6.1", "6.0.0.0", false},
        {"6.1", "6.99999999999999999999", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rpc_version_is_compatible(rows[i].implemented, rows[i].requested) != rows[i].compatible)
            fail_msg("%s for %s", rows[i].implemented, rows[i].requested);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cast_is_decoded),
        cmocka_unit_test(a_call_is_decoded),
        cmocka_unit_test(replies_are_decoded),
        cmocka_unit_test(failures_are_decoded),
        cmocka_unit_test(a_failure_does_not_show_our_token),
        cmocka_unit_test(bad_failures_are_refused),
        cmocka_unit_test(messages_survive_the_envelope),
        cmocka_unit_test(requests_are_encoded_as_oslo_does),
        cmocka_unit_test(a_request_is_sent_again_as_it_came),
        cmocka_unit_test(what_a_request_did_not_have_is_left_out),
        cmocka_unit_test(replies_are_encoded_as_oslo_does),
        cmocka_unit_test(failures_are_encoded_as_oslo_does),
        cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(flipped_bytes_do_no_harm),
        cmocka_unit_test(versions_compare_as_oslo_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
