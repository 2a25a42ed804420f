/* SPDX-License-Identifier: Apache-2.0 */
/* cinder_client/snapshot.c and cinder_client/snapshot_wait.c */
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
#include "common/clock.h"
#include "tests/unit/canceller.h"
#include "tests/unit/cinder_client/fixture.h"

#define PATH BASE "/snapshots/" SNAPSHOT_ID
#define SHOWS(state)                                                                               \
    BRACES(.method = "GET", .path = PATH,                                                          \
           .reply = "{\"snapshot\": {\"id\": \"" SNAPSHOT_ID "\", \"status\": \"" state            \
                    "\", \"volume_id\": \"" VOLUME_ID "\", \"size\": 10}}")
#define GONE BRACES(.method = "GET", .path = PATH, .status = 404)
#define DELETE .method = "DELETE", .path = PATH

/* One look: it is not waited for what is not being made. */
static int read_snapshot(struct fixture *fixture, struct cinder_snapshot *ret_snapshot,
                         struct error *err)
{
    return cinder_snapshot_await(fixture->cinder, fixture->context, SNAPSHOT_ID, NEVER_MS,
                                 ret_snapshot, err);
}

static void it_is_read(void **state)
{
    (void)state;
    const struct http_step steps[] = {SHOWS("available"), GONE};
    struct fixture fixture;
    struct cinder_snapshot snapshot;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps));
    assert_int_equal(read_snapshot(&fixture, &snapshot, &err), 0);
    assert_string_equal(snapshot.id, SNAPSHOT_ID);
    assert_string_equal(snapshot.status, "available");
    assert_string_equal(snapshot.volume_id, VOLUME_ID);
    assert_int_equal(json_integer_value(json_object_get(snapshot.object, "size")), 10);
    cinder_snapshot_done(&snapshot);
    cinder_snapshot_done(NULL);
    assert_int_equal(read_snapshot(&fixture, &snapshot, &err), -ENOENT);
    expect_error(&err, ENOENT, EXC_SNAPSHOT_NOT_FOUND, 404);
    fixture_finish(&fixture);
}

static void what_is_hostile_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"snapshot\": {\"id\": \"" SNAPSHOT_ID "\", \"status\": \"available\"}}",
        "{\"snapshot\": {\"id\": \"" SNAPSHOT_ID "\", \"volume_id\": \"" VOLUME_ID "\"}}",
        "{\"snapshot\": {\"id\": \"x\", \"status\": \"x\", \"volume_id\": \"" VOLUME_ID "\"}}",
        "{\"snapshot\": {\"id\": \"" SNAPSHOT_ID "\", \"status\": \"x\", \"volume_id\": \"../\"}}",
        "{\"snapshot\": {\"id\": \"" OTHER_ID "\", \"status\": \"x\", \"volume_id\": \"" VOLUME_ID
        "\"}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        const struct http_step step = {.reply = bodies[i]};
        struct fixture fixture;
        struct cinder_snapshot snapshot;
        struct error err = ERROR_INIT;
        fixture_start(&fixture, &step, 1);
        assert_int_equal(read_snapshot(&fixture, &snapshot, &err), -EBADMSG);
        fixture_finish(&fixture);
    }
}

static void run_delete(const struct http_step *steps, size_t count, struct error *err)
{
    struct fixture fixture;
    fixture_start(&fixture, steps, count);
    *err = (struct error)ERROR_INIT;
    int r = cinder_snapshot_delete(fixture.cinder, fixture.context, SNAPSHOT_ID, err);
    assert_int_equal(r, -err->errnum);
    fixture_finish(&fixture);
}

static void deleting(void **state)
{
    (void)state;
    struct error err;
    const struct http_step once[] = {{DELETE, .status = 202}};
    run_delete(once, ARRAY_SIZE(once), &err);
    expect_error(&err, 0, "", 0);
    const struct http_step absent[] = {{DELETE, .status = 404}};
    run_delete(absent, ARRAY_SIZE(absent), &err);
    expect_error(&err, ENOENT, EXC_SNAPSHOT_NOT_FOUND, 404);
    const struct http_step lost[] = {
        {DELETE, .action = HTTP_DROP}, {DELETE, .status = 400}, SHOWS("deleting")};
    run_delete(lost, ARRAY_SIZE(lost), &err);
    expect_error(&err, 0, "", 0);
    const struct http_step creating[] = {{DELETE, .status = 400}, SHOWS("creating")};
    run_delete(creating, ARRAY_SIZE(creating), &err);
    expect_error(&err, EINVAL, EXC_INVALID_INPUT, 400);
}

