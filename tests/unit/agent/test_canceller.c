/* SPDX-License-Identifier: Apache-2.0 */
/* agent/canceller.c: who is cancelled, why, and who is not. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/canceller.h"
#include "common/cancel.h"
#include "fixture.h"

#define OTHER_INSTANCE "0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11"
#define WAIT_MS 20000

static struct canceller *canceller;
static struct request_context *context;

/* What Glance answers, and how often it was asked. */
static const char *_Atomic status;
static _Atomic int glance_errnum;
static _Atomic int glance_http_status;
static atomic_uint peeks;

int __wrap_glance_image_peek(struct glance *glance, const struct request_context *given,
                             const char *image_id, unsigned timeout_ms,
                             struct glance_image *ret_image, struct error *err);

int __wrap_glance_image_peek(struct glance *glance, const struct request_context *given,
                             const char *image_id, unsigned timeout_ms,
                             struct glance_image *ret_image, struct error *err)
{
    (void)glance;
    int errnum = atomic_load(&glance_errnum);
    assert_string_equal(given->auth_token, context->auth_token);
    assert_string_equal(image_id, FIXTURE_IMAGE);
    assert_in_range(timeout_ms, 1, 2000);
    atomic_fetch_add(&peeks, 1);
    if (errnum == 0) {
        ret_image->status = strdup(atomic_load(&status));
        return 0;
    }
    (void)error_set(err, errnum,
                    errnum == ENOENT ? EXC_IMAGE_NOT_FOUND : EXC_GLANCE_CONNECTION_FAILED, "no");
    err->http_status = atomic_load(&glance_http_status);
    return -errnum;
}

static int setup(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct rpc_request *request = fixture_request();
    context = request->context;
    request->context = NULL;
    rpc_request_free(request);
    atomic_store(&status, "queued");
    atomic_store(&glance_errnum, 0);
    atomic_store(&glance_http_status, 0);
    atomic_store(&peeks, 0);
    return canceller_new(NULL, 1, &canceller, &err);
}

static int teardown(void **state)
{
    (void)state;
    canceller_free(canceller);
    request_context_free(context);
    return 0;
}

static struct cancellable *begin(const char *instance)
{
    struct cancellable *cancellable = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(
        canceller_begin(canceller, instance, FIXTURE_IMAGE, context, &cancellable, &err), 0);
    assert_non_null(cancellable);
    return cancellable;
}

static void assert_cancelled(const char *exc, const char *text)
{
    struct pollfd cancelled = {.fd = cancel_fd(), .events = POLLIN};
    struct error reason = ERROR_INIT;
    assert_int_equal(poll(&cancelled, 1, WAIT_MS), 1);
    assert_int_equal(cancel_check(&reason), -ECANCELED);
    assert_string_equal(reason.exc, exc);
    assert_non_null(strstr(reason.message, text));
}

static void assert_not_cancelled(void)
{
    struct error reason = ERROR_INIT;
    assert_int_equal(cancel_check(&reason), 0);
}

/* Until Glance was asked so much more often, or long enough. */
static bool see_peeks(unsigned more, int timeout_ms)
{
    unsigned before = atomic_load(&peeks);
    for (int ms = 0; ms < timeout_ms && atomic_load(&peeks) < before + more; ms++)
        (void)poll(NULL, 0, 1);
    return atomic_load(&peeks) >= before + more;
}

