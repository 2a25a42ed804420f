/* SPDX-License-Identifier: Apache-2.0 */
/* glance_client/upload.c: every answer of Glance to a PUT, and every way in which it can break. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "common/braces.h"
#include "common/clock.h"
#include "tests/unit/canceller.h"
#include "tests/unit/glance_client/fixture.h"
#include "tests/unit/memory_source.h"

#define SIZE (2u << 20)
#define HALF (1u << 20)

/* The image of all tests and the records Glance may show of it. */
static struct memory_source image;
static char active[1024], active_short[1024], active_altered[1024], active_unhashed[1024],
    active_sha256[1024], active_unknown[1024];

#define RECORD(status) "{\"id\": \"" IMAGE_ID "\", \"status\": \"" status "\", \"size\": null}"
#define QUEUED BRACES(.method = "GET", .path = IMAGE_PATH, .reply = RECORD("queued"))
#define SAVING BRACES(.method = "GET", .path = IMAGE_PATH, .reply = RECORD("saving"))
#define ACTIVE BRACES(.method = "GET", .path = IMAGE_PATH, .reply = active)
#define SHOWS(record) BRACES(.method = "GET", .path = IMAGE_PATH, .reply = (record))
#define GONE BRACES(.method = "GET", .path = IMAGE_PATH, .status = 404)
/* The server checks every byte, from byte 0, of every attempt. */
#define PUT .method = "PUT", .path = IMAGE_PATH "/file", .body = image.bytes, .body_bytes = SIZE
#define PUT_ANSWERED(code)                                                                         \
    BRACES(PUT, .status = (code), .reply_headers = HTML, .reply = "the reason")
#define PUT_REFUSED(code) BRACES(PUT, .action = HTTP_EARLY, .status = (code), .reply = "{}")
#define PUT_DROPPED(at) BRACES(PUT, .action = HTTP_DROP, .bytes = (at))