static void a_status_is_reported(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.action = HTTP_DROP},
        {.method = "POST",
         .path = PATH "/action",
         .headers = {"Content-Type: application/json"},
         .body = "{\"os-update_snapshot_status\":{\"status\":\"creating\",\"progress\":\"90%\"}}",
         .status = 202},
        {.status = 500}, /* Cinder's database is away */
        {.body = "{\"os-update_snapshot_status\":{\"status\":\"error\"}}", .status = 202},
        {.status = 404},
    };
    struct fixture fixture;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps));
    struct cinder *cinder = fixture.cinder;
    struct request_context *context = fixture.context;
    assert_int_equal(
        cinder_snapshot_update_status(cinder, context, SNAPSHOT_ID, "creating", "90%", &err), 0);
    assert_int_equal(
        cinder_snapshot_update_status(cinder, context, SNAPSHOT_ID, "error", NULL, &err), 0);
    assert_int_equal(
        cinder_snapshot_update_status(cinder, context, SNAPSHOT_ID, "error", NULL, &err), -ENOENT);
    expect_error(&err, ENOENT, EXC_SNAPSHOT_NOT_FOUND, 404);
    fixture_finish(&fixture);
}

static void ids_that_are_no_uuids_are_never_sent(void **state)
{
    (void)state;
    struct fixture fixture;
    struct cinder_snapshot snapshot;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, NULL, 0);
    struct cinder *cinder = fixture.cinder;
    struct request_context *context = fixture.context;
    assert_int_equal(cinder_snapshot_delete(cinder, context, "../x", &err), -EINVAL);
    expect_error(&err, EINVAL, EXC_SNAPSHOT_NOT_FOUND, 0);
    assert_int_equal(cinder_snapshot_delete(cinder, context, "", &err), -EINVAL);
    assert_int_equal(cinder_snapshot_update_status(cinder, context, NULL, "error", NULL, &err),
                     -EINVAL);
    assert_int_equal(cinder_snapshot_await(cinder, context, "x", NEVER_MS, &snapshot, &err),
                     -EINVAL);
    assert_int_equal(cinder_snapshot_await_gone(cinder, context, "x", NEVER_MS, &err), -EINVAL);
    fixture_finish(&fixture);
}

static void await(const struct http_step *steps, size_t count, uint64_t deadline_ms,
                  const char *status, struct error *err)
{
    struct fixture fixture;
    struct cinder_snapshot snapshot;
    fixture_start(&fixture, steps, count);
    *err = (struct error)ERROR_INIT;
    int r = cinder_snapshot_await(fixture.cinder, fixture.context, SNAPSHOT_ID, deadline_ms,
                                  &snapshot, err);
    assert_int_equal(r, -err->errnum);
    if (status) {
        assert_int_equal(r, 0);
        assert_string_equal(snapshot.status, status);
        cinder_snapshot_done(&snapshot);
    }
    fixture_finish(&fixture);
}

static void the_end_of_creating_is_waited_for(void **state)
{
    (void)state;
    struct error err;
    const struct http_step made[] = {SHOWS("creating"), SHOWS("creating"), SHOWS("available")};
    await(made, ARRAY_SIZE(made), NEVER_MS, "available", &err);
    const struct http_step broken[] = {SHOWS("creating"), SHOWS("error")};
    await(broken, ARRAY_SIZE(broken), clock_now_ms() + 60000, "error", &err);
    const struct http_step gone[] = {SHOWS("creating"), GONE};
    await(gone, ARRAY_SIZE(gone), NEVER_MS, NULL, &err);
    expect_error(&err, ENOENT, EXC_SNAPSHOT_NOT_FOUND, 404);
    const struct http_step forbidden[] = {{.status = 403}};
    await(forbidden, ARRAY_SIZE(forbidden), NEVER_MS, NULL, &err);
    expect_error(&err, EACCES, EXC_FORBIDDEN, 403);
}

static void a_cinder_that_is_away_is_waited_for(void **state)
{
    (void)state;
    struct http_step steps[9];
    struct error err;
    for (size_t i = 0; i < 8; i++)
        steps[i] = (struct http_step){.status = i < 4 ? 503 : 500};
    steps[8] = (struct http_step)SHOWS("available");
    await(steps, ARRAY_SIZE(steps), NEVER_MS, "available", &err);
}