static void a_deleted_image_cancels_its_snapshot(void **state)
{
    static const char *const statuses[] = {"saving", "deleted", "pending_delete"};
    for (size_t i = 0; i < 3; i++) {
        struct cancellable *cancellable = begin(FIXTURE_INSTANCE);
        canceller_set_phase(cancellable, CANCELLABLE_RUNS);
        assert_true(see_peeks(2, WAIT_MS));
        assert_not_cancelled();
        atomic_store(&status, statuses[i]);
        if (i == 0)
            atomic_store(&glance_errnum, ENOENT);
        assert_cancelled(EXC_IMAGE_NOT_FOUND, FIXTURE_IMAGE);
        canceller_end(cancellable);
        assert_int_equal(cancel_fd(), -1);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void an_image_is_looked_at_in_every_phase(void **state)
{
    for (int phase = CANCELLABLE_WAITS_FOR_TURN; phase <= CANCELLABLE_RUNS; phase++) {
        struct cancellable *cancellable = begin(FIXTURE_INSTANCE);
        canceller_set_phase(cancellable, (enum cancellable_phase)phase);
        assert_true(see_peeks(2, WAIT_MS));
        assert_not_cancelled();
        atomic_store(&glance_errnum, ENOENT);
        assert_cancelled(EXC_IMAGE_NOT_FOUND, FIXTURE_IMAGE);
        canceller_end(cancellable);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void what_has_ended_is_not_asked_for(void **state)
{
    (void)state;
    struct cancellable *cancellable = begin(FIXTURE_INSTANCE);
    assert_true(see_peeks(1, WAIT_MS));
    canceller_end(cancellable);
    (void)see_peeks(1, 10); /* one that is under way */
    assert_false(see_peeks(1, 30));
}

static void trouble_with_glance_cancels_nothing(void **state)
{
    (void)state;
    struct cancellable *cancellable = begin(FIXTURE_INSTANCE);
    atomic_store(&glance_errnum, ETIMEDOUT);
    canceller_set_phase(cancellable, CANCELLABLE_RUNS);
    assert_true(see_peeks(3, WAIT_MS));
    atomic_store(&glance_http_status, 503);
    assert_true(see_peeks(3, WAIT_MS));
    assert_not_cancelled();
    canceller_end(cancellable);
}

struct other {
    pthread_t thread;
    int result;
};

/* Another operation, on another instance, that ends when it is cancelled or nothing comes. */
static void *run_other(void *arg)
{
    struct other *other = arg;
    struct error reason = ERROR_INIT;
    struct cancellable *cancellable = begin(OTHER_INSTANCE);
    canceller_set_phase(cancellable, CANCELLABLE_RUNS);
    struct pollfd cancelled = {.fd = cancel_fd(), .events = POLLIN};
    (void)poll(&cancelled, 1, 200);
    other->result = cancel_check(&reason);
    canceller_end(cancellable);
    return NULL;
}

static void a_deleted_instance_cancels_its_own_snapshots(void **state)
{
    (void)state;
    struct other other = {.result = 1};
    struct cancellable *cancellable = begin(FIXTURE_INSTANCE);
    assert_int_equal(pthread_create(&other.thread, NULL, run_other, &other), 0);
    assert_true(see_peeks(2, WAIT_MS)); /* the other one runs */
    assert_int_equal(canceller_instance_deleted(canceller, FIXTURE_INSTANCE, false), 1);
    assert_cancelled(EXC_UNEXPECTED_DELETING, FIXTURE_INSTANCE);
    assert_int_equal(pthread_join(other.thread, NULL), 0);
    assert_int_equal(other.result, 0);
    canceller_end(cancellable);
    assert_int_equal(canceller_instance_deleted(canceller, FIXTURE_INSTANCE, false), 0);

    cancellable = begin(FIXTURE_INSTANCE);
    assert_int_equal(canceller_instance_deleted(canceller, FIXTURE_INSTANCE, true), 1);
    assert_cancelled(EXC_UNEXPECTED_TASK_STATE, FIXTURE_INSTANCE);
    canceller_end(cancellable);
}

static void a_vanished_disk_cancels_its_snapshot(void **state)
{
    (void)state;
    char path[] = "/tmp/test_canceller.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    struct cancellable *cancellable = begin(FIXTURE_INSTANCE);
    canceller_set_phase(cancellable, CANCELLABLE_RUNS);
    canceller_set_disk(cancellable, path);
    atomic_store(&glance_errnum, ETIMEDOUT); /* which keeps nobody from looking */
    assert_true(see_peeks(2, WAIT_MS));
    assert_not_cancelled();
    assert_int_equal(unlink(path), 0);
    assert_cancelled(EXC_INSTANCE_NOT_FOUND, path);
    canceller_end(cancellable);
}

static void the_end_of_the_agent_cancels_what_it_says(void **state)
{
    (void)state;
    struct error reason = ERROR_INIT;
    (void)error_set(&reason, ECANCELED, EXC_INTERNAL_ERROR, "the agent ends");
    struct cancellable *cancellable = begin(FIXTURE_INSTANCE);
    canceller_set_phase(cancellable, CANCELLABLE_RUNS);
    assert_int_equal(canceller_cancel_all(canceller, CANCELLER_WAITING, &reason), 0);
    assert_not_cancelled();
    assert_int_equal(canceller_cancel_all(canceller, CANCELLER_ALL, &reason), 1);
    assert_cancelled(EXC_INTERNAL_ERROR, "the agent ends");
    canceller_end(cancellable);
    cancellable = begin(FIXTURE_INSTANCE);
    assert_int_equal(canceller_cancel_all(canceller, CANCELLER_WAITING, &reason), 0);
    assert_int_equal(canceller_cancel_all(canceller, CANCELLER_ALL, &reason), 0);
    assert_not_cancelled(); /* its guest is in the hands of another */
    canceller_set_phase(cancellable, CANCELLABLE_WAITS_FOR_SLOT);
    assert_int_equal(canceller_cancel_all(canceller, CANCELLER_WAITING, &reason), 1);
    assert_cancelled(EXC_INTERNAL_ERROR, "the agent ends");
    canceller_end(cancellable);
}

static void nobody_is_no_canceller(void **state)
{
    (void)state;
    struct cancellable *cancellable = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(
        canceller_begin(NULL, FIXTURE_INSTANCE, FIXTURE_IMAGE, context, &cancellable, &err), 0);
    assert_null(cancellable);
    canceller_set_phase(cancellable, CANCELLABLE_RUNS);
    canceller_set_disk(cancellable, "/");
    canceller_end(cancellable);
    assert_int_equal(canceller_instance_deleted(NULL, FIXTURE_INSTANCE, false), 0);
    assert_int_equal(canceller_cancel_all(NULL, CANCELLER_ALL, &err), 0);
    canceller_free(NULL);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_deleted_image_cancels_its_snapshot),
        TEST(an_image_is_looked_at_in_every_phase),
        TEST(what_has_ended_is_not_asked_for),
        TEST(trouble_with_glance_cancels_nothing),
        TEST(a_deleted_instance_cancels_its_own_snapshots),
        TEST(a_vanished_disk_cancels_its_snapshot),
        TEST(the_end_of_the_agent_cancels_what_it_says),
        TEST(nobody_is_no_canceller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
