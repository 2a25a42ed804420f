/* SPDX-License-Identifier: Apache-2.0 */
/* glance_client/location.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/braces.h"
#include "tests/unit/glance_client/fixture.h"

#define URL "rbd://fsid/pool/image/snap"
#define POST                                                                                       \
    .method = "POST", .path = IMAGE_PATH "/locations",                                             \
    .body = "{\"url\":\"" URL "\",\"validation_data\":{}}",                                        \
    .headers = {"Content-Type: application/json", "X-Auth-Token: user-token"}
#define PATCH                                                                                      \
    .method = "PATCH", .path = IMAGE_PATH,                                                         \
    .body = "[{\"op\":\"add\",\"path\":\"/locations/-\",\"value\":{\"url\":\"" URL                 \
            "\",\"metadata\":{}}}]",                                                               \
    .headers = {"Content-Type: application/openstack-images-v2.1-json-patch"}
#define SHOWS(state)                                                                               \
    BRACES(.method = "GET", .path = IMAGE_PATH,                                                    \
           .reply = "{\"id\": \"" IMAGE_ID "\", \"status\": \"" state "\", \"size\": null}")
/* show_multiple_locations is off. */
#define NO_PATCH BRACES(PATCH, .status = 403)
/* Of a middlebox, or a Glance without POST. */
#define NO_POST(code)                                                                              \
    BRACES(POST, .status = (code), .reply_headers = HTML, .reply = "<html>no</html>")

static enum glance_location_way first;

static int way_of_most(void **state)
{
    (void)state;
    first = GLANCE_LOCATION_PATCH;
    return 0;
}

static int run(const struct http_step *steps, size_t count, struct error *err)
{
    struct fixture fixture;
    fixture_start(&fixture, steps, count, NULL);
    int r = glance_image_add_location(fixture.glance, fixture.context, IMAGE_ID, URL, first, err);
    fixture_finish(&fixture);
    assert_int_equal(r, -err->errnum);
    return r;
}

#define EXPECT_SUCCESS(...)                                                                        \
    do {                                                                                           \
        const struct http_step steps_[] = {__VA_ARGS__};                                           \
        struct error err_ = ERROR_INIT;                                                            \
        if (run(steps_, ARRAY_SIZE(steps_), &err_) < 0)                                            \
            fail_msg("%s", err_.message);                                                          \
    } while (0)

#define EXPECT_FAILURE(errnum, exc, http_status, ...)                                              \
    do {                                                                                           \
        const struct http_step steps_[] = {__VA_ARGS__};                                           \
        struct error err_ = ERROR_INIT;                                                            \
        (void)run(steps_, ARRAY_SIZE(steps_), &err_);                                              \
        expect_error(&err_, errnum, exc, http_status);                                             \
    } while (0)

static void the_task_is_waited_for(void **state)
{
    (void)state;
    EXPECT_SUCCESS(NO_PATCH, {POST, .status = 202}, SHOWS("queued"), SHOWS("importing"),
                   SHOWS("active"));
}

static void a_patch_comes_first(void **state)
{
    (void)state;
    EXPECT_SUCCESS({PATCH, .reply = "{}"}, SHOWS("active"));
    /* Once it is known to be forbidden, it is not sent again. */
    EXPECT_SUCCESS(NO_PATCH, {POST, .status = 503}, SHOWS("queued"), {POST, .status = 202},
                   SHOWS("active"));
}

/* nova from 2025.2 on. A Glance before API 2.17 knows no POST; one that forbids it may take a
 * PATCH. */
static void a_post_comes_first_where_it_is_asked_for(void **state)
{
    (void)state;
    static const unsigned codes[] = {403, 404, 405, 501};
    first = GLANCE_LOCATION_POST;
    EXPECT_SUCCESS({POST, .status = 202}, SHOWS("queued"), SHOWS("active"));
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        EXPECT_SUCCESS(NO_POST(codes[i]), {PATCH, .reply = "{}"}, SHOWS("active"));
    EXPECT_SUCCESS(NO_POST(404), {PATCH, .status = 503}, SHOWS("queued"), {PATCH, .reply = "{}"},
                   SHOWS("active"));
    EXPECT_SUCCESS({POST, .action = HTTP_DROP, .bytes = 5}, SHOWS("queued"), {POST, .status = 409},
                   SHOWS("active"));
}

static void the_patch_tells_what_the_post_cannot(void **state)
{
    (void)state;
    first = GLANCE_LOCATION_POST;
    EXPECT_FAILURE(EACCES, EXC_IMAGE_NOT_AUTHORIZED, 403, NO_POST(404), NO_PATCH);
    EXPECT_FAILURE(EACCES, EXC_IMAGE_NOT_AUTHORIZED, 403, {POST, .status = 403}, NO_PATCH);
    EXPECT_FAILURE(ENOENT, EXC_IMAGE_NOT_FOUND, 404, NO_POST(405), {PATCH, .status = 404});
    EXPECT_FAILURE(EINVAL, EXC_IMAGE_BAD_REQUEST, 400, {POST, .status = 400});
    EXPECT_FAILURE(EBUSY, EXC_GLANCE_HTTP_CONFLICT, 409, {POST, .status = 409});
}

static void the_first_refusal_is_told_where_there_is_no_post(void **state)
{
    (void)state;
    static const unsigned codes[] = {404, 405, 501};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        EXPECT_FAILURE(EACCES, EXC_IMAGE_NOT_AUTHORIZED, 403, NO_PATCH, NO_POST(codes[i]));
}

