/* SPDX-License-Identifier: Apache-2.0 */
/* common/keystone.c and common/keystone_auth.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "common/cleanup.h"
#include "common/keystone.h"
#include "common/secret.h"
#include "tests/unit/canceller.h"
#include "tests/unit/http_script.h"

#define PATH "/v3/auth/tokens?nocatalog"
#define CREATED(token)                                                                             \
    "X-Subject-Token: " token "\r\nVary: X-Auth-Token\r\nContent-Type: application/json\r\n"
#define TOKEN_UNTIL(expires)                                                                       \
    "{\"token\": {\"methods\": [\"password\"], \"issued_at\": \"2026-11-23T00:00:00.000000Z\","    \
    " \"expires_at\": \"2026-11-23T" expires "Z\"}}"
#define AN_HOUR TOKEN_UNTIL("01:00:00.000000")

static struct keystone_options password_options(const char *url)
{
    return (struct keystone_options){
        .auth_type = "password",
        .auth_url = url,
        .username = "nova",
        .user_domain_name = "Default",
        .password = "pa\"ss",
        .project_name = "service",
        .project_domain_name = "Default",
        .http = {.retry_delay_ms = 1},
    };
}

static struct keystone_session *open_session(const struct keystone_options *options)
{
    struct keystone_session *session = NULL;
    struct error err = ERROR_INIT;
    if (keystone_session_new(options, &session, &err) < 0)
        fail_msg("%s", err.message);
    return session;
}

static void expect_token(struct keystone_session *session, const char *wanted)
{
    char *token = NULL;
    struct error err = ERROR_INIT;
    if (keystone_session_get_token(session, &token, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(token, wanted);
    assert_int_equal(err.errnum, 0);
    secret_free(token);
}

static void check_body(struct keystone_options *options, const char *path, const char *body)
{
    const struct http_step steps[] = {{
        .method = "POST",
        .path = PATH,
        .headers = {"Content-Type: application/json", "!X-Auth-Token"},
        .body = body,
        .status = 201,
        .reply_headers = CREATED("T1"),
        .reply = AN_HOUR,
    }};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    char url[128];
    (void)snprintf(url, sizeof(url), "%s%s", http_script_url(script), path);
    options->auth_url = url;
    struct keystone_session *session = open_session(options);
    expect_token(session, "T1");
    keystone_session_free(session);
    http_script_finish(script);
}

static void bodies_are_those_of_the_identity_api(void **state)
{
    (void)state;
    struct keystone_options named = password_options(NULL);
    check_body(
        &named, "",
        "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":"
        "{\"name\":\"nova\",\"domain\":{\"name\":\"Default\"},\"password\":\"pa\\\"ss\"}}},"
        "\"scope\":{\"project\":{\"name\":\"service\",\"domain\":{\"name\":\"Default\"}}}}}");

    struct keystone_options ids = {
        .auth_type = "v3password", .user_id = "U", .password = "p", .project_id = "P"};
    check_body(&ids, "/v3/",
               "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":"
               "{\"id\":\"U\",\"password\":\"p\"}}},\"scope\":{\"project\":{\"id\":\"P\"}}}}");

    struct keystone_options defaults = {.auth_type = "password",
                                        .username = "nova",
                                        .password = "p",
                                        .default_domain_id = "default",
                                        .domain_name = "D"};
    check_body(&defaults, "/",
               "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":"
               "{\"name\":\"nova\",\"domain\":{\"id\":\"default\"},\"password\":\"p\"}}},"
               "\"scope\":{\"domain\":{\"name\":\"D\"}}}}");

    struct keystone_options system_wide = {
        .auth_type = "password", .user_id = "U", .password = "p", .system_scope = "all"};
    check_body(&system_wide, "/v3",
               "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":"
               "{\"id\":\"U\",\"password\":\"p\"}}},\"scope\":{\"system\":{\"all\":true}}}}");

    struct keystone_options credential = {.auth_type = "v3applicationcredential",
                                          .application_credential_id = "AC",
                                          .application_credential_secret = "s",
                                          .project_name = "ignored"};
    check_body(&credential, "",
               "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],"
               "\"application_credential\":{\"id\":\"AC\",\"secret\":\"s\"}}}}");

    struct keystone_options by_name = {.auth_type = "v3applicationcredential",
                                       .application_credential_name = "ac1",
                                       .application_credential_secret = "s",
                                       .username = "nova",
                                       .user_domain_name = "Default"};
    check_body(&by_name, "",
               "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],"
               "\"application_credential\":{\"name\":\"ac1\",\"secret\":\"s\",\"user\":"
               "{\"name\":\"nova\",\"domain\":{\"name\":\"Default\"}}}}}}");
}

static void expect_invalid(const struct keystone_options *options, const char *text)
{
    struct keystone_session *session = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(keystone_session_new(options, &session, &err), -EINVAL);
    assert_null(session);
    if (!strstr(err.message, text))
        fail_msg("'%s' does not say '%s'", err.message, text);
    assert_null(strstr(err.message, "pa\"")); /* nor its beginning */
    assert_null(strstr(err.message, "=pa"));
}