static void a_deadline_ends_the_wait(void **state)
{
    (void)state;
    struct error err;
    /* It has passed when the answer comes. */
    const struct http_step slow = {.method = "GET", .path = PATH, .action = HTTP_STALL};
    await(&slow, 1, clock_now_ms() + 700, NULL, &err);
    expect_error(&err, ETIMEDOUT, EXC_INTERNAL_ERROR, 0);
    assert_non_null(strstr(err.message, SNAPSHOT_ID));

    struct fixture fixture;
    struct cinder_snapshot snapshot;
    const struct cinder_options options = {.endpoint_template = "http://127.0.0.1:1/v3"};
    fixture_start(&fixture, NULL, 0);
    cinder_free(fixture.cinder);
    assert_int_equal(cinder_new(&options, NULL, &fixture.cinder, &err), 0);
    const uint64_t past[] = {0, 1};
    for (size_t i = 0; i < ARRAY_SIZE(past); i++) {
        assert_int_equal(cinder_snapshot_await(fixture.cinder, fixture.context, SNAPSHOT_ID,
                                               past[i], &snapshot, &err),
                         -ETIMEDOUT);
        assert_int_equal(
            cinder_snapshot_await_gone(fixture.cinder, fixture.context, SNAPSHOT_ID, past[i], &err),
            -ETIMEDOUT);
    }
    fixture_finish(&fixture);
}

static void await_gone(const struct http_step *steps, size_t count, struct error *err)
{
    struct fixture fixture;
    fixture_start(&fixture, steps, count);
    *err = (struct error)ERROR_INIT;
    int r = cinder_snapshot_await_gone(fixture.cinder, fixture.context, SNAPSHOT_ID, NEVER_MS, err);
    assert_int_equal(r, -err->errnum);
    fixture_finish(&fixture);
}

static void the_end_of_deleting_is_waited_for(void **state)
{
    (void)state;
    struct error err;
    const struct http_step gone[] = {SHOWS("deleting"), {.status = 503}, SHOWS("deleting"), GONE};
    await_gone(gone, ARRAY_SIZE(gone), &err);
    expect_error(&err, 0, "", 0);
    const struct http_step deleted[] = {SHOWS("deleted")};
    await_gone(deleted, ARRAY_SIZE(deleted), &err);
    expect_error(&err, 0, "", 0);
    const struct http_step failed[] = {SHOWS("deleting"), SHOWS("error_deleting")};
    await_gone(failed, ARRAY_SIZE(failed), &err);
    expect_error(&err, EBUSY, EXC_INTERNAL_ERROR, 0);
    assert_non_null(strstr(err.message, "error_deleting"));
    const struct http_step busy[] = {SHOWS("deleting"), SHOWS("available")};
    await_gone(busy, ARRAY_SIZE(busy), &err);
    expect_error(&err, EBUSY, EXC_INTERNAL_ERROR, 0);
    const struct http_step forbidden[] = {{.status = 403}};
    await_gone(forbidden, ARRAY_SIZE(forbidden), &err);
    expect_error(&err, EACCES, EXC_FORBIDDEN, 403);
}

static void a_wait_ends_when_the_work_is_cancelled(void **state)
{
    (void)state;
    struct canceller canceller;
    struct fixture fixture;
    struct cinder *patient = NULL;
    struct cinder_snapshot snapshot;
    struct error err = ERROR_INIT;
    char template[128];
    struct http_step step = SHOWS("creating");
    step.then = canceller_request;
    step.then_opaque = &canceller;
    canceller_enter(&canceller);
    fixture_start(&fixture, &step, 1);
    (void)snprintf(template, sizeof(template), "%s/v3/%%(project_id)s",
                   http_script_url(fixture.script));
    const struct cinder_options options = {.endpoint_template = template,
                                           .poll_interval_ms = 3600000};
    uint64_t begun_ms = clock_now_ms();
    assert_int_equal(cinder_new(&options, NULL, &patient, &err), 0);
    assert_cancelled(
        cinder_snapshot_await(patient, fixture.context, SNAPSHOT_ID, NEVER_MS, &snapshot, &err),
        &err);
    assert_true(clock_now_ms() - begun_ms < CANCELLER_MAX_MS);
    cinder_free(patient);
    fixture_finish(&fixture);
    canceller_leave(&canceller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_read),
        cmocka_unit_test(what_is_hostile_is_refused),
        cmocka_unit_test(deleting),
        cmocka_unit_test(a_status_is_reported),
        cmocka_unit_test(ids_that_are_no_uuids_are_never_sent),
        cmocka_unit_test(the_end_of_creating_is_waited_for),
        cmocka_unit_test(a_cinder_that_is_away_is_waited_for),
        cmocka_unit_test(a_deadline_ends_the_wait),
        cmocka_unit_test(the_end_of_deleting_is_waited_for),
        cmocka_unit_test(a_wait_ends_when_the_work_is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