static void refusals_are_final(void **state)
{
    (void)state;
    EXPECT_FAILURE(EACCES, EXC_IMAGE_NOT_AUTHORIZED, 403, NO_PATCH, {POST, .status = 403});
    EXPECT_FAILURE(ENOENT, EXC_IMAGE_NOT_FOUND, 404, {PATCH, .status = 404});
    EXPECT_FAILURE(EINVAL, EXC_IMAGE_BAD_REQUEST, 400, NO_PATCH, {POST, .status = 400});
    EXPECT_FAILURE(EINVAL, EXC_IMAGE_BAD_REQUEST, 400, {PATCH, .status = 400});
    EXPECT_FAILURE(EDQUOT, EXC_IMAGE_QUOTA_EXCEEDED, 413, {PATCH, .status = 413});
    /* It holds data of someone else's: that it is active is no success of ours. */
    EXPECT_FAILURE(EBUSY, EXC_GLANCE_HTTP_CONFLICT, 409, NO_PATCH, {POST, .status = 409});
}

static void a_missing_answer_is_looked_up(void **state)
{
    (void)state;
    EXPECT_SUCCESS(NO_PATCH, {POST, .action = HTTP_DROP, .bytes = 5}, SHOWS("active"));
    EXPECT_SUCCESS(NO_PATCH, {POST, .status = 500}, SHOWS("importing"), SHOWS("active"));
    EXPECT_SUCCESS(NO_PATCH, {POST, .status = 504}, SHOWS("queued"), {POST, .status = 202},
                   SHOWS("active"));
    /* The first one was carried out after all. */
    EXPECT_SUCCESS(NO_PATCH, {POST, .action = HTTP_DROP, .bytes = 5}, SHOWS("queued"),
                   {POST, .status = 409}, SHOWS("active"));
    EXPECT_SUCCESS({PATCH, .action = HTTP_DROP, .bytes = 5}, SHOWS("queued"),
                   {PATCH, .status = 400}, SHOWS("active"));
    EXPECT_FAILURE(EBUSY, EXC_GLANCE_HTTP_CONFLICT, 409, NO_PATCH, {POST, .status = 502},
                   SHOWS("queued"), {POST, .status = 409}, SHOWS("queued"));
}

#define REFUSED BRACES(.method = "GET", .path = IMAGE_PATH, .status = 401)

/* A PATCH is carried out when it is answered; of a task nobody knows. */
static void what_glance_took_is_no_failure(void **state)
{
    (void)state;
    EXPECT_SUCCESS({PATCH, .reply = "{}"}, REFUSED, REFUSED);
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, NO_PATCH, {POST, .status = 202}, REFUSED,
                   REFUSED);
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, {PATCH, .action = HTTP_DROP, .bytes = 5},
                   REFUSED, REFUSED);
}

static void what_passes_is_tried_again_three_times(void **state)
{
    (void)state;
    EXPECT_SUCCESS(NO_PATCH, {POST, .status = 401}, {POST, .status = 429}, {POST, .status = 202},
                   SHOWS("active"));
    EXPECT_FAILURE(EREMOTEIO, EXC_GLANCE_CONNECTION_FAILED, 503, NO_PATCH, {POST, .status = 503},
                   SHOWS("queued"), {POST, .status = 503}, SHOWS("queued"), {POST, .status = 503},
                   SHOWS("queued"));
    EXPECT_FAILURE(EACCES, EXC_IMAGE_NOT_AUTHORIZED, 401, NO_PATCH, {POST, .status = 401},
                   {POST, .status = 401}, {POST, .status = 401});
}

static void another_end_is_told(void **state)
{
    (void)state;
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, NO_PATCH, {POST, .status = 202},
                   SHOWS("killed"));
    EXPECT_FAILURE(ENOENT, EXC_IMAGE_NOT_FOUND, 0, NO_PATCH, {POST, .status = 202},
                   SHOWS("deleted"));
    EXPECT_FAILURE(ENOENT, EXC_IMAGE_NOT_FOUND, 404, NO_PATCH, {POST, .status = 202},
                   SHOWS("queued"), {.method = "GET", .path = IMAGE_PATH, .status = 404});
    struct http_step steps[152] = {NO_PATCH, {POST, .status = 202}};
    struct error err = ERROR_INIT;
    for (size_t i = 2; i < ARRAY_SIZE(steps); i++)
        steps[i] = (struct http_step)SHOWS("queued");
    assert_int_equal(run(steps, ARRAY_SIZE(steps), &err), -EREMOTEIO);
    expect_error(&err, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0);
}

static void an_image_id_that_is_no_uuid_is_never_sent(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, NULL, 0, NULL);
    assert_int_equal(
        glance_image_add_location(fixture.glance, fixture.context, "../x", URL, first, &err),
        -EINVAL);
    expect_error(&err, EINVAL, EXC_IMAGE_NOT_FOUND, 0);
    fixture_finish(&fixture);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, way_of_most)
    const struct CMUnitTest tests[] = {
        TEST(the_task_is_waited_for),
        TEST(a_patch_comes_first),
        TEST(a_post_comes_first_where_it_is_asked_for),
        TEST(the_patch_tells_what_the_post_cannot),
        TEST(the_first_refusal_is_told_where_there_is_no_post),
        TEST(refusals_are_final),
        TEST(a_missing_answer_is_looked_up),
        TEST(what_glance_took_is_no_failure),
        TEST(what_passes_is_tried_again_three_times),
        TEST(another_end_is_told),
        TEST(an_image_id_that_is_no_uuid_is_never_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