static void options_that_do_not_go_together_are_named(void **state)
{
    (void)state;
    struct keystone_options options = password_options("http://k/v2.0");
    expect_invalid(&options, "auth_url ends in /v2.0");
    options = password_options("");
    expect_invalid(&options, "auth_url is missing");
    options = password_options("http://k");
    options.auth_type = NULL;
    expect_invalid(&options, "auth_type is missing");
    options.auth_type = "v3kerberos";
    expect_invalid(&options, "'v3kerberos' is not one of password, v3password");
    options = password_options("http://k");
    options.password = "";
    expect_invalid(&options, "password is missing");
    options.password = "\xff";
    expect_invalid(&options, "password is not UTF-8");
    options = password_options("http://k");
    options.username = NULL;
    expect_invalid(&options, "username or user_id is missing");
    options = password_options("http://k");
    options.user_domain_name = NULL;
    expect_invalid(&options, "username needs user_domain_name");
    options.auth_type = "v3password"; /* has no default domain */
    options.default_domain_id = "default";
    expect_invalid(&options, "username needs user_domain_name");
    options = password_options("http://k");
    options.project_domain_name = NULL;
    expect_invalid(&options, "project_name needs project_domain_name");
    options = password_options("http://k");
    options.system_scope = "all";
    expect_invalid(&options, "only one of");
    options = password_options("http://k");
    options.project_name = NULL;
    options.system_scope = "some";
    expect_invalid(&options, "system_scope may only be 'all'");
    options =
        (struct keystone_options){.auth_type = "v3applicationcredential", .auth_url = "http://k"};
    expect_invalid(&options, "application_credential_id or application_credential_name");
    options.application_credential_name = "ac1";
    expect_invalid(&options, "application_credential_secret is missing");
    options.application_credential_secret = "s";
    expect_invalid(&options, "username or user_id is missing");
}

static void a_token_is_used_until_two_minutes_before_its_end(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.status = 201, .reply_headers = CREATED("short"), .reply = TOKEN_UNTIL("00:01:59.999999")},
        {.status = 201, .reply_headers = CREATED("gone"), .reply = TOKEN_UNTIL("00:00:00")},
        {.status = 201, .reply_headers = CREATED("long"), .reply = TOKEN_UNTIL("00:02:30")},
    };
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct keystone_options options = password_options(http_script_url(script));
    struct keystone_session *session = open_session(&options);
    expect_token(session, "short"); /* better than none, but not kept */
    expect_token(session, "gone");
    expect_token(session, "long");
    expect_token(session, "long");
    keystone_session_free(session);
    http_script_finish(script);
}

static void an_invalid_token_is_fetched_anew(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.status = 201, .reply_headers = CREATED("T1"), .reply = AN_HOUR},
        {.status = 201, .reply_headers = CREATED("T2"), .reply = AN_HOUR},
    };
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct keystone_options options = password_options(http_script_url(script));
    struct keystone_session *session = open_session(&options);
    expect_token(session, "T1");
    keystone_session_invalidate(session, "T0"); /* an older one: no longer the current */
    expect_token(session, "T1");
    keystone_session_invalidate(session, "T1");
    expect_token(session, "T2");
    keystone_session_invalidate(session, "T1");
    expect_token(session, "T2");
    keystone_session_free(session);
    http_script_finish(script);
}

