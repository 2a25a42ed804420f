/* SPDX-License-Identifier: Apache-2.0 */
/* glance_client/image.c and, with it, the repetitions and error classes of call.c. */
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

#define QUEUED "{\"id\": \"" IMAGE_ID "\", \"status\": \"queued\", \"name\": null, \"size\": null}"

static void a_record_is_read(void **state)
{
    (void)state;
    const struct http_step steps[] = {{
        .method = "GET",
        .path = IMAGE_PATH,
        .headers = {"X-Auth-Token: user-token", "X-OpenStack-Request-ID: req-1",
                    "User-Agent: nova-snapshot-agent/" VERSION, "!X-Service-Token", "!Content-Type",
                    "!x-openstack-image-size"},
        .reply =
            "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\", \"name\": \"snap\","
            " \"size\": 5368709120, \"disk_format\": \"qcow2\", \"container_format\": \"bare\","
            " \"os_hash_algo\": \"sha512\", \"os_hash_value\": \"ab\", \"hw_rng\": \"x\"}",
    }};
    struct fixture fixture;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), NULL);
    struct glance_image image;
    struct error err = ERROR_INIT;
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err), 0);
    assert_string_equal(image.status, "active");
    assert_string_equal(image.name, "snap");
    assert_string_equal(image.disk_format, "qcow2");
    assert_string_equal(image.container_format, "bare");
    assert_string_equal(image.os_hash_algo, "sha512");
    assert_string_equal(image.os_hash_value, "ab");
    assert_true(image.size_bytes == 5368709120);
    assert_string_equal(json_string_value(json_object_get(image.object, "hw_rng")), "x");
    glance_image_done(&image);
    fixture_finish(&fixture);
}

static void unset_members_are_told(void **state)
{
    (void)state;
    const struct http_step steps[] = {{.reply = QUEUED}};
    struct fixture fixture;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), NULL);
    struct glance_image image;
    struct error err = ERROR_INIT;
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err), 0);
    assert_null(image.name);
    assert_null(image.disk_format);
    assert_null(image.os_hash_algo);
    assert_int_equal(image.size_bytes, -1);
    glance_image_done(&image);
    fixture_finish(&fixture);
}

static void an_image_id_that_is_no_uuid_is_never_sent(void **state)
{
    (void)state;
    static const char *const ids[] = {"",
                                      "1",
                                      "../../v3/users",
                                      "http://evil/v2/images/" IMAGE_ID,
                                      IMAGE_ID "/",
                                      IMAGE_ID "\r\n",
                                      NULL};
    struct fixture fixture;
    fixture_start(&fixture, NULL, 0, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        struct glance_image image;
        struct error err = ERROR_INIT;
        assert_int_equal(glance_image_get(fixture.glance, fixture.context, ids[i], &image, &err),
                         -EINVAL);
        expect_error(&err, EINVAL, EXC_IMAGE_NOT_FOUND, 0);
        assert_int_equal(glance_image_delete(fixture.glance, fixture.context, ids[i], &err),
                         -EINVAL);
    }
    fixture_finish(&fixture);
}

/* One answer that is final. */
static void expect_get_error(const struct http_step *step, int errnum, const char *exc,
                             const char *text)
{
    struct fixture fixture;
    fixture_start(&fixture, step, 1, NULL);
    struct glance_image image;
    struct error err = ERROR_INIT;
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err),
                     -errnum);
    expect_error(&err, errnum, exc, (int)step->status);
    if (!strstr(err.message, text))
        fail_msg("'%s' does not say '%s'", err.message, text);
    fixture_finish(&fixture);
}

/* Without repetition. */
static void expect_refusal(const struct http_step *step, int errnum, const char *module,
                           const char *exc, const char *text)
{
    struct fixture fixture;
    struct glance_image image;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, step, 1, NULL);
    fixture_never_repeats(&fixture, NULL);
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err),
                     -errnum);
    fixture_finish(&fixture);
    expect_error(&err, errnum, exc, (int)step->status);
    assert_string_equal(err.module, module);
    if (!strstr(err.message, text))
        fail_msg("'%s' does not say '%s'", err.message, text);
}

#define GLANCECLIENT "glanceclient.exc"
#define NOVA "nova.exception"

/*
 * What nova-compute makes of an answer about an image, Zed's as 2025.1's: glanceclient.exc:
 * from_response, nova.image.glance:_translate_image_exception, and of those that pass its
 * GlanceClientWrapper.call. 429, 502 and 504 pass on purpose, docs/compatibility.md.
 */