static void hex_digest(const char *algorithm, char hex[2 * EVP_MAX_MD_SIZE + 1])
{
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    assert_int_equal(
        EVP_Digest(image.bytes, SIZE, value, &length, EVP_get_digestbyname(algorithm), NULL), 1);
    for (unsigned i = 0; i < length; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", value[i]);
}

static void record(char *text, size_t size_bytes, const char *algorithm, const char *hex)
{
    (void)snprintf(text, 1024,
                   "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\", \"size\": %zu,"
                   " \"os_hash_algo\": %s%s%s, \"os_hash_value\": %s%s%s}",
                   size_bytes, algorithm ? "\"" : "", algorithm ? algorithm : "null",
                   algorithm ? "\"" : "", hex ? "\"" : "", hex ? hex : "null", hex ? "\"" : "");
}

static int make_image(void **state)
{
    (void)state;
    char sha512[2 * EVP_MAX_MD_SIZE + 1];
    char sha256[2 * EVP_MAX_MD_SIZE + 1];
    memory_source_init(&image, SIZE);
    hex_digest("sha512", sha512);
    hex_digest("sha256", sha256);
    record(active, SIZE, "sha512", sha512);
    record(active_short, HALF, "sha512", sha512);
    record(active_unhashed, SIZE, NULL, NULL);
    record(active_sha256, SIZE, "sha256", sha256);
    record(active_unknown, SIZE, "rot13", sha512);
    sha512[7] = sha512[7] == 'a' ? 'b' : 'a';
    record(active_altered, SIZE, "sha512", sha512);
    return 0;
}

static int free_image(void **state)
{
    (void)state;
    memory_source_done(&image);
    return 0;
}

static struct keystone_session *own_session; /* of the next run; NULL: there is none */

static int run(const struct http_step *steps, size_t count, struct error *err)
{
    struct fixture fixture;
    image.position = 0;
    image.reads = image.rewinds = 0;
    *err = (struct error)ERROR_INIT;
    fixture_start_with(&fixture, steps, count, NULL, own_session);
    int r = glance_image_upload(fixture.glance, fixture.context, IMAGE_ID, &image.base, err);
    fixture_finish(&fixture);
    assert_int_equal(r, -err->errnum);
    return r;
}

#define EXPECT_SUCCESS(...)                                                                        \
    do {                                                                                           \
        const struct http_step steps_[] = {__VA_ARGS__};                                           \
        struct error err_;                                                                         \
        if (run(steps_, ARRAY_SIZE(steps_), &err_) < 0)                                            \
            fail_msg("%s", err_.message);                                                          \
    } while (0)

#define EXPECT_FAILURE(errnum, exc, http_status, text, ...)                                        \
    do {                                                                                           \
        const struct http_step steps_[] = {__VA_ARGS__};                                           \
        struct error err_;                                                                         \
        (void)run(steps_, ARRAY_SIZE(steps_), &err_);                                              \
        expect_error(&err_, errnum, exc, http_status);                                             \
        if (!strstr(err_.message, text))                                                           \
            fail_msg("'%s' does not say '%s'", err_.message, text);                                \
    } while (0)

static void an_upload_is_verified(void **state)
{
    (void)state;
    EXPECT_SUCCESS({PUT,
                    .headers = {"X-Auth-Token: user-token", "X-OpenStack-Request-ID: req-1",
                                "Content-Type: application/octet-stream", "Content-Length: 2097152",
                                "x-openstack-image-size: 2097152", "!Transfer-Encoding"},
                    .status = 204},
                   ACTIVE);
    assert_int_equal(image.rewinds, 0); /* one pass: sent and hashed */
}

static void another_hash_is_computed_by_reading_again(void **state)
{
    (void)state;
    EXPECT_SUCCESS(PUT_ANSWERED(204), SHOWS(active_sha256));
    assert_int_equal(image.rewinds, 1);
}

static void without_a_hash_the_size_counts(void **state)
{
    (void)state;
    EXPECT_SUCCESS(PUT_ANSWERED(204), SHOWS(active_unhashed));
    EXPECT_SUCCESS(PUT_ANSWERED(204), SHOWS(active_unknown));
    /* But not of an image that somebody else may have uploaded. */
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, "no hash to verify", PUT_REFUSED(409),
                   SHOWS(active_unhashed));
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, "no hash to verify", PUT_DROPPED(SIZE),
                   SHOWS(active_unknown));
}

static void other_bytes_are_never_success(void **state)
{
    (void)state;
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, "holds 1048576 bytes instead of 2097152",
                   PUT_ANSWERED(204), SHOWS(active_short));
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, "os_hash_value", PUT_ANSWERED(204),
                   SHOWS(active_altered));
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, "os_hash_value", PUT_DROPPED(HALF),
                   SHOWS(active_altered));
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, "instead of", PUT_DROPPED(HALF),
                   SHOWS("{\"id\": \"" IMAGE_ID "\", \"status\": \"active\", \"size\": null}"));
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, "status is 'queued'", PUT_ANSWERED(204),
                   QUEUED);
}

static void final_refusals_are_not_repeated(void **state)
{
    (void)state;
    EXPECT_FAILURE(EINVAL, EXC_IMAGE_BAD_REQUEST, 400, "the reason", PUT_ANSWERED(400));
    EXPECT_FAILURE(EACCES, EXC_IMAGE_NOT_AUTHORIZED, 403, IMAGE_ID, PUT_REFUSED(403));
    EXPECT_FAILURE(ENOENT, EXC_IMAGE_NOT_FOUND, 404, IMAGE_ID, PUT_REFUSED(404));
    assert_int_equal(image.reads, 0);
    EXPECT_FAILURE(EDQUOT, EXC_IMAGE_QUOTA_EXCEEDED, 413, "the reason", PUT_ANSWERED(413));
    EXPECT_FAILURE(EPROTOTYPE, EXC_GLANCE_HTTP_EXCEPTION, 415, "the reason", PUT_ANSWERED(415));
    EXPECT_FAILURE(EREMOTEIO, EXC_GLANCE_HTTP_EXCEPTION, 307, "redirects are not followed",
                   {PUT, .action = HTTP_EARLY, .status = 307,
                    .reply_headers = "Location: http://127.0.0.1:1/\r\n"});
}

