/* SPDX-License-Identifier: Apache-2.0 */
/* agent/state_watch.c: which states are saved again, and which end a snapshot. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "agent/state_watch.h"
#include "agent/task_states.h"
#include "amqp/rpc.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "fixture.h"

#define WAIT_MS 20000

static struct state_watch *watch;
static struct canceller *canceller;
static struct cancellable *cancellable;
static struct instance_queue *queue;
static struct instance_turn *turn;
static struct watched_state *watched;
static struct rpc_request *request;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *database; /* the task state there; NULL = None */
static const char *host;     /* there */
static bool is_silent;
static unsigned looks, saves;
static json_int_t told; /* the progress there; -1: never saved */

int __wrap_rpc_call(struct bus *bus, const struct rpc_call *call, json_t **ret_result,
                    struct error *err);

int __wrap_rpc_call(struct bus *bus, const struct rpc_call *call, json_t **ret_result,
                    struct error *err)
{
    (void)bus;
    json_t *args = call->args;
    LOCK_SCOPE(&lock);
    const char *objmethod = json_string_value(json_object_get(args, "objmethod"));
    assert_true(json_is_true(json_object_get(call->context->values, "is_admin")));
    if (is_silent) {
        json_decref(args);
        return error_set(err, ETIMEDOUT, EXC_MESSAGING_TIMEOUT, "no answer");
    }
    if (strcmp(objmethod, "save") == 0) {
        const json_t *data = json_object_get(json_object_get(args, "objinst"), "nova_object.data");
        const json_t *expected =
            json_object_get(json_object_get(args, "kwargs"), "expected_task_state");
        if (json_object_get(data, "progress")) {
            assert_int_equal(json_object_size(data), 2); /* and the uuid */
            assert_string_equal(json_string_value(json_array_get(expected, 0)), IMAGE_UPLOADING);
            told = json_integer_value(json_object_get(data, "progress"));
            *ret_result = json_pack("[{}, n]");
            json_decref(args);
            return 0;
        }
        json_t *wanted = json_pack("[n, s]", IMAGE_UPLOADING);
        assert_json_equal(expected, wanted);
        json_decref(wanted);
        assert_string_equal(json_string_value(json_object_get(data, "task_state")),
                            IMAGE_UPLOADING);
        assert_int_equal(json_object_size(data), 2); /* and the uuid */
        assert_null(database);
        database = IMAGE_UPLOADING;
        saves++;
        *ret_result = json_pack("[{}, n]");
    } else {
        looks++;
        *ret_result = json_pack("{s:{s:s, s:s?, s:s?}}", "nova_object.data", "vm_state", "active",
                                "task_state", database, "host", host);
    }
    json_decref(args);
    return 0;
}

int __wrap_glance_image_peek(struct glance *glance, const struct request_context *context,
                             const char *image_id, unsigned timeout_ms,
                             struct glance_image *ret_image, struct error *err);

int __wrap_glance_image_peek(struct glance *glance, const struct request_context *context,
                             const char *image_id, unsigned timeout_ms,
                             struct glance_image *ret_image, struct error *err)
{
    (void)glance, (void)context, (void)image_id, (void)timeout_ms, (void)err;
    ret_image->status = strdup("queued");
    return 0;
}