static void refusals_have_novas_classes(void **state)
{
    static const struct {
        unsigned status;
        int errnum;
        const char *module, *exc, *text;
    } refusals[] = {
        {300, EREMOTEIO, GLANCECLIENT, "HTTPMultipleChoices", "300"},
        {301, EREMOTEIO, GLANCECLIENT, "HTTPException", "redirects are not followed"},
        {400, EINVAL, NOVA, "ImageBadRequest", "400: 400 Bad no"},
        {401, EACCES, NOVA, "ImageNotAuthorized", IMAGE_ID},
        {402, EREMOTEIO, GLANCECLIENT, "HTTPException", "402"},
        {403, EACCES, NOVA, "ImageNotAuthorized", IMAGE_ID},
        {404, ENOENT, NOVA, "ImageNotFound", IMAGE_ID},
        {405, EREMOTEIO, GLANCECLIENT, "HTTPMethodNotAllowed", "405"},
        {406, EREMOTEIO, GLANCECLIENT, "HTTPException", "406"},
        {409, EBUSY, GLANCECLIENT, "HTTPConflict", "409"},
        {410, EREMOTEIO, GLANCECLIENT, "HTTPException", "410"},
        {412, EREMOTEIO, GLANCECLIENT, "HTTPException", "412"},
        {413, EDQUOT, NOVA, "ImageQuotaExceeded", IMAGE_ID},
        {415, EPROTOTYPE, GLANCECLIENT, "HTTPException", "415: 400 Bad no"},
        {416, EREMOTEIO, GLANCECLIENT, "HTTPException", "416"},
        {418, EREMOTEIO, GLANCECLIENT, "HTTPException", "418"},
        {429, EREMOTEIO, NOVA, "GlanceConnectionFailed", "429"},
        {500, EREMOTEIO, GLANCECLIENT, "HTTPInternalServerError", "500"},
        {501, EREMOTEIO, GLANCECLIENT, "HTTPNotImplemented", "501"},
        {502, EREMOTEIO, NOVA, "GlanceConnectionFailed", "502"},
        {503, EREMOTEIO, NOVA, "GlanceConnectionFailed", "503"},
        {504, EREMOTEIO, NOVA, "GlanceConnectionFailed", "504"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        const struct http_step step = {.status = refusals[i].status,
                                       .reply_headers = HTML,
                                       .reply = "<body><h1>400 Bad</h1>no</body>"};
        expect_refusal(&step, refusals[i].errnum, refusals[i].module, refusals[i].exc,
                       refusals[i].text);
    }
}

static void hostile_records_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"id\": \"" IMAGE_ID "\"}",
        "{\"id\": 1, \"status\": \"active\"}",
        "{\"id\": \"" IMAGE_ID "\", \"status\": [\"active\"]}",
        "{\"id\": \"00000000-5d3a-4a0e-9f52-0d8f6d7c1f00\", \"status\": \"active\"}",
        "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\", \"size\": -1}",
        "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\", \"size\": \"1\"}",
        "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\", \"size\": 1.5}",
        "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\", \"size\": 99999999999999999999}",
        "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\", \"name\": {}}",
        "{\"id\": \"" IMAGE_ID "\", \"status\": \"act\\u0000ive\"}",
        "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\"} trailing",
        "{\"id\": \"\xc3\x28\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        const struct http_step step = {.reply = bodies[i]};
        expect_get_error(&step, EBADMSG, EXC_INTERNAL_ERROR, "Glance's");
    }
    char deep[20001];
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    const struct http_step nested = {.reply = deep};
    expect_get_error(&nested, EBADMSG, EXC_INTERNAL_ERROR, "no JSON");
    const struct http_step page = {.reply_headers = HTML, .reply = QUEUED};
    expect_get_error(&page, EBADMSG, EXC_INTERNAL_ERROR, "not sent as JSON");
}

static void passing_failures_are_tried_again(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.action = HTTP_DROP},
        {.status = 500},
        {.status = 504},
        {.reply = QUEUED},
        {.status = 429},
        {.status = 502},
        {.action = HTTP_TRUNCATE, .reply = QUEUED, .bytes = 20},
        {.reply = QUEUED},
    };
    struct fixture fixture;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), NULL);
    for (int i = 0; i < 2; i++) {
        struct glance_image image;
        struct error err = ERROR_INIT;
        assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err),
                         0);
        assert_int_equal(err.errnum, 0);
        glance_image_done(&image);
    }
    fixture_finish(&fixture);
}

static void the_repetitions_end(void **state)
{
    (void)state;
    const struct http_step busy[] = {{.status = 503},
                                     {.status = 503},
                                     {.status = 503},
                                     {.status = 503, .reply_headers = HTML, .reply = "busy"}};
    struct fixture fixture;
    struct glance_image image;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, busy, ARRAY_SIZE(busy), NULL);
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err),
                     -EREMOTEIO);
    expect_error(&err, EREMOTEIO, EXC_GLANCE_CONNECTION_FAILED, 503);
    assert_non_null(strstr(err.message, "busy"));
    fixture_finish(&fixture);

    const struct http_step gone[] = {
        {.action = HTTP_DROP}, {.action = HTTP_DROP}, {.action = HTTP_DROP}, {.action = HTTP_DROP}};
    fixture_start(&fixture, gone, ARRAY_SIZE(gone), NULL);
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err),
                     -ECONNRESET);
    expect_error(&err, ECONNRESET, EXC_GLANCE_CONNECTION_FAILED, 0);
    fixture_finish(&fixture);
}

