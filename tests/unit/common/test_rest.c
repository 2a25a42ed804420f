/* SPDX-License-Identifier: Apache-2.0 */
/* common/rest.c: what the clients' tests do not show, above all calls that may not be repeated. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/rest.h"
#include "tests/unit/canceller.h"
#include "tests/unit/http_script.h"

struct outcome {
    int r;
    unsigned status;
    enum http_failure failure;
    unsigned urls_asked;
};

struct place {
    const char *base;
    unsigned *asked;
    bool nowhere;
};

static int make_url(const void *opaque, char **ret_url, struct error *err)
{
    const struct place *place = opaque;
    ++*place->asked;
    if (place->nowhere)
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR, "nowhere");
    assert_true(asprintf(ret_url, "%s/thing", place->base) > 0);
    return 0;
}

static struct outcome run_at(const char *base, bool nowhere, const struct rest_call *what)
{
    const struct http_options options = {.retry_delay_ms = 1, .timeout_s = 5};
    const struct request_context context = {
        .request_id = "req-1", .global_request_id = "", .auth_token = "user-token"};
    struct outcome outcome = {0};
    const struct place place = {base, &outcome.urls_asked, nowhere};
    struct rest_service service = {.name = "Test", .retries = 3};
    struct rest_call call = *what;
    struct http_response response = {0};
    struct error err = ERROR_INIT;
    call.make_url = make_url;
    call.opaque = &place;
    assert_int_equal(http_client_new(&options, &service.http, &err), 0);
    outcome.r = rest_call(&service, &context, &call, &response, &outcome.failure, &err);
    assert_int_equal(outcome.r, -err.errnum);
    outcome.status = response.status;
    http_response_done(&response);
    http_client_free(service.http);
    return outcome;
}

static struct outcome run_script(const struct http_step *steps, size_t count,
                                 const struct rest_call *call)
{
    struct http_script *script = http_script_start(steps, count);
    struct outcome outcome = run_at(http_script_url(script), false, call);
    http_script_finish(script);
    return outcome;
}

static const struct rest_call post_once = {
    .method = "POST",
    .content_type = "application/json",
    .body = "{}",
    .headers = {{"OpenStack-API-Version", "volume 3.44"}, {"X-Unset", NULL}},
};

static void an_answer_of_any_status_is_handed_over(void **state)
{
    (void)state;
    const struct http_step steps[] = {{
        .method = "POST",
        .path = "/thing",
        .headers = {"X-Auth-Token: user-token", "X-OpenStack-Request-ID: req-1",
                    "Accept: application/json", "Content-Type: application/json",
                    "OpenStack-API-Version: volume 3.44", "!X-Unset"},
        .body = "{}",
        .status = 418,
    }};
    struct outcome outcome = run_script(steps, ARRAY_SIZE(steps), &post_once);
    assert_int_equal(outcome.r, 0);
    assert_int_equal(outcome.status, 418);
}

static void what_may_have_been_done_is_not_done_again(void **state)
{
    (void)state;
    static const unsigned statuses[] = {500, 502, 503, 504};
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        const struct http_step step = {.status = statuses[i]};
        struct outcome outcome = run_script(&step, 1, &post_once);
        assert_int_equal(outcome.r, 0);
        assert_int_equal(outcome.status, statuses[i]);
    }
    const struct http_step lost[] = {{.action = HTTP_DROP, .bytes = 2},
                                     {.action = HTTP_TRUNCATE, .reply = "{\"a\": 1}", .bytes = 3}};
    for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
        struct outcome outcome = run_script(&lost[i], 1, &post_once);
        assert_int_equal(outcome.r, -ECONNRESET);
        assert_int_equal(outcome.failure, HTTP_FAILED_ANSWER);
    }
}

static void what_was_not_done_is_tried_again(void **state)
{
    (void)state;
    const struct http_step steps[] = {{.status = 401}, {.status = 429}, {.status = 202}};
    struct outcome outcome = run_script(steps, ARRAY_SIZE(steps), &post_once);
    assert_int_equal(outcome.r, 0);
    assert_int_equal(outcome.status, 202);
    assert_int_equal(outcome.urls_asked, 3);
}

/* Nothing is known about the thing, then: whoever has to end it asks again some day. */
static void without_a_service_token_nothing_is_known(void **state)
{
    (void)state;
    const struct http_step refusal = {.method = "POST", .status = 401};
    struct http_script *keystone = http_script_start(&refusal, 1);
    const struct keystone_options options = {.auth_type = "password",
                                             .auth_url = http_script_url(keystone),
                                             .user_id = "U",
                                             .password = "wrong",
                                             .project_id = "P"};
    const struct request_context context = {
        .request_id = "req-1", .global_request_id = "", .auth_token = "user-token"};
    struct rest_service service = {.name = "Test"};
    struct http_response response = {0};
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(keystone_session_new(&options, &service.service_session, &err), 0);
    assert_true(rest_send(&service, &context, &post_once, &response, &failure, &err) < 0);
    assert_true(err.passes);
    assert_non_null(strstr(err.message, "no service token for Test"));
    assert_null(strstr(err.message, "wrong"));
    keystone_session_free(service.service_session);
    http_script_finish(keystone);
}