#define CATALOG                                                                                    \
    "{\"token\": {\"project\": {\"id\": \"P\"}, \"catalog\": [{\"type\": \"volumev3\", \"name\": " \
    "\"cinder\", \"endpoints\": [{\"interface\": \"public\", \"region\": \"R\", \"url\": "         \
    "\"http://c/v3\"}, {\"interface\": \"admin\", \"region\": \"R\", \"url\": \"http://a\"}]}, "   \
    "{}], \"roles\": [{\"id\": \"1\", \"name\": \"admin\"}, {}]}}"

/* As a request brings one; a password that was changed is seen, whatever token is kept. */
static void a_context_of_our_own_has_a_catalog(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.method = "POST",
         .path = "/v3/auth/tokens",
         .status = 201,
         .reply_headers = CREATED("T9"),
         .reply = CATALOG},
        {.method = "POST", .path = "/v3/auth/tokens", .status = 401},
        {.method = "POST",
         .path = "/v3/auth/tokens",
         .status = 201,
         .reply_headers = CREATED("T9"),
         .reply = "[]"},
    };
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    const struct keystone_options options = password_options(http_script_url(script));
    struct keystone_session *session = open_session(&options);
    struct request_context *context = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(keystone_session_context(session, 20000, &context, &err), 0);
    assert_string_equal(context->auth_token, "T9");
    assert_string_equal(context->project_id, "P");
    const json_t *roles = json_object_get(context->values, "roles");
    assert_int_equal(json_array_size(roles), 1);
    assert_string_equal(json_string_value(json_array_get(roles, 0)), "admin");
    char *text = json_dumps(context->service_catalog, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(
        text, "[{\"endpoints\":[{\"publicURL\":\"http://c/v3\",\"region\":\"R\"},{\"adminURL\":"
              "\"http://a\",\"region\":\"R\"}],\"name\":\"cinder\",\"type\":\"volumev3\"},"
              "{\"endpoints\":[],\"name\":null,\"type\":null}]");
    free(text);
    request_context_free(context);
    context = NULL;
    assert_int_equal(keystone_session_context(session, 20000, &context, &err), -EACCES);
    assert_non_null(strstr(err.message, "Keystone refused the credentials"));
    assert_true(keystone_session_context(session, 20000, &context, &err) < 0);
    assert_null(context);
    keystone_session_free(session);
    http_script_finish(script);
}

static void passing_failures_are_tried_again(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.action = HTTP_DROP},
        {.status = 503},
        {.status = 500},
        {.status = 201, .reply_headers = CREATED("T1"), .reply = AN_HOUR},
    };
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct keystone_options options = password_options(http_script_url(script));
    struct keystone_session *session = open_session(&options);
    expect_token(session, "T1");
    keystone_session_free(session);
    http_script_finish(script);
}

static void expect_refusal(const struct http_step *step, size_t repeated, int wanted_errno,
                           int http_status, const char *text)
{
    struct http_step steps[4];
    for (size_t i = 0; i < repeated; i++)
        steps[i] = *step;
    struct http_script *script = http_script_start(steps, repeated);
    struct keystone_options options = password_options(http_script_url(script));
    struct keystone_session *session = open_session(&options);
    char *token = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(keystone_session_get_token(session, &token, &err), -wanted_errno);
    assert_null(token);
    assert_int_equal(err.http_status, http_status);
    if (!strstr(err.message, text))
        fail_msg("'%s' does not say '%s'", err.message, text);
    assert_null(strstr(err.message, "pa\"ss"));
    assert_null(strstr(err.message, "secret-token"));
    keystone_session_free(session);
    http_script_finish(script);
}