static void a_401_has_one_more_chance(void **state)
{
    (void)state;
    const struct http_step once[] = {{.status = 401}, {.reply = QUEUED}};
    struct fixture fixture;
    struct glance_image image;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, once, ARRAY_SIZE(once), NULL);
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err), 0);
    glance_image_done(&image);
    fixture_finish(&fixture);

    const struct http_step twice[] = {{.status = 401}, {.status = 401}};
    fixture_start(&fixture, twice, ARRAY_SIZE(twice), NULL);
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err),
                     -EACCES);
    expect_error(&err, EACCES, EXC_IMAGE_NOT_AUTHORIZED, 401);
    fixture_finish(&fixture);
}

#define KEYSTONE(token)                                                                            \
    BRACES(.method = "POST", .path = "/v3/auth/tokens?nocatalog", .status = 201,                   \
           .reply_headers = "X-Subject-Token: " token "\r\nContent-Type: application/json\r\n",    \
           .reply = "{\"token\": {\"issued_at\": \"2026-11-23T00:00:00Z\","                        \
                    " \"expires_at\": \"2026-11-23T01:00:00Z\"}}")

static struct keystone_session *open_session(struct http_script *keystone)
{
    const struct keystone_options options = {.auth_type = "v3applicationcredential",
                                             .auth_url = http_script_url(keystone),
                                             .application_credential_id = "AC",
                                             .application_credential_secret = "s",
                                             .http = {.retry_delay_ms = 1}};
    struct keystone_session *session = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(keystone_session_new(&options, &session, &err), 0);
    return session;
}

static void a_401_fetches_a_fresh_service_token(void **state)
{
    (void)state;
    const struct http_step keystone_steps[] = {KEYSTONE("S1"), KEYSTONE("S2")};
    const struct http_step steps[] = {
        {.headers = {"X-Service-Token: S1", "X-Auth-Token: user-token"}, .status = 401},
        {.headers = {"X-Service-Token: S2", "X-Auth-Token: user-token"}, .reply = QUEUED},
        {.headers = {"X-Service-Token: S2"}, .status = 204},
    };
    struct http_script *keystone = http_script_start(keystone_steps, ARRAY_SIZE(keystone_steps));
    struct keystone_session *session = open_session(keystone);
    struct fixture fixture;
    struct glance_image image;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), session);
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err), 0);
    glance_image_done(&image);
    assert_int_equal(glance_image_delete(fixture.glance, fixture.context, IMAGE_ID, &err), 0);
    fixture_finish(&fixture);
    keystone_session_free(session);
    http_script_finish(keystone);
}

/* keystoneauth1 does it whatever [glance]num_retries says: nothing is tried again but the token. */
static void without_retries_as_well(void **state)
{
    (void)state;
    const struct http_step keystone_steps[] = {KEYSTONE("S1"), KEYSTONE("S2")};
    const struct http_step steps[] = {
        {.headers = {"X-Service-Token: S1"}, .status = 401},
        {.headers = {"X-Service-Token: S2"}, .reply = QUEUED},
        {.status = 503}, /* DELETE */
    };
    struct http_script *keystone = http_script_start(keystone_steps, ARRAY_SIZE(keystone_steps));
    struct keystone_session *session = open_session(keystone);
    struct fixture fixture;
    struct glance_image image;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), session);
    fixture_never_repeats(&fixture, session);
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err), 0);
    glance_image_done(&image);
    assert_true(glance_image_delete(fixture.glance, fixture.context, IMAGE_ID, &err) < 0);
    expect_error(&err, EREMOTEIO, EXC_GLANCE_CONNECTION_FAILED, 503);
    fixture_finish(&fixture);
    keystone_session_free(session);
    http_script_finish(keystone);
}

/* A proxy that shows on its page what it was sent. The service token is given up meanwhile. */
static void a_reason_shows_no_token(void **state)
{
    (void)state;
    const struct http_step keystone_steps[] = {KEYSTONE("service-token-1"),
                                               KEYSTONE("service-token-2")};
    const char page[] = "X-Auth-Token: user-token; X-Service-Token: service-token-2";
    const struct http_step steps[] = {
        {.status = 401, .reply = page},
        {.status = 401, .reply_headers = "Content-Type: text/plain\r\n", .reply = page},
    };
    struct http_script *keystone = http_script_start(keystone_steps, ARRAY_SIZE(keystone_steps));
    struct keystone_session *session = open_session(keystone);
    struct fixture fixture;
    struct glance_image image;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), session);
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err),
                     -EACCES);
    assert_non_null(strstr(err.message, "X-Auth-Token: ***; X-Service-Token: ***"));
    fixture_finish(&fixture);
    keystone_session_free(session);
    http_script_finish(keystone);
}