static int setup(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    database = IMAGE_UPLOADING;
    host = "cmp1";
    is_silent = false;
    looks = saves = 0;
    told = -1;
    request = fixture_request();
    assert_int_equal(canceller_new(NULL, 1000, &canceller, &err), 0);
    assert_int_equal(canceller_begin(canceller, FIXTURE_INSTANCE, FIXTURE_IMAGE, request->context,
                                     &cancellable, &err),
                     0);
    assert_int_equal(instance_queue_new(&queue, &err), 0);
    assert_int_equal(instance_queue_join(queue, FIXTURE_INSTANCE, &turn, &err), 0);
    assert_int_equal(state_watch_new(NULL, "cmp1", 1, &watch, &err), 0);
    const struct state_watch_subject subject = {.instance_uuid = FIXTURE_INSTANCE,
                                                .admin = request->context,
                                                .turn = turn,
                                                .cancellable = cancellable};
    assert_int_equal(state_watch_begin(watch, &subject, &watched, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    state_watch_end(watched);
    state_watch_free(watch);
    canceller_end(cancellable);
    canceller_free(canceller);
    instance_turn_free(turn);
    instance_queue_free(queue);
    rpc_request_free(request);
    return 0;
}

static void set_database(const char *task_state)
{
    LOCK_SCOPE(&lock);
    database = task_state;
}

static unsigned count(const unsigned *counter)
{
    LOCK_SCOPE(&lock);
    return *counter;
}

static bool see_more(const unsigned *counter, unsigned more, int timeout_ms)
{
    unsigned before = count(counter);
    for (int ms = 0; ms < timeout_ms && count(counter) < before + more; ms++)
        (void)poll(NULL, 0, 1);
    return count(counter) >= before + more;
}

static void assert_cancelled(const char *exc)
{
    struct pollfd cancelled = {.fd = cancel_fd(), .events = POLLIN};
    struct error reason = ERROR_INIT;
    assert_int_equal(poll(&cancelled, 1, WAIT_MS), 1);
    assert_int_equal(cancel_check(&reason), -ECANCELED);
    assert_string_equal(reason.exc, exc);
}

static void assert_not_cancelled(void)
{
    struct error reason = ERROR_INIT;
    assert_int_equal(cancel_check(&reason), 0);
}

static void a_cleared_state_is_saved_again(void **state)
{
    (void)state;
    state_watch_expect(watched, IMAGE_UPLOADING);
    assert_true(see_more(&looks, 2, WAIT_MS));
    assert_int_equal(count(&saves), 0);
    for (unsigned i = 0; i < 2; i++) {
        set_database(NULL);
        assert_true(see_more(&saves, 1, WAIT_MS));
    }
    assert_true(see_more(&looks, 2, WAIT_MS));
    assert_int_equal(count(&saves), 2);
    assert_not_cancelled();
}

static void what_somebody_else_does_ends_it(void **state)
{
    (void)state;
    state_watch_expect(watched, IMAGE_UPLOADING);
    set_database("powering-off");
    assert_cancelled(EXC_UNEXPECTED_TASK_STATE);
    assert_int_equal(count(&saves), 0);
}

static void its_deletion_ends_it(void **state)
{
    (void)state;
    state_watch_expect(watched, IMAGE_UPLOADING);
    set_database("deleting");
    assert_cancelled(EXC_UNEXPECTED_DELETING);
}

/* Evacuated, which may clear the state on its way: what is saved here is not its guest's any more.
 */
static void an_instance_that_has_moved_is_not_ours(void **state)
{
    (void)state;
    {
        LOCK_SCOPE(&lock);
        host = "cmp2";
        database = NULL;
    }
    state_watch_expect(watched, IMAGE_UPLOADING);
    assert_cancelled(EXC_UNEXPECTED_TASK_STATE);
    assert_int_equal(count(&saves), 0);
}

static void a_host_that_is_not_told_ends_nothing(void **state)
{
    (void)state;
    {
        LOCK_SCOPE(&lock);
        host = NULL;
    }
    state_watch_expect(watched, IMAGE_UPLOADING);
    assert_true(see_more(&looks, 3, WAIT_MS));
    assert_not_cancelled();
}

/* A state before the turn of the request it belongs to is no reason to give up. */
static void the_state_of_the_next_one_is_left(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance_turn *next = NULL;
    assert_int_equal(instance_queue_join(queue, FIXTURE_INSTANCE, &next, &err), 0);
    state_watch_expect(watched, IMAGE_UPLOADING);
    set_database(IMAGE_SNAPSHOT_PENDING);
    assert_true(see_more(&looks, 3, WAIT_MS));
    set_database(IMAGE_BACKUP);
    assert_true(see_more(&looks, 3, WAIT_MS));
    assert_not_cancelled();
    assert_int_equal(count(&saves), 0);
    instance_turn_free(next); /* it gave up: whose state is it now? */
    assert_cancelled(EXC_UNEXPECTED_TASK_STATE);
}

/* A save of the owner that is under way must not be taken for somebody else's. */
static void nobody_looks_while_the_owner_moves(void **state)
{
    (void)state;
    set_database(NULL);
    assert_false(see_more(&looks, 1, 30)); /* nothing is expected yet */
    state_watch_expect(watched, IMAGE_UPLOADING);
    assert_true(see_more(&saves, 1, WAIT_MS));
    state_watch_pause(watched);
    set_database(NULL);
    assert_false(see_more(&looks, 1, 30));
    state_watch_expect(watched, NULL);
    assert_false(see_more(&looks, 1, 30));
    assert_int_equal(count(&saves), 1);
}

static void a_silent_conductor_ends_nothing(void **state)
{
    (void)state;
    {
        LOCK_SCOPE(&lock);
        is_silent = true;
    }
    state_watch_expect(watched, IMAGE_UPLOADING);
    (void)poll(NULL, 0, 20);
    assert_not_cancelled();
}

static json_int_t told_now(void)
{
    LOCK_SCOPE(&lock);
    return told;
}

static void the_tenant_is_told_how_far_it_is(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct jobs *jobs = NULL;
    struct job job = {.method = "snapshot_instance"};
    struct watched_state *told_of = NULL;
    const struct state_watch_subject subject = {.instance_uuid = FIXTURE_INSTANCE,
                                                .admin = request->context,
                                                .turn = turn,
                                                .cancellable = cancellable,
                                                .job = &job};
    assert_int_equal(jobs_new(&jobs, &err), 0);
    jobs_add(jobs, &job);
    jobs_set_span(&job, 0, 100);
    assert_int_equal(state_watch_begin(watch, &subject, &told_of, &err), 0);
    state_watch_expect(told_of, IMAGE_UPLOADING);
    assert_true(see_more(&looks, 3, WAIT_MS));
    assert_int_equal(told_now(), -1);
    jobs_set_progress(&job, 42, 100);
    assert_true(see_more(&looks, 3, WAIT_MS));
    assert_int_equal(told_now(), 42);
    set_database("powering-off"); /* its progress is another's as well */
    assert_cancelled(EXC_UNEXPECTED_TASK_STATE);
    state_watch_end(told_of);
    jobs_remove(&job);
    jobs_free(jobs);
}

static void nobody_is_no_watch(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    const struct state_watch_subject subject = {.instance_uuid = FIXTURE_INSTANCE,
                                                .admin = request->context,
                                                .turn = turn,
                                                .cancellable = cancellable};
    struct watched_state *none = NULL;
    assert_int_equal(state_watch_begin(NULL, &subject, &none, &err), 0);
    assert_null(none);
    state_watch_pause(none);
    state_watch_expect(none, IMAGE_UPLOADING);
    state_watch_end(none);
    state_watch_free(NULL);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_cleared_state_is_saved_again),
        TEST(what_somebody_else_does_ends_it),
        TEST(its_deletion_ends_it),
        TEST(the_state_of_the_next_one_is_left),
        TEST(nobody_looks_while_the_owner_moves),
        TEST(a_silent_conductor_ends_nothing),
        TEST(an_instance_that_has_moved_is_not_ours),
        TEST(a_host_that_is_not_told_ends_nothing),
        TEST(the_tenant_is_told_how_far_it_is),
        TEST(nobody_is_no_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
