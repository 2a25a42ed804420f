/* SPDX-License-Identifier: Apache-2.0 */
/* cinder_client/limits.c, cinder_client/reach.c and cinder_client/attachment.c */
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

#define ATTACHMENT_ID OTHER_ID
#define ATTACHMENT_PATH BASE "/attachments/" ATTACHMENT_ID

static void limits_are_read(void **state)
{
    (void)state;
    const struct http_step steps[] = {{
        .method = "GET",
        .path = BASE "/limits",
        .reply = "{\"limits\": {\"rate\": [], \"absolute\": {\"totalSnapshotsUsed\": 3,"
                 " \"maxTotalSnapshots\": 10, \"totalGigabytesUsed\": 70,"
                 " \"maxTotalVolumeGigabytes\": -1, \"maxTotalVolumes\": 10}}}",
    }};
    struct fixture fixture;
    struct cinder_limits limits;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps));
    if (cinder_limits_get(fixture.cinder, fixture.context, &limits, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(limits.max_snapshots, 10);
    assert_int_equal(limits.used_snapshots, 3);
    assert_int_equal(limits.max_gigabytes, -1);
    assert_int_equal(limits.used_gigabytes, 70);
    fixture_finish(&fixture);
}

static void a_cinder_that_answers_is_reached(void **state)
{
    (void)state;
    const struct http_step steps[] = {{.method = "GET", .path = BASE "/limits", .reply = "{}"},
                                      {.method = "GET", .path = BASE "/limits", .status = 403}};
    struct fixture fixture;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps));
    assert_int_equal(cinder_reach(fixture.cinder, fixture.context, 20000, &err), 0);
    assert_int_equal(cinder_reach(fixture.cinder, fixture.context, 20000, &err), -EACCES);
    assert_non_null(strstr(err.message, "Cinder forbids GET of Limits of the project"));
    fixture_finish(&fixture);
}

static void unusable_limits_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "{\"limits\": 1}",
        "{\"limits\": {\"absolute\": []}}",
        "{\"limits\": {\"absolute\": {\"totalSnapshotsUsed\": 3, \"maxTotalSnapshots\": \"10\","
        " \"totalGigabytesUsed\": 70, \"maxTotalVolumeGigabytes\": -1}}}",
        "{\"limits\": {\"absolute\": {\"totalSnapshotsUsed\": 3, \"maxTotalSnapshots\": 10,"
        " \"totalGigabytesUsed\": 70, \"maxTotalVolumeGigabytes\": -2}}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        const struct http_step step = {.reply = bodies[i]};
        struct fixture fixture;
        struct cinder_limits limits = {.max_snapshots = 77};
        struct error err = ERROR_INIT;
        fixture_start(&fixture, &step, 1);
        assert_int_equal(cinder_limits_get(fixture.cinder, fixture.context, &limits, &err),
                         -EBADMSG);
        assert_int_equal(limits.max_snapshots, 77);
        fixture_finish(&fixture);
    }
}

static int get_attachment(const struct http_step *step, json_t **ret_attachment, struct error *err)
{
    struct fixture fixture;
    fixture_start(&fixture, step, 1);
    *err = (struct error)ERROR_INIT;
    int r = cinder_attachment_connection_info(fixture.cinder, fixture.context, ATTACHMENT_ID,
                                              ret_attachment, err);
    fixture_finish(&fixture);
    return r;
}

static void an_attachment_is_read_with_its_microversion(void **state)
{
    (void)state;
    const struct http_step step = {
        .method = "GET",
        .path = ATTACHMENT_PATH,
        .headers = {"OpenStack-API-Version: volume 3.44", "X-Auth-Token: user-token"},
        .reply = "{\"attachment\": {\"id\": \"" ATTACHMENT_ID "\", \"status\": \"attached\","
                 "\"instance\": \"i\", \"volume_id\": \"" VOLUME_ID "\", \"attached_at\": \"then\","
                 "\"detached_at\": \"\", \"attach_mode\": \"rw\", \"connection_info\":"
                 "{\"driver_volume_type\": \"nfs\", \"name\": \"v.s\", \"format\": \"qcow2\","
                 "\"attachment_id\": \"" ATTACHMENT_ID "\"}}}"};
    json_t *info = NULL;
    struct error err;
    assert_int_equal(get_attachment(&step, &info, &err), 0);
    /* What nova.volume.cinder._translate_attachment_ref makes of it. */
    json_t *expected =
        json_pack("{s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:s}", "driver_volume_type", "nfs",
                  "data", "name", "v.s", "format", "qcow2", "status", "attached", "instance", "i",
                  "volume_id", VOLUME_ID, "attached_at", "then", "detached_at", "");
    assert_true(json_equal(info, expected));
    json_decref(expected);
    json_decref(info);
}

static void attachment_failures(void **state)
{
    (void)state;
    json_t *attachment = NULL;
    struct error err;
    const struct http_step absent = {.status = 404};
    assert_int_equal(get_attachment(&absent, &attachment, &err), -ENOENT);
    expect_error(&err, ENOENT, EXC_VOLUME_ATTACHMENT_NOT_FOUND, 404);
    const struct http_step other = {.reply = "{\"attachment\": {\"id\": \"" VOLUME_ID "\"}}"};
    assert_int_equal(get_attachment(&other, &attachment, &err), -EBADMSG);
    const struct http_step bare = {.reply = "{\"attachment\": {\"id\": \"" ATTACHMENT_ID "\"}}"};
    assert_int_equal(get_attachment(&bare, &attachment, &err), -EINVAL);
    const struct http_step none = {.reply = "{\"attachment\": null}"};
    assert_int_equal(get_attachment(&none, &attachment, &err), -EBADMSG);
    assert_null(attachment);

    struct fixture fixture;
    fixture_start(&fixture, NULL, 0);
    assert_int_equal(cinder_attachment_connection_info(fixture.cinder, fixture.context, "../x",
                                                       &attachment, &err),
                     -EINVAL);
    expect_error(&err, EINVAL, EXC_VOLUME_ATTACHMENT_NOT_FOUND, 0);
    fixture_finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_read),
        cmocka_unit_test(a_cinder_that_answers_is_reached),
        cmocka_unit_test(unusable_limits_are_refused),
        cmocka_unit_test(an_attachment_is_read_with_its_microversion),
        cmocka_unit_test(attachment_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