static void no_service_token_no_request(void **state)
{
    (void)state;
    const struct http_step keystone_steps[] = {{.status = 401}};
    struct http_script *keystone = http_script_start(keystone_steps, ARRAY_SIZE(keystone_steps));
    struct keystone_session *session = open_session(keystone);
    struct fixture fixture;
    struct glance_image image;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, NULL, 0, session);
    assert_int_equal(glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err),
                     -EACCES);
    expect_error(&err, EACCES, EXC_UNAUTHORIZED, 401);
    assert_non_null(strstr(err.message, "no service token for Glance: Keystone refused"));
    fixture_finish(&fixture);
    keystone_session_free(session);
    http_script_finish(keystone);
}

static void a_request_id_cannot_smuggle_a_header(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL, 0, NULL);
    struct request_context evil = *fixture.context;
    evil.request_id = "req-1\r\nX-Service-Token: forged";
    struct glance_image image;
    struct error err = ERROR_INIT;
    assert_int_equal(glance_image_get(fixture.glance, &evil, IMAGE_ID, &image, &err), -EINVAL);
    assert_non_null(strstr(err.message, "X-OpenStack-Request-ID"));
    fixture_finish(&fixture);
}

static void deleting(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.method = "DELETE", .path = IMAGE_PATH, .headers = {"!Content-Type"}, .status = 204},
        {.status = 404},
        {.status = 409, .reply_headers = HTML, .reply = "in use"},
        {.status = 503},
        {.status = 204},
        {.status = 500},
    };
    struct fixture fixture;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), NULL);
    struct glance *glance = fixture.glance;
    assert_int_equal(glance_image_delete(glance, fixture.context, IMAGE_ID, &err), 0);
    assert_int_equal(glance_image_delete(glance, fixture.context, IMAGE_ID, &err), -ENOENT);
    expect_error(&err, ENOENT, EXC_IMAGE_NOT_FOUND, 404);
    assert_int_equal(glance_image_delete(glance, fixture.context, IMAGE_ID, &err), -EBUSY);
    expect_error(&err, EBUSY, EXC_IMAGE_DELETE_CONFLICT, 409);
    assert_non_null(strstr(err.message, "in use"));
    assert_int_equal(glance_image_delete(glance, fixture.context, IMAGE_ID, &err), 0);
    assert_int_equal(glance_image_delete(glance, fixture.context, IMAGE_ID, &err), -EREMOTEIO);
    expect_error(&err, EREMOTEIO, EXC_GLANCE_HTTP_SERVER_ERROR, 500);
    fixture_finish(&fixture);
}

static void a_peek_is_one_attempt(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.method = "GET", .path = IMAGE_PATH, .reply = QUEUED},
        {.status = 503},
        {.status = 404},
        {.action = HTTP_STALL},
    };
    static const int results[] = {0, -EREMOTEIO, -ENOENT, -ETIMEDOUT};
    struct fixture fixture;
    struct glance_image image = {0};
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), NULL);
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct error err = ERROR_INIT;
        assert_int_equal(glance_image_peek(fixture.glance, fixture.context, IMAGE_ID,
                                           i < 3 ? 5000 : 300, &image, &err),
                         results[i]);
        assert_int_equal(err.errnum, -results[i]);
        if (i == 0)
            assert_string_equal(image.status, "queued");
    }
    glance_image_done(&image);
    struct error err = ERROR_INIT;
    assert_int_equal(glance_image_peek(fixture.glance, fixture.context, "x", 1, &image, &err),
                     -EINVAL);
    fixture_finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_read),
        cmocka_unit_test(unset_members_are_told),
        cmocka_unit_test(an_image_id_that_is_no_uuid_is_never_sent),
        cmocka_unit_test(refusals_have_novas_classes),
        cmocka_unit_test(hostile_records_are_refused),
        cmocka_unit_test(passing_failures_are_tried_again),
        cmocka_unit_test(the_repetitions_end),
        cmocka_unit_test(a_401_has_one_more_chance),
        cmocka_unit_test(a_401_fetches_a_fresh_service_token),
        cmocka_unit_test(without_retries_as_well),
        cmocka_unit_test(a_reason_shows_no_token),
        cmocka_unit_test(no_service_token_no_request),
        cmocka_unit_test(a_request_id_cannot_smuggle_a_header),
        cmocka_unit_test(deleting),
        cmocka_unit_test(a_peek_is_one_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
