/* SPDX-License-Identifier: Apache-2.0 */
/* agent/release.c: which Nova is at hand, and what follows from it for an image's record. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "agent/image_properties.h"
#include "agent/release.h"
#include "amqp/rpc.h"
#include "common/clock.h"
#include "fixture.h"

#define PATIENCE_MS 20000

static struct release *release;
static struct instance instance;
static struct error err;
static atomic_uint n_asked, version; /* of nova-compute; 0: there is none */
static atomic_bool hangs, fails, is_odd;
static atomic_long passed_s; /* beyond the real time */

int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    int r = __real_clock_gettime(clock, ret_now);
    if (clock == CLOCK_BOOTTIME)
        ret_now->tv_sec += atomic_load(&passed_s);
    return r;
}

static json_t *service(void)
{
    if (atomic_load(&is_odd))
        return json_pack("{s:{s:s}}", "nova_object.data", "version", "64");
    unsigned number = atomic_load(&version);
    return number == 0 ? json_null()
                       : json_pack("{s:{s:i}}", "nova_object.data", "version", (int)number);
}

int __wrap_rpc_call(struct bus *bus, const struct rpc_call *call, json_t **ret_result,
                    struct error *error);

int __wrap_rpc_call(struct bus *bus, const struct rpc_call *call, json_t **ret_result,
                    struct error *error)
{
    (void)bus;
    json_t *args = call->args;
    json_t *expected = json_pack("{s:s, s:s, s:{s:s}, s:[s, s], s:{}}", "objname", "Service",
                                 "objmethod", "get_by_host_and_binary", "object_versions",
                                 "Service", "1.22", "args", "cmp1", "nova-compute", "kwargs");
    assert_string_equal(call->topic, "conductor");
    assert_string_equal(call->method, "object_class_action_versions");
    assert_in_range(call->timeout_ms, 1, 10000);
    assert_json_equal(args, expected);
    json_decref(expected);
    json_decref(args);
    while (atomic_load(&hangs))
        (void)poll(NULL, 0, 2);
    *ret_result = atomic_load(&fails) ? NULL : service();
    atomic_fetch_add(&n_asked, 1);
    return atomic_load(&fails) ? error_set(error, ETIMEDOUT, EXC_MESSAGING_TIMEOUT, "silence") : 0;
}

static int setup(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    atomic_store(&n_asked, 0);
    atomic_store(&version, 64);
    atomic_store(&hangs, false);
    atomic_store(&fails, false);
    atomic_store(&is_odd, false);
    atomic_store(&passed_s, 0);
    fixture_instance(&instance);
    return release_new(NULL, "cmp1", &release, &err);
}

static int teardown(void **state)
{
    (void)state;
    release_free(release);
    instance_done(&instance);
    return 0;
}

/* Until it has been asked `n` times in all; the answer is then in place soon. */
static void ask(unsigned n)
{
    uint64_t end_ms = clock_now_ms() + PATIENCE_MS;
    while (atomic_load(&n_asked) < n && clock_now_ms() < end_ms) {
        release_ask(release);
        (void)poll(NULL, 0, 2);
    }
    assert_int_equal(atomic_load(&n_asked), n);
}

static void await(enum release_habit habit, bool wanted)
{
    uint64_t end_ms = clock_now_ms() + PATIENCE_MS;
    while (release_has(release, &instance, habit) != wanted && clock_now_ms() < end_ms)
        (void)poll(NULL, 0, 2);
    assert_int_equal(release_has(release, &instance, habit), wanted);
}

/* Tags of nova: 26.2.2, 27.0.0, 29.0.0, 31.0.0, 32.0.0, 33.0.0 */
static void each_release_has_its_habits(void **state)
{
    static const struct {
        unsigned version;
        bool ami, shares, conflict, post;
    } releases[] = {{61, true, false, false, false}, {64, true, false, false, false},
                    {66, false, false, true, false}, {67, false, false, true, false},
                    {68, false, true, true, false},  {70, false, true, true, true},
                    {72, false, true, true, true}};
    for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
        (void)teardown(state);
        (void)setup(state);
        atomic_store(&version, releases[i].version);
        ask(1);
        await(RELEASE_AMI_STAYS_AMI, releases[i].ami);
        await(RELEASE_TELLS_SHARES, releases[i].shares);
        await(RELEASE_REFUSES_WITH_409, releases[i].conflict);
        await(RELEASE_POSTS_LOCATION, releases[i].post);
    }
}

