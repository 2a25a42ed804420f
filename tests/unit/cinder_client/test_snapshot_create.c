/* SPDX-License-Identifier: Apache-2.0 */
/* cinder_client/snapshot_create.c and snapshot_find.c: one snapshot, whatever goes wrong. */
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

#define LIST_PATH BASE "/snapshots/detail?volume_id=" VOLUME_ID "&limit=100"
#define SNAPSHOT(id, volume, tag)                                                                  \
    "{\"id\": \"" id "\", \"status\": \"creating\", \"volume_id\": \"" volume                      \
    "\", \"metadata\": {\"agent_op\": \"" tag "\", \"x\": \"y\"}}"
#define OURS SNAPSHOT(SNAPSHOT_ID, VOLUME_ID, "tag-1")
#define FOREIGN SNAPSHOT(OTHER_ID, VOLUME_ID, "tag-2")
#define POST                                                                                       \
    .method = "POST", .path = BASE "/snapshots",                                                   \
    .headers = {"Content-Type: application/json", "!OpenStack-API-Version"},                       \
    .body = "{\"snapshot\":{\"volume_id\":\"" VOLUME_ID                                            \
            "\",\"force\":true,\"name\":\"snapshot for s\",\"description\":\"mine\","              \
            "\"metadata\":{\"agent_op\":\"tag-1\"}}}"
#define POST_TAKEN BRACES(POST, .status = 202, .reply = "{\"snapshot\": " OURS "}")
#define LISTS(entries)                                                                             \
    BRACES(.method = "GET", .path = LIST_PATH, .reply = "{\"snapshots\": [" entries "]}")
#define NOT_LISTED LISTS(FOREIGN), LISTS(""), LISTS(FOREIGN), LISTS("")

/* `metadata` is stolen. */
static void create(const struct http_step *steps, size_t count, json_t *metadata,
                   uint64_t deadline_ms, const char *id, struct error *err)
{
    struct fixture fixture;
    struct cinder_snapshot snapshot;
    const struct cinder_snapshot_request request = {
        .volume_id = VOLUME_ID,
        .name = "snapshot for s",
        .description = "mine",
        .metadata = metadata,
        .deadline_ms = deadline_ms,
    };
    fixture_start(&fixture, steps, count);
    *err = (struct error)ERROR_INIT;
    int r = cinder_snapshot_create(fixture.cinder, fixture.context, &request, &snapshot, err);
    fixture_finish(&fixture);
    json_decref(metadata);
    assert_int_equal(r, -err->errnum);
    if (id && r < 0)
        fail_msg("%s", err->message);
    if (r == 0) {
        assert_string_equal(snapshot.id, id);
        cinder_snapshot_done(&snapshot);
    }
}

#define TAG json_pack("{s:s}", "agent_op", "tag-1")

#define EXPECT_SNAPSHOT(...)                                                                       \
    do {                                                                                           \
        const struct http_step steps_[] = {__VA_ARGS__};                                           \
        struct error err_;                                                                         \
        create(steps_, ARRAY_SIZE(steps_), TAG, 0, SNAPSHOT_ID, &err_);                            \
    } while (0)

#define EXPECT_FAILURE(errnum_, exc, http_status, ...)                                             \
    do {                                                                                           \
        const struct http_step steps_[] = {__VA_ARGS__};                                           \
        struct error err_;                                                                         \
        create(steps_, ARRAY_SIZE(steps_), TAG, 0, NULL, &err_);                                   \
        expect_error(&err_, errnum_, exc, http_status);                                            \
    } while (0)

static void a_snapshot_is_made(void **state)
{
    (void)state;
    EXPECT_SNAPSHOT(POST_TAKEN);
}

static void names_may_be_missing(void **state)
{
    (void)state;
    const struct http_step step = {.body = "{\"snapshot\":{\"volume_id\":\"" VOLUME_ID
                                           "\",\"force\":true,\"metadata\":{\"a\":\"b\"}}}",
                                   .status = 202,
                                   .reply = "{\"snapshot\": " OURS "}"};
    json_t *metadata = json_pack("{s:s}", "a", "b");
    const struct cinder_snapshot_request request = {.volume_id = VOLUME_ID, .metadata = metadata};
    struct fixture fixture;
    struct cinder_snapshot snapshot;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, &step, 1);
    assert_int_equal(
        cinder_snapshot_create(fixture.cinder, fixture.context, &request, &snapshot, &err), 0);
    cinder_snapshot_done(&snapshot);
    fixture_finish(&fixture);
    json_decref(metadata);
}