static void refusals_are_explained(void **state)
{
    (void)state;
    const struct http_step unauthorized = {
        .status = 401,
        .reply = "{\"error\": {\"code\": 401, \"message\": \"The request you have made requires "
                 "authentication.\", \"title\": \"Unauthorized\"}}"};
    expect_refusal(&unauthorized, 1, EACCES, 401,
                   "refused the credentials: 401: The request you have made");
    const struct http_step receipt = {.status = 401,
                                      .reply_headers = "Openstack-Auth-Receipt: secret-token\r\n"};
    expect_refusal(&receipt, 1, EACCES, 401, "second authentication factor");
    const struct http_step malformed = {
        .status = 400, .reply = "{\"error\": {\"message\": \"Expecting to find domain in user\"}}"};
    expect_refusal(&malformed, 1, EREMOTEIO, 400, "Expecting to find domain in user");
    const struct http_step moved = {.status = 300, .reply = "{}"};
    expect_refusal(&moved, 1, EREMOTEIO, 300, "300");
    const struct http_step down = {.status = 503, .reply_headers = "", .reply = "<b>busy</b>"};
    expect_refusal(&down, 4, EREMOTEIO, 503, "503: busy");
    const struct http_step dropped = {.action = HTTP_DROP};
    expect_refusal(&dropped, 4, ECONNRESET, 0, "Keystone cannot be reached");
}

/* Some quote the request they did not like: the reason goes into faults and logs. */
static void what_is_quoted_has_no_secret(void **state)
{
    (void)state;
    static const char *const replies[] = {
        "{\"error\": {\"message\": \"bad user {'name': 'nova', 'password': 'pa\\\"ss'}\"}}",
        "{\"error\": {\"message\": \"bad {\\\"password\\\": \\\"pa\\\\\\\"ss\\\"}\"}}",
        "{\"auth\":{\"identity\":{\"password\":{\"user\":{\"password\":\"pa\\\"ss\"}}}}}",
        "<html><body>password=pa%22ss&amp;pa&quot;ss</body></html>",
    };
    for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
        const struct http_step step = {
            .status = 400,
            .reply = replies[i],
            .reply_headers = replies[i][0] == '<' ? "Content-Type: text/html\r\n" : NULL};
        expect_refusal(&step, 1, EREMOTEIO, 400, "***");
    }
}

/* Cut inside of it, half of it would be left. */
static void nor_where_it_is_cut(void **state)
{
    (void)state;
    char reply[600];
    for (size_t length = HTTP_REASON_SIZE - 12; length < HTTP_REASON_SIZE; length++) {
        (void)snprintf(reply, sizeof(reply), "%*s=pa\"ss", (int)length, "");
        memset(reply, 'x', length);
        const struct http_step step = {.status = 400, .reply_headers = "", .reply = reply};
        expect_refusal(&step, 1, EREMOTEIO, 400, "400: xxx");
    }
}

static void hostile_answers_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "[]",
        "{\"token\": \"secret-token\"}",
        "{\"token\": {}}",
        "{\"token\": {\"expires_at\": 5, \"issued_at\": 4}}",
        "{\"token\": {\"expires_at\": \"soon\", \"issued_at\": \"2026-11-23T00:00:00Z\"}}",
        "{\"token\": {\"expires_at\": \"2026-11-23T00:00:00+05:00\","
        " \"issued_at\": \"2026-11-23T00:00:00Z\"}}",
        "{\"token\": {\"expires_at\": \"2026-11-23T00:00:00\\u0000Z\","
        " \"issued_at\": \"2026-11-23T00:00:00Z\"}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        const struct http_step step = {
            .status = 201, .reply_headers = CREATED("secret-token"), .reply = bodies[i]};
        int wanted = i == 1 || i == 2 || i == 3 || i == 4 ? EINVAL : EBADMSG;
        expect_refusal(&step, 1, wanted, 0, "Keystone");
    }
    const struct http_step headerless = {.status = 201, .reply = AN_HOUR};
    expect_refusal(&headerless, 1, EBADMSG, 0, "X-Subject-Token");

    size_t depth = 100000;
    char *deep = malloc(depth + 1);
    assert_non_null(deep);
    memset(deep, '[', depth);
    deep[depth] = '\0';
    const struct http_step nested = {
        .status = 201, .reply_headers = CREATED("secret-token"), .reply = deep};
    expect_refusal(&nested, 1, EBADMSG, 0, "no JSON");
    free(deep);
}