static void a_401_is_repeated_from_byte_0(void **state)
{
    (void)state;
    EXPECT_SUCCESS(PUT_REFUSED(401), PUT_ANSWERED(401), PUT_ANSWERED(204), ACTIVE);
    EXPECT_FAILURE(EACCES, EXC_IMAGE_NOT_AUTHORIZED, 401, IMAGE_ID, PUT_REFUSED(401),
                   PUT_REFUSED(401), PUT_REFUSED(401));
}

static void a_conflict_is_looked_into(void **state)
{
    (void)state;
    /* Our own earlier attempt, still being cleaned up. */
    EXPECT_SUCCESS(PUT_REFUSED(409), SAVING, SAVING, QUEUED, PUT_ANSWERED(204), ACTIVE);
    /* An earlier attempt that came through. */
    EXPECT_SUCCESS(PUT_REFUSED(409), SAVING, ACTIVE);
    assert_int_equal(image.rewinds, 1);
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, "status is 'deactivated'",
                   PUT_REFUSED(409), SHOWS(RECORD("deactivated")));
    EXPECT_FAILURE(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, "status is 'importing'", PUT_REFUSED(409),
                   SHOWS(RECORD("importing")));
}

static void a_deleted_image_is_not_found(void **state)
{
    (void)state;
    EXPECT_FAILURE(ENOENT, EXC_IMAGE_NOT_FOUND, 404, IMAGE_ID, PUT_ANSWERED(410), GONE);
    EXPECT_FAILURE(ENOENT, EXC_IMAGE_NOT_FOUND, 404, IMAGE_ID, PUT_DROPPED(HALF), SAVING, GONE);
    EXPECT_FAILURE(ENOENT, EXC_IMAGE_NOT_FOUND, 404, IMAGE_ID, PUT_ANSWERED(204), GONE);
    EXPECT_FAILURE(ENOENT, EXC_IMAGE_NOT_FOUND, 0, IMAGE_ID, PUT_ANSWERED(500),
                   SHOWS(RECORD("pending_delete")));
    /* 410 for another reason: the store takes nothing; the record must not be used again. */
    EXPECT_FAILURE(EREMOTEIO, EXC_GLANCE_HTTP_EXCEPTION, 410, "the reason", PUT_ANSWERED(410),
                   QUEUED);
}

static void server_errors_are_repeated_from_byte_0(void **state)
{
    (void)state;
    EXPECT_SUCCESS(PUT_ANSWERED(500), SAVING, QUEUED, PUT_ANSWERED(502), QUEUED, PUT_ANSWERED(204),
                   ACTIVE);
    assert_int_equal(image.rewinds, 2);
    EXPECT_SUCCESS(PUT_ANSWERED(504), ACTIVE);
    EXPECT_SUCCESS(PUT_REFUSED(429), PUT_ANSWERED(204), ACTIVE);
    EXPECT_FAILURE(EREMOTEIO, EXC_GLANCE_HTTP_SERVER_ERROR, 500, "the reason", PUT_ANSWERED(500),
                   QUEUED, PUT_ANSWERED(500), QUEUED, PUT_ANSWERED(500), QUEUED);
    EXPECT_FAILURE(EREMOTEIO, EXC_GLANCE_CONNECTION_FAILED, 503, "503", PUT_REFUSED(503), QUEUED,
                   PUT_REFUSED(503), QUEUED, PUT_REFUSED(503), QUEUED);
}

static void retry_after_is_obeyed(void **state)
{
    (void)state;
    uint64_t begun_ms = clock_now_ms();
    EXPECT_SUCCESS(
        {PUT, .action = HTTP_EARLY, .status = 503, .reply_headers = "Retry-After: 1\r\n"}, QUEUED,
        PUT_ANSWERED(204), ACTIVE);
    assert_true(clock_now_ms() - begun_ms >= 1000);
}

