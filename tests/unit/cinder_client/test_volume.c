/* SPDX-License-Identifier: Apache-2.0 */
/* cinder_client/volume.c and, with it, the error classes of call.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cinder_client/fixture.h"

#define PATH BASE "/volumes/" VOLUME_ID
#define IN_USE "\"id\": \"" VOLUME_ID "\", \"status\": \"in-use\", \"size\": 10"

static int get(const struct http_step *steps, size_t count, struct cinder_volume *ret_volume,
               struct error *err)
{
    struct fixture fixture;
    fixture_start(&fixture, steps, count);
    *err = (struct error)ERROR_INIT;
    int r = cinder_volume_get(fixture.cinder, fixture.context, VOLUME_ID, ret_volume, err);
    fixture_finish(&fixture);
    assert_int_equal(r, -err->errnum);
    return r;
}

static void it_is_read(void **state)
{
    (void)state;
    const struct http_step steps[] = {{
        .method = "GET",
        .path = PATH,
        .headers = {"X-Auth-Token: user-token", "X-OpenStack-Request-ID: req-1",
                    "Accept: application/json", "!OpenStack-API-Version", "!X-Service-Token",
                    "!Content-Type"},
        .reply = "{\"volume\": {" IN_USE ", \"description\": \"mine\", \"encrypted\": true}}",
    }};
    struct cinder_volume volume;
    struct error err;
    assert_int_equal(get(steps, ARRAY_SIZE(steps), &volume, &err), 0);
    assert_string_equal(volume.id, VOLUME_ID);
    assert_string_equal(volume.status, "in-use");
    assert_string_equal(volume.description, "mine");
    assert_int_equal(volume.size_gib, 10);
    assert_true(json_is_true(json_object_get(volume.object, "encrypted")));
    cinder_volume_done(&volume);
    cinder_volume_done(NULL);

    const struct http_step plain = {.reply = "{\"volume\": {" IN_USE ", \"description\": null}}"};
    assert_int_equal(get(&plain, 1, &volume, &err), 0);
    assert_null(volume.description);
    cinder_volume_done(&volume);
}

static void what_is_hostile_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "[]",
        "{}",
        "{\"volume\": []}",
        "{\"volume\": {\"status\": \"in-use\", \"size\": 1}}",
        "{\"volume\": {\"id\": \"" OTHER_ID "\", \"status\": \"in-use\", \"size\": 1}}",
        "{\"volume\": {\"id\": \"" VOLUME_ID VOLUME_ID "\", \"status\": \"x\", \"size\": 1}}",
        "{\"volume\": {\"id\": \"" VOLUME_ID "\", \"status\": 1, \"size\": 1}}",
        "{\"volume\": {\"id\": \"" VOLUME_ID "\", \"size\": 1, \"status\":"
        " \"a-status-that-is-far-longer-than-any\"}}",
        "{\"volume\": {\"id\": \"" VOLUME_ID "\", \"status\": \"in-use\", \"size\": -1}}",
        "{\"volume\": {\"id\": \"" VOLUME_ID "\", \"status\": \"in-use\", \"size\": \"1\"}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        const struct http_step step = {.reply = bodies[i]};
        struct cinder_volume volume;
        struct error err;
        if (get(&step, 1, &volume, &err) != -EBADMSG)
            fail_msg("%s", bodies[i]);
    }
}

static void refusals_have_novas_classes(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        int errnum;
        const char *exc;
        int code;
    } rows[] = {
        {400, EINVAL, EXC_INVALID_INPUT, 400},
        {401, EACCES, EXC_UNAUTHORIZED, 401},
        {403, EACCES, EXC_FORBIDDEN, 403},
        {404, ENOENT, EXC_VOLUME_NOT_FOUND, 404},
        {409, EBUSY, EXC_CINDER_CLIENT_EXCEPTION, 500},
        {413, EDQUOT, EXC_OVER_QUOTA, 413},
        {301, EREMOTEIO, EXC_CINDER_CLIENT_EXCEPTION, 500},
        {406, EREMOTEIO, EXC_CINDER_CLIENT_EXCEPTION, 500},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct http_step step = {.status = rows[i].status,
                                       .reply =
                                           "{\"kind\": {\"code\": 1, \"message\": \"because\"}}"};
        const struct http_step steps[] = {step, step};
        struct cinder_volume volume;
        struct error err;
        (void)get(steps, rows[i].status == 401 ? 2 : 1, &volume, &err);
        expect_error(&err, rows[i].errnum, rows[i].exc, (int)rows[i].status);
        assert_int_equal(err.code, rows[i].code);
        assert_non_null(strstr(err.message, rows[i].status == 404 ? VOLUME_ID : "because"));
    }
}

static void what_passes_is_tried_again(void **state)
{
    (void)state;
    const struct http_step steps[] = {{.action = HTTP_DROP},
                                      {.status = 503},
                                      {.status = 500},
                                      {.reply = "{\"volume\": {" IN_USE "}}"}};
    struct cinder_volume volume;
    struct error err;
    assert_int_equal(get(steps, ARRAY_SIZE(steps), &volume, &err), 0);
    cinder_volume_done(&volume);
}

static void the_repetitions_end(void **state)
{
    (void)state;
    struct cinder_volume volume;
    struct error err;
    const struct http_step busy[] = {
        {.status = 503}, {.status = 502}, {.status = 429}, {.status = 503}};
    (void)get(busy, ARRAY_SIZE(busy), &volume, &err);
    expect_error(&err, EREMOTEIO, EXC_CINDER_CONNECTION_FAILED, 503);
    const struct http_step gone[] = {
        {.action = HTTP_DROP}, {.action = HTTP_DROP}, {.action = HTTP_DROP}, {.action = HTTP_DROP}};
    (void)get(gone, ARRAY_SIZE(gone), &volume, &err);
    expect_error(&err, ECONNRESET, EXC_CINDER_CONNECTION_FAILED, 0);
    assert_non_null(strstr(err.message, "Connection to cinder host failed"));
}

static void an_id_that_is_no_uuid_is_never_sent(void **state)
{
    (void)state;
    static const char *const ids[] = {"", "../limits", VOLUME_ID "?a", NULL};
    struct fixture fixture;
    fixture_start(&fixture, NULL, 0);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        struct cinder_volume volume;
        struct error err = ERROR_INIT;
        assert_int_equal(cinder_volume_get(fixture.cinder, fixture.context, ids[i], &volume, &err),
                         -EINVAL);
        expect_error(&err, EINVAL, EXC_VOLUME_NOT_FOUND, 0);
    }
    fixture_finish(&fixture);
}

static void without_an_endpoint_nothing_is_sent(void **state)
{
    (void)state;
    const struct cinder_options options = {.http_retries = 3};
    struct cinder *cinder = NULL;
    struct request_context *context = NULL;
    struct cinder_volume volume;
    struct error err = ERROR_INIT;
    assert_int_equal(cinder_new(&options, NULL, &cinder, &err), 0);
    assert_int_equal(request_context_new_admin(&context, &err), 0);
    assert_int_equal(cinder_volume_get(cinder, context, VOLUME_ID, &volume, &err), -ENOENT);
    expect_error(&err, ENOENT, EXC_INTERNAL_ERROR, 0);
    request_context_free(context);
    cinder_free(cinder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_read),
        cmocka_unit_test(what_is_hostile_is_refused),
        cmocka_unit_test(refusals_have_novas_classes),
        cmocka_unit_test(what_passes_is_tried_again),
        cmocka_unit_test(the_repetitions_end),
        cmocka_unit_test(an_id_that_is_no_uuid_is_never_sent),
        cmocka_unit_test(without_an_endpoint_nothing_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