static void the_instance_tells_until_there_is_an_answer(void **state)
{
    (void)state;
    assert_true(release_has(NULL, &instance, RELEASE_AMI_STAYS_AMI)); /* 2.7 */
    assert_false(release_has(NULL, &instance, RELEASE_REFUSES_WITH_409));
    instance.minor_version = 8;
    assert_false(release_has(NULL, &instance, RELEASE_AMI_STAYS_AMI));
    assert_false(release_has(NULL, &instance, RELEASE_TELLS_SHARES));
    assert_true(release_has(NULL, &instance, RELEASE_REFUSES_WITH_409));
    atomic_store(&hangs, true);
    release_ask(release);                                                 /* returns */
    assert_false(release_has(release, &instance, RELEASE_AMI_STAYS_AMI)); /* after a second */
    atomic_store(&hangs, false);
    await(RELEASE_AMI_STAYS_AMI, true); /* the answer counts more */
}

static void what_is_known_is_kept_and_refreshed(void **state)
{
    (void)state;
    atomic_store(&version, 68);
    ask(1);
    await(RELEASE_TELLS_SHARES, true);
    release_ask(release);
    atomic_store(&passed_s, 61);
    atomic_store(&fails, true);
    ask(2);
    atomic_store(&passed_s, 122);
    atomic_store(&fails, false);
    atomic_store(&is_odd, true);
    ask(3);
    assert_true(release_has(release, &instance, RELEASE_TELLS_SHARES));
    atomic_store(&passed_s, 183);
    atomic_store(&is_odd, false);
    atomic_store(&version, 64); /* it has been downgraded */
    ask(4);
    await(RELEASE_TELLS_SHARES, false);
    atomic_store(&passed_s, 244);
    atomic_store(&version, 0);
    instance.minor_version = 8;
    ask(5);
    await(RELEASE_AMI_STAYS_AMI, false); /* only the instance is left to tell */
}

static void *let_go(void *arg)
{
    (void)poll(NULL, 0, 50);
    atomic_store(&hangs, false);
    return arg;
}

/* What a request hears a minute later, when it was upgraded, or downgraded, meanwhile. */
static bool hears_of_another_release(bool tells)
{
    pthread_t thread;
    atomic_fetch_add(&passed_s, 61);
    atomic_store(&version, tells ? 68 : 64);
    atomic_store(&hangs, true);
    assert_int_equal(pthread_create(&thread, NULL, let_go, NULL), 0);
    release_ask(release);
    bool hears = release_has(release, &instance, RELEASE_TELLS_SHARES) == tells;
    assert_int_equal(pthread_join(thread, NULL), 0);
    await(RELEASE_TELLS_SHARES, tells);
    return hears;
}

/* More than once where a busy machine does not answer in time. */
static void an_answer_under_way_is_waited_for(void **state)
{
    (void)state;
    unsigned tries = 1;
    ask(1);
    await(RELEASE_TELLS_SHARES, false);
    while (!hears_of_another_release(tries % 2 == 1))
        assert_true(++tries <= 10);
}

/* As before the bus is there: the answer must not come a minute late for that. */
static void a_failure_does_not_last(void **state)
{
    (void)state;
    atomic_store(&version, 68);
    atomic_store(&fails, true);
    ask(1);
    atomic_store(&fails, false);
    ask(2);
    await(RELEASE_TELLS_SHARES, true);
}

static void nothing_is_asked_for_nobody(void **state)
{
    (void)state;
    release_ask(NULL);
    release_free(NULL);
    assert_int_equal(atomic_load(&n_asked), 0);
}

static void an_ami_has_the_format_its_release_gives_it(void **state)
{
    (void)state;
    json_t *metadata = json_object_get(instance.data, "system_metadata");
    (void)json_object_set_new(metadata, "image_disk_format", json_string("ami"));
    (void)json_object_set_new(metadata, "image_container_format", json_string("ami"));
    for (int later = 0; later < 2; later++) {
        instance.minor_version = later ? 8 : 7;
        json_t *attributes = image_properties_build(release, &instance, "qcow2");
        assert_string_equal(json_string_value(json_object_get(attributes, "disk_format")),
                            later ? "qcow2" : "ami");
        assert_string_equal(json_string_value(json_object_get(attributes, "container_format")),
                            "ami");
        json_decref(attributes);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_release_has_its_habits),
        TEST(the_instance_tells_until_there_is_an_answer),
        TEST(what_is_known_is_kept_and_refreshed),
        TEST(an_answer_under_way_is_waited_for),
        TEST(a_failure_does_not_last),
        TEST(nothing_is_asked_for_nobody),
        TEST(an_ami_has_the_format_its_release_gives_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