static void a_broken_connection_is_repeated_from_byte_0(void **state)
{
    (void)state;
    EXPECT_SUCCESS(PUT_DROPPED(HALF), SAVING, QUEUED, PUT_DROPPED(0), QUEUED, PUT_ANSWERED(204),
                   ACTIVE);
    assert_int_equal(image.rewinds, 2);
    /* Everything arrived, only the answer was lost. */
    EXPECT_SUCCESS(PUT_DROPPED(SIZE), ACTIVE);
    assert_int_equal(image.rewinds, 0);
    EXPECT_SUCCESS({PUT, .action = HTTP_RAW, .reply = "garbage\r\n\r\n"}, ACTIVE);
    EXPECT_FAILURE(ECONNRESET, EXC_GLANCE_CONNECTION_FAILED, 0, IMAGE_ID, PUT_DROPPED(HALF), QUEUED,
                   PUT_DROPPED(HALF), QUEUED, PUT_DROPPED(HALF), QUEUED);
}

/* Larger than what the kernel takes in without the server. */
static void a_stalled_upload_is_looked_into(void **state)
{
    (void)state;
    struct memory_source large;
    memory_source_init(&large, 32u << 20);
    const struct http_step steps[] = {{.action = HTTP_STALL, .bytes = HALF}, SAVING, GONE};
    struct fixture fixture;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), NULL);
    assert_int_equal(
        glance_image_upload(fixture.glance, fixture.context, IMAGE_ID, &large.base, &err), -ENOENT);
    expect_error(&err, ENOENT, EXC_IMAGE_NOT_FOUND, 404);
    fixture_finish(&fixture);
    memory_source_done(&large);
}

#define REFUSED                                                                                    \
    BRACES(.method = "GET", .path = IMAGE_PATH, .headers = {"X-Auth-Token: user-token"},           \
           .status = 401)

/* Glance asks about the token when a request begins, and it has expired since the PUT began. */
static void what_glance_took_is_no_failure(void **state)
{
    (void)state;
    EXPECT_SUCCESS(PUT_ANSWERED(204), REFUSED, REFUSED);
    EXPECT_SUCCESS(PUT_ANSWERED(204), SAVING, REFUSED, REFUSED);
    EXPECT_SUCCESS(PUT_ANSWERED(204), {.method = "GET", .path = IMAGE_PATH, .status = 403});
    /* Nobody has said so of these. */
    EXPECT_FAILURE(EACCES, EXC_IMAGE_NOT_AUTHORIZED, 401, "what became of it is not known",
                   PUT_DROPPED(SIZE), REFUSED, REFUSED);
    EXPECT_FAILURE(EACCES, EXC_IMAGE_NOT_AUTHORIZED, 401, "what became of it is not known",
                   PUT_ANSWERED(500), REFUSED, REFUSED);
}

#define TOKEN(token)                                                                               \
    BRACES(.status = 201,                                                                          \
           .reply_headers = "X-Subject-Token: " token "\r\nContent-Type: application/json\r\n",    \
           .reply = "{\"token\": {\"issued_at\": \"2026-11-23T00:00:00.000000Z\","                 \
                    " \"expires_at\": \"2026-11-23T01:00:00.000000Z\"}}")

static struct keystone_session *session_with(const struct http_script *keystone)
{
    struct error err = ERROR_INIT;
    struct keystone_session *session = NULL;
    const struct keystone_options options = {.auth_type = "v3applicationcredential",
                                             .auth_url = http_script_url(keystone),
                                             .application_credential_id = "AC",
                                             .application_credential_secret = "s"};
    assert_int_equal(keystone_session_new(&options, &session, &err), 0);
    return session;
}