static void an_unmade_connection_is_tried_again(void **state)
{
    (void)state;
    char base[64];
    (void)snprintf(base, sizeof(base), "http://127.0.0.1:%u", http_script_unused_port());
    struct outcome outcome = run_at(base, false, &post_once);
    assert_int_equal(outcome.r, -ECONNREFUSED);
    assert_int_equal(outcome.failure, HTTP_FAILED_CONNECT);
    assert_int_equal(outcome.urls_asked, 4);
}

static void without_a_url_there_is_one_attempt(void **state)
{
    (void)state;
    struct outcome outcome = run_at("", true, &post_once);
    assert_int_equal(outcome.r, -ENOENT);
    assert_int_equal(outcome.failure, HTTP_FAILED_REQUEST);
    assert_int_equal(outcome.urls_asked, 1);
}

static void a_caller_can_shorten_the_whole(void **state)
{
    (void)state;
    const struct http_step stalled = {.action = HTTP_STALL};
    const struct rest_call call = {.method = "GET", .may_repeat = true, .total_ms = 700};
    uint64_t begun_ms = clock_now_ms();
    struct outcome outcome = run_script(&stalled, 1, &call);
    assert_int_equal(outcome.r, -ETIMEDOUT);
    assert_true(clock_now_ms() - begun_ms < 4000);

    const struct http_step busy = {.status = 503, .reply_headers = "Retry-After: 60\r\n"};
    outcome = run_script(&busy, 1, &call);
    assert_int_equal(outcome.status, 503);
}

static void no_attempt_is_made_for_cancelled_work(void **state)
{
    (void)state;
    struct canceller canceller;
    const struct rest_call call = {.method = "GET", .may_repeat = true};
    const struct http_step steps[] = {{.status = 503,
                                       .reply_headers = "Retry-After: 100\r\n",
                                       .then = canceller_request,
                                       .then_opaque = &canceller}};
    canceller_enter(&canceller);
    uint64_t begun_ms = clock_now_ms();
    struct outcome outcome = run_script(steps, ARRAY_SIZE(steps), &call);
    assert_int_equal(outcome.r, -ECANCELED);
    assert_int_equal(outcome.failure, HTTP_FAILED_CANCELED);
    assert_true(clock_now_ms() - begun_ms < CANCELLER_MAX_MS);
    canceller_leave(&canceller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_of_any_status_is_handed_over),
        cmocka_unit_test(what_may_have_been_done_is_not_done_again),
        cmocka_unit_test(what_was_not_done_is_tried_again),
        cmocka_unit_test(without_a_service_token_nothing_is_known),
        cmocka_unit_test(an_unmade_connection_is_tried_again),
        cmocka_unit_test(without_a_url_there_is_one_attempt),
        cmocka_unit_test(a_caller_can_shorten_the_whole),
        cmocka_unit_test(no_attempt_is_made_for_cancelled_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