static void a_missing_answer_is_looked_up(void **state)
{
    (void)state;
    EXPECT_SNAPSHOT({POST, .action = HTTP_DROP, .bytes = 10}, LISTS(FOREIGN ", " OURS));
    EXPECT_SNAPSHOT({POST, .action = HTTP_DROP, .bytes = 1000}, LISTS(OURS));
    EXPECT_SNAPSHOT(
        {POST, .status = 202, .action = HTTP_TRUNCATE, .reply = "{\"snapshot\": 1}", .bytes = 3},
        LISTS(OURS));
    static const unsigned codes[] = {500, 502, 503, 504};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        EXPECT_SNAPSHOT({POST, .status = codes[i]}, LISTS(OURS));
}

static void an_answer_that_cannot_be_read_is_looked_up(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "", "{}", "{\"snapshot\": {\"id\": \"x\"}}",
        "{\"snapshot\": " SNAPSHOT(OTHER_ID, OTHER_ID, "tag-1") "}"};
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
        EXPECT_SNAPSHOT({POST, .status = 202, .reply = bodies[i]}, LISTS(OURS));
}

static void one_that_comes_late_is_found(void **state)
{
    (void)state;
    EXPECT_SNAPSHOT({POST, .action = HTTP_DROP, .bytes = 10}, LISTS(""), LISTS(FOREIGN),
                    LISTS(OURS));
}

static void another_post_only_when_there_is_none(void **state)
{
    (void)state;
    EXPECT_SNAPSHOT({POST, .action = HTTP_DROP, .bytes = 10}, NOT_LISTED, POST_TAKEN);
    EXPECT_FAILURE(EREMOTEIO, EXC_CINDER_CLIENT_EXCEPTION, 500, {POST, .status = 503}, NOT_LISTED,
                   {POST, .status = 500}, NOT_LISTED, {POST, .status = 500}, NOT_LISTED,
                   {POST, .status = 500}, NOT_LISTED);
}

static void what_was_not_done_is_tried_again(void **state)
{
    (void)state;
    EXPECT_SNAPSHOT({POST, .status = 401}, {POST, .status = 429}, POST_TAKEN);
}

static void without_a_look_there_is_no_other_post(void **state)
{
    (void)state;
    const struct http_step steps[] = {{POST, .status = 504},
                                      {.method = "GET", .path = LIST_PATH, .status = 403}};
    struct error err;
    create(steps, ARRAY_SIZE(steps), TAG, 0, NULL, &err);
    expect_error(&err, EACCES, EXC_FORBIDDEN, 403);
    assert_non_null(strstr(err.message, "is not known"));
    EXPECT_FAILURE(EBADMSG, EXC_INTERNAL_ERROR, 0, {POST, .status = 504},
                   {.reply = "{\"snapshots\": {}}"});
    EXPECT_FAILURE(EREMOTEIO, EXC_CINDER_CONNECTION_FAILED, 503, {POST, .status = 504},
                   {.status = 503}, {.status = 503}, {.status = 503}, {.status = 503});
}

static void refusals_are_final(void **state)
{
    (void)state;
    EXPECT_FAILURE(EINVAL, EXC_INVALID_INPUT, 400, {POST, .status = 400});
    EXPECT_FAILURE(EACCES, EXC_FORBIDDEN, 403, {POST, .status = 403});
    EXPECT_FAILURE(ENOENT, EXC_VOLUME_NOT_FOUND, 404, {POST, .status = 404});
    EXPECT_FAILURE(EDQUOT, EXC_OVER_QUOTA, 413,
                   {POST, .status = 413, .reply_headers = "Retry-After: 0\r\n"});
    EXPECT_FAILURE(EACCES, EXC_UNAUTHORIZED, 401, {POST, .status = 401}, {POST, .status = 401});
}

static void a_request_must_be_findable(void **state)
{
    (void)state;
    json_t *metadata[] = {json_object(), json_pack("{s:i}", "a", 1), json_array()};
    for (size_t i = 0; i < ARRAY_SIZE(metadata); i++) {
        struct error err;
        create(NULL, 0, metadata[i], 0, NULL, &err);
        expect_error(&err, EINVAL, EXC_INVALID_INPUT, 0);
    }
    struct fixture fixture;
    struct cinder_snapshot snapshot;
    struct error err = ERROR_INIT;
    bool found;
    const struct cinder_snapshot_request nowhere = {.volume_id = "../x"};
    const struct cinder_snapshot_request untagged = {.volume_id = VOLUME_ID};
    fixture_start(&fixture, NULL, 0);
    assert_int_equal(
        cinder_snapshot_create(fixture.cinder, fixture.context, &nowhere, &snapshot, &err),
        -EINVAL);
    expect_error(&err, EINVAL, EXC_VOLUME_NOT_FOUND, 0);
    assert_int_equal(
        cinder_snapshot_find(fixture.cinder, fixture.context, &untagged, &found, &snapshot, &err),
        -EINVAL);
    fixture_finish(&fixture);
}