#define ASKED_BY_OURSELVES(record)                                                                 \
    BRACES(.method = "GET", .path = IMAGE_PATH,                                                    \
           .headers = {"X-Auth-Token: own-token", "!X-Service-Token"}, .reply = (record))

static int run_with_own_session(const struct http_step *steps, size_t count, struct error *err)
{
    static const struct http_step token = TOKEN("own-token");
    struct http_script *keystone = http_script_start(&token, 1);
    own_session = session_with(keystone);
    int r = run(steps, count, err);
    keystone_session_free(own_session);
    own_session = NULL;
    http_script_finish(keystone);
    return r;
}

/* Of [glance]num_retries = 0 nothing is repeated but what a stale service token has refused. */
static void a_stale_service_token_is_renewed_once(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    const struct http_step tokens[] = {TOKEN("S1"), TOKEN("S2"), TOKEN("S3")};
    struct http_script *keystone = http_script_start(tokens, ARRAY_SIZE(tokens));
    struct keystone_session *session = session_with(keystone);
    const struct http_step steps[] = {
        {.method = "PUT", .headers = {"X-Service-Token: S1"}, .action = HTTP_EARLY, .status = 401},
        {PUT, .headers = {"X-Service-Token: S2"}, .status = 204},
        ACTIVE,
        {.method = "PUT", .action = HTTP_EARLY, .status = 401},
        {.method = "PUT", .action = HTTP_EARLY, .status = 401},
    };
    struct fixture fixture;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), session);
    fixture_never_repeats(&fixture, session);
    image.position = 0;
    assert_int_equal(
        glance_image_upload(fixture.glance, fixture.context, IMAGE_ID, &image.base, &err), 0);
    image.position = 0;
    assert_int_equal(
        glance_image_upload(fixture.glance, fixture.context, IMAGE_ID, &image.base, &err), -EACCES);
    fixture_finish(&fixture);
    keystone_session_free(session);
    http_script_finish(keystone);
}

static void it_is_looked_at_by_ourselves(void **state)
{
    (void)state;
    struct error err;
    const struct http_step whole[] = {PUT_ANSWERED(204), REFUSED, REFUSED,
                                      ASKED_BY_OURSELVES(active)};
    assert_int_equal(run_with_own_session(whole, ARRAY_SIZE(whole), &err), 0);
    const struct http_step unanswered[] = {PUT_DROPPED(SIZE), REFUSED, REFUSED,
                                           ASKED_BY_OURSELVES(active)};
    assert_int_equal(run_with_own_session(unanswered, ARRAY_SIZE(unanswered), &err), 0);
    const struct http_step altered[] = {PUT_ANSWERED(204), REFUSED, REFUSED,
                                        ASKED_BY_OURSELVES(active_altered)};
    assert_int_equal(run_with_own_session(altered, ARRAY_SIZE(altered), &err), -EREMOTEIO);
    expect_error(&err, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0);
}

/* A service user without a role in the image's project is told that there is none. */
static void what_we_may_not_see_is_no_answer(void **state)
{
    (void)state;
    struct error err;
    const struct http_step steps[] = {PUT_ANSWERED(204),
                                      REFUSED,
                                      REFUSED,
                                      {.method = "GET",
                                       .path = IMAGE_PATH,
                                       .headers = {"X-Auth-Token: own-token"},
                                       .status = 404}};
    assert_int_equal(run_with_own_session(steps, ARRAY_SIZE(steps), &err), 0);
}

static void saving_for_ever_is_given_up(void **state)
{
    (void)state;
    struct http_step steps[151] = {PUT_DROPPED(SIZE)};
    for (size_t i = 1; i < ARRAY_SIZE(steps); i++)
        steps[i] = (struct http_step)SAVING;
    struct error err;
    (void)run(steps, ARRAY_SIZE(steps), &err);
    expect_error(&err, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0);
    assert_non_null(strstr(err.message, "goes on saving"));
}