#define THREADS 6

static void *get_token_in_thread(void *session)
{
    char *token = NULL;
    struct error err = ERROR_INIT;
    (void)keystone_session_get_token(session, &token, &err);
    return token;
}

/* All threads ask at once, and each gets `token`; NULL: fails. */
static void assert_threads_get(struct keystone_session *session, const char *token)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_token_in_thread, session), 0);
    for (int i = 0; i < THREADS; i++) {
        void *got = NULL;
        assert_int_equal(pthread_join(threads[i], &got), 0);
        if (token)
            assert_non_null(got);
        else
            assert_null(got);
        if (token)
            assert_string_equal(got, token);
        secret_free(got);
    }
}

static void threads_share_one_fetch(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.status = 201, .reply_headers = CREATED("T1"), .reply = AN_HOUR, .delay_ms = 100}};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct keystone_options options = password_options(http_script_url(script));
    struct keystone_session *session = open_session(&options);
    assert_threads_get(session, "T1");
    keystone_session_free(session);
    http_script_finish(script);
}

/* One after the other they would wait for Keystone's deadline as many times. */
static void threads_share_one_failure(void **state)
{
    (void)state;
    const struct http_step steps[] = {{.status = 401, .delay_ms = 2000}};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct keystone_options options = password_options(http_script_url(script));
    struct keystone_session *session = open_session(&options);
    assert_threads_get(session, NULL);
    keystone_session_free(session);
    http_script_finish(script);
}

struct cancelled_fetch {
    struct canceller canceller; /* of the thread that fetches first */
    struct keystone_session *session;
    pthread_t other;
};

/* Another thread asks while the first one waits for Keystone, which is then cancelled. */
static void cancel_fetch(void *opaque)
{
    struct cancelled_fetch *fetch = opaque;
    assert_int_equal(pthread_create(&fetch->other, NULL, get_token_in_thread, fetch->session), 0);
    canceller_request(&fetch->canceller);
}

static void a_cancelled_fetch_cancels_no_other_work(void **state)
{
    (void)state;
    struct cancelled_fetch fetch;
    const struct http_step steps[] = {
        {.action = HTTP_STALL, .then = cancel_fetch, .then_opaque = &fetch},
        {.status = 201, .reply_headers = CREATED("T1"), .reply = AN_HOUR},
    };
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct keystone_options options = password_options(http_script_url(script));
    char *token = NULL;
    void *others = NULL;
    struct error err = ERROR_INIT;
    fetch.session = open_session(&options);
    canceller_enter(&fetch.canceller);
    assert_cancelled(keystone_session_get_token(fetch.session, &token, &err), &err);
    canceller_leave(&fetch.canceller);
    assert_int_equal(pthread_join(fetch.other, &others), 0);
    assert_non_null(others);
    assert_string_equal(others, "T1");
    secret_free(others);
    keystone_session_free(fetch.session);
    http_script_finish(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_those_of_the_identity_api),
        cmocka_unit_test(options_that_do_not_go_together_are_named),
        cmocka_unit_test(a_token_is_used_until_two_minutes_before_its_end),
        cmocka_unit_test(an_invalid_token_is_fetched_anew),
        cmocka_unit_test(a_context_of_our_own_has_a_catalog),
        cmocka_unit_test(passing_failures_are_tried_again),
        cmocka_unit_test(refusals_are_explained),
        cmocka_unit_test(what_is_quoted_has_no_secret),
        cmocka_unit_test(nor_where_it_is_cut),
        cmocka_unit_test(hostile_answers_are_refused),
        cmocka_unit_test(threads_share_one_fetch),
        cmocka_unit_test(threads_share_one_failure),
        cmocka_unit_test(a_cancelled_fetch_cancels_no_other_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