static void a_deadline_bounds_it_all(void **state)
{
    (void)state;
    const struct http_step stalled = {POST, .action = HTTP_STALL, .bytes = 1000};
    uint64_t begun_ms = clock_now_ms();
    struct error err;
    create(&stalled, 1, TAG, begun_ms + 700, NULL, &err);
    expect_error(&err, ETIMEDOUT, EXC_CINDER_CONNECTION_FAILED, 0);
    assert_non_null(strstr(err.message, "is not known"));
    assert_true(clock_now_ms() - begun_ms < 4000);
}

static int find(const struct http_step *steps, size_t count, bool *ret_found,
                struct cinder_snapshot *ret_snapshot)
{
    json_t *metadata = TAG;
    const struct cinder_snapshot_request request = {.volume_id = VOLUME_ID, .metadata = metadata};
    struct fixture fixture;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, count);
    int r = cinder_snapshot_find(fixture.cinder, fixture.context, &request, ret_found, ret_snapshot,
                                 &err);
    fixture_finish(&fixture);
    json_decref(metadata);
    return r;
}

#define MORE(entries)                                                                              \
    "{\"snapshots\": [" entries "], \"snapshots_links\": [{\"rel\": \"next\","                     \
    " \"href\": \"http://evil.example/v3/x?marker=y\"}]}"

static void all_pages_are_searched_where_the_first_one_was(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.method = "GET", .path = LIST_PATH, .reply = MORE(FOREIGN)},
        {.method = "GET",
         .path = LIST_PATH "&marker=" OTHER_ID,
         .reply = "{\"snapshots\": [" OURS "]}"},
    };
    struct cinder_snapshot snapshot;
    bool found = false;
    assert_int_equal(find(steps, ARRAY_SIZE(steps), &found, &snapshot), 0);
    assert_true(found);
    assert_string_equal(snapshot.id, SNAPSHOT_ID);
    cinder_snapshot_done(&snapshot);
    const struct http_step empty = {.reply = MORE("")};
    assert_int_equal(find(&empty, 1, &found, &snapshot), 0);
    assert_false(found);
}

static void hostile_lists_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {"[]", "{}", "{\"snapshots\": [1]}",
                                         "{\"snapshots\": [{\"id\": \"a&b\"}]}",
                                         "{\"snapshots\": [{\"id\": \"" SNAPSHOT_ID "\","
                                         " \"metadata\": {\"agent_op\": \"tag-1\"}}]}"};
    struct cinder_snapshot snapshot;
    bool found;
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        const struct http_step step = {.reply = bodies[i]};
        assert_true(find(&step, 1, &found, &snapshot) < 0);
    }
    struct http_step endless[100];
    for (size_t i = 0; i < ARRAY_SIZE(endless); i++)
        endless[i] = (struct http_step){.reply = MORE(FOREIGN)};
    assert_int_equal(find(endless, ARRAY_SIZE(endless), &found, &snapshot), -EMSGSIZE);
}

/* What Cinder may have made all the same has to be known to those who delete it. */
static void a_cancelled_post_is_looked_up(void **state)
{
    (void)state;
    struct canceller canceller;
    const struct http_step found[] = {{POST, .action = HTTP_STALL, .bytes = 1000,
                                       .then = canceller_request, .then_opaque = &canceller},
                                      LISTS(""),
                                      LISTS(OURS)};
    struct error err;
    canceller_enter(&canceller);
    create(found, ARRAY_SIZE(found), TAG, 0, SNAPSHOT_ID, &err);
    create(NULL, 0, TAG, 0, NULL, &err); /* none is begun */
    assert_cancelled(-err.errnum, &err);
    canceller_leave(&canceller);
}

static void a_cancelled_snapshot_is_not_made_again(void **state)
{
    (void)state;
    struct canceller canceller;
    const struct http_step steps[] = {
        {POST, .status = 503, .then = canceller_request, .then_opaque = &canceller}, NOT_LISTED};
    struct error err;
    canceller_enter(&canceller);
    create(steps, ARRAY_SIZE(steps), TAG, 0, NULL, &err);
    assert_cancelled(-err.errnum, &err);
    canceller_leave(&canceller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_is_made),
        cmocka_unit_test(names_may_be_missing),
        cmocka_unit_test(a_missing_answer_is_looked_up),
        cmocka_unit_test(an_answer_that_cannot_be_read_is_looked_up),
        cmocka_unit_test(one_that_comes_late_is_found),
        cmocka_unit_test(another_post_only_when_there_is_none),
        cmocka_unit_test(what_was_not_done_is_tried_again),
        cmocka_unit_test(without_a_look_there_is_no_other_post),
        cmocka_unit_test(refusals_are_final),
        cmocka_unit_test(a_request_must_be_findable),
        cmocka_unit_test(a_deadline_bounds_it_all),
        cmocka_unit_test(all_pages_are_searched_where_the_first_one_was),
        cmocka_unit_test(hostile_lists_are_refused),
        cmocka_unit_test(a_cancelled_post_is_looked_up),
        cmocka_unit_test(a_cancelled_snapshot_is_not_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