/* Its worker died: nothing will ever come of an image that was sent in part. */
static void a_part_that_is_saved_for_ever_is_given_up_sooner(void **state)
{
    (void)state;
    const struct http_step steps[] = {{.action = HTTP_DROP, .bytes = HALF}, SAVING};
    struct memory_source large; /* than what the kernel takes in without the server */
    struct fixture fixture;
    struct glance *patient = NULL;
    struct error err = ERROR_INIT;
    memory_source_init(&large, 32u << 20);
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), NULL);
    /* The next look would come behind stall_timeout, but before a whole image is given up. */
    const struct glance_options options = {
        .endpoint_override = http_script_url(fixture.script),
        .stall_timeout_s = 2,
        .poll_interval_ms = 160000,
        .http = REST_HTTP_OPTIONS,
    };
    uint64_t begun_ms = clock_now_ms();
    assert_int_equal(glance_new(&options, NULL, &patient, &err), 0);
    assert_int_equal(glance_image_upload(patient, fixture.context, IMAGE_ID, &large.base, &err),
                     -EREMOTEIO);
    expect_error(&err, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0);
    assert_non_null(strstr(err.message, "goes on saving"));
    assert_true(clock_now_ms() - begun_ms < 9000);
    glance_free(patient);
    fixture_finish(&fixture);
    memory_source_done(&large);
}

/* Restarted in the middle: it is back, and has put the image back. */
static void a_glance_that_is_away_is_waited_for(void **state)
{
    (void)state;
    EXPECT_SUCCESS(PUT_DROPPED(HALF), {.status = 503}, {.status = 503}, {.status = 503},
                   {.status = 503}, {.status = 502}, {.action = HTTP_DROP}, SAVING, QUEUED,
                   PUT_ANSWERED(204), {.status = 504}, ACTIVE);
    assert_int_equal(image.rewinds, 1);
}

/* Every wait is longer than the test: that it ends shows who ended it. */
static void cancel(struct http_step *steps, size_t count, struct canceller *canceller)
{
    struct fixture fixture;
    struct glance *patient = NULL;
    struct error err = ERROR_INIT;
    steps[count - 1].then = canceller_request;
    steps[count - 1].then_opaque = canceller;
    canceller_enter(canceller);
    fixture_start(&fixture, steps, count, NULL);
    const struct glance_options options = {
        .endpoint_override = http_script_url(fixture.script),
        .num_retries = 3,
        .stall_timeout_s = 600,
        .poll_interval_ms = 1600000,
        .http = {.retry_delay_ms = 60000, .timeout_s = 600},
    };
    uint64_t begun_ms = clock_now_ms();
    image.position = 0;
    assert_int_equal(glance_new(&options, NULL, &patient, &err), 0);
    assert_cancelled(glance_image_upload(patient, fixture.context, IMAGE_ID, &image.base, &err),
                     &err);
    assert_true(clock_now_ms() - begun_ms < CANCELLER_MAX_MS);
    glance_free(patient);
    fixture_finish(&fixture);
    canceller_leave(canceller);
}

static void a_cancelled_upload_is_over(void **state)
{
    (void)state;
    struct canceller canceller;
    struct http_step sending[] = {{PUT, .action = HTTP_STALL, .bytes = HALF}};
    struct http_step settling[] = {PUT_DROPPED(HALF), SAVING};
    struct http_step between[] = {PUT_DROPPED(HALF), QUEUED};
    cancel(sending, ARRAY_SIZE(sending), &canceller);
    cancel(settling, ARRAY_SIZE(settling), &canceller);
    cancel(between, ARRAY_SIZE(between), &canceller);
}

static void a_source_that_fails_ends_the_upload(void **state)
{
    (void)state;
    struct error err;
    const struct http_step cut[] = {{.action = HTTP_STALL, .bytes = SIZE}};
    image.fail_at = HALF;
    (void)run(cut, ARRAY_SIZE(cut), &err);
    image.fail_at = SIZE_MAX;
    expect_error(&err, EIO, EXC_INTERNAL_ERROR, 0);
    assert_string_equal(err.message, "the disk is broken");

    image.length = HALF; /* a file that has become shorter */
    (void)run(cut, ARRAY_SIZE(cut), &err);
    image.length = SIZE;
    expect_error(&err, EIO, EXC_INTERNAL_ERROR, 0);
    assert_non_null(strstr(err.message, "ended after"));

    const struct http_step dropped[] = {PUT_DROPPED(HALF), QUEUED};
    image.rewind_fails = true;
    (void)run(dropped, ARRAY_SIZE(dropped), &err);
    image.rewind_fails = false;
    expect_error(&err, ESTALE, EXC_INTERNAL_ERROR, 0);
    assert_string_equal(err.message, "the bytes have changed");
}

static void nothing_is_sent_without_data_or_id(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error err = ERROR_INIT;
    struct memory_source empty;
    memory_source_init(&empty, 0);
    fixture_start(&fixture, NULL, 0, NULL);
    assert_int_equal(
        glance_image_upload(fixture.glance, fixture.context, IMAGE_ID, &empty.base, &err), -EINVAL);
    expect_error(&err, EINVAL, EXC_IMAGE_UPLOAD_FAILED, 0);
    assert_int_equal(
        glance_image_upload(fixture.glance, fixture.context, "../x", &image.base, &err), -EINVAL);
    expect_error(&err, EINVAL, EXC_IMAGE_NOT_FOUND, 0);
    fixture_finish(&fixture);
    memory_source_done(&empty);
}

static void no_server_is_a_failed_connection(void **state)
{
    (void)state;
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_script_unused_port());
    const struct glance_options options = {
        .endpoint_override = url,
        .num_retries = 1,
        .stall_timeout_s = 1,
        .poll_interval_ms = 100,
        .http = {.retry_delay_ms = 1},
    };
    struct glance *glance = NULL;
    struct request_context *context = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(request_context_new_admin(&context, &err), 0);
    assert_int_equal(glance_new(&options, NULL, &glance, &err), 0);
    assert_int_equal(glance_image_upload(glance, context, IMAGE_ID, &image.base, &err),
                     -ECONNREFUSED);
    expect_error(&err, ECONNREFUSED, EXC_GLANCE_CONNECTION_FAILED, 0);
    glance_free(glance);
    request_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upload_is_verified),
        cmocka_unit_test(another_hash_is_computed_by_reading_again),
        cmocka_unit_test(without_a_hash_the_size_counts),
        cmocka_unit_test(other_bytes_are_never_success),
        cmocka_unit_test(final_refusals_are_not_repeated),
        cmocka_unit_test(a_401_is_repeated_from_byte_0),
        cmocka_unit_test(a_conflict_is_looked_into),
        cmocka_unit_test(a_deleted_image_is_not_found),
        cmocka_unit_test(server_errors_are_repeated_from_byte_0),
        cmocka_unit_test(retry_after_is_obeyed),
        cmocka_unit_test(a_broken_connection_is_repeated_from_byte_0),
        cmocka_unit_test(a_stalled_upload_is_looked_into),
        cmocka_unit_test(what_glance_took_is_no_failure),
        cmocka_unit_test(it_is_looked_at_by_ourselves),
        cmocka_unit_test(what_we_may_not_see_is_no_answer),
        cmocka_unit_test(a_stale_service_token_is_renewed_once),
        cmocka_unit_test(saving_for_ever_is_given_up),
        cmocka_unit_test(a_source_that_fails_ends_the_upload),
        cmocka_unit_test(nothing_is_sent_without_data_or_id),
        cmocka_unit_test(no_server_is_a_failed_connection),
        cmocka_unit_test(a_part_that_is_saved_for_ever_is_given_up_sooner),
        cmocka_unit_test(a_glance_that_is_away_is_waited_for),
        cmocka_unit_test(a_cancelled_upload_is_over),
    };
    return cmocka_run_group_tests(tests, make_image, free_image);
}
