/* SPDX-License-Identifier: Apache-2.0 */
/* driver/libvirt/domain_watch.c */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "common/clock.h"
#include "driver/libvirt/domain_watch.h"
#include "tests/unit/canceller.h"

#define READY 3
#define UUID "ff63a4bd-ab90-44ed-aff7-f7630d1f1df8"
#define OTHER "0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11"

static struct domain_watches *watches;

static struct domain_watch *watch_disk(const char *disk)
{
    struct domain_watch *watch = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(domain_watch_new(watches, UUID, disk, &watch, &err), 0);
    return watch;
}

static void only_its_own_news_are_heard(void **state)
{
    (void)state;
    struct domain_watch *watch = watch_disk("vda");
    struct domain_watch *other = watch_disk("vdb");
    struct domain_news news = DOMAIN_NEWS_INIT, other_news = DOMAIN_NEWS_INIT;
    domain_watches_block_job(watches, UUID, "vda", READY);
    domain_watches_block_job(watches, OTHER, "vda", 1);
    domain_watches_stopped(watches, OTHER);
    assert_true(domain_watch_wait(watch, 0, &news)); /* news from before the wait count */
    assert_int_equal(news.block_job_status, READY);
    assert_false(news.stopped);
    assert_false(domain_watch_wait(watch, 0, &news));
    assert_false(domain_watch_wait(other, 0, &other_news));
    assert_int_equal(other_news.block_job_status, -1);

    domain_watches_stopped(watches, UUID);
    assert_true(domain_watch_wait(watch, 0, &news));
    assert_true(news.stopped);
    assert_false(news.resumed);
    domain_watches_resumed(watches, UUID);
    assert_true(domain_watch_wait(watch, 0, &news));
    assert_true(news.resumed);
    assert_false(news.started);
    domain_watches_started(watches, UUID);
    assert_true(domain_watch_wait(watch, 0, &news));
    assert_true(news.started);
    assert_int_equal(news.block_job_status, READY);
    domain_watches_device_removed(watches, UUID);
    assert_true(domain_watch_wait(other, 0, &other_news));
    domain_watches_disconnected(watches);
    assert_true(domain_watch_wait(watch, 0, &news));
    assert_true(news.disconnected);
    domain_watch_free(watch);
    domain_watches_block_job(watches, UUID, "vdb", 2);
    assert_true(domain_watch_wait(other, 0, &other_news));
    assert_int_equal(other_news.block_job_status, 2);
    domain_watch_free(other);
    domain_watch_free(NULL);
    domain_watches_block_job(watches, UUID, "vda", READY); /* nobody listens */
}

static void waiting_ends_in_time(void **state)
{
    (void)state;
    struct domain_watch *watch = watch_disk("vda");
    struct domain_news news = DOMAIN_NEWS_INIT;
    uint64_t started = clock_now_ms();
    assert_false(domain_watch_wait(watch, 50, &news));
    assert_true(clock_now_ms() - started >= 49);
    assert_true(clock_now_ms() - started < 10000);
    domain_watch_free(watch);
}

static void waiting_ends_when_the_work_is_cancelled(void **state)
{
    (void)state;
    struct domain_watch *watch = watch_disk("vda");
    struct domain_news news = DOMAIN_NEWS_INIT;
    struct canceller canceller;
    uint64_t started = clock_now_ms();
    canceller_enter(&canceller);
    canceller_start(&canceller, -1);
    assert_false(domain_watch_wait(watch, 3600000, &news));
    assert_true(clock_now_ms() - started < CANCELLER_MAX_MS);
    domain_watches_block_job(watches, UUID, "vda", READY);
    assert_true(domain_watch_wait(watch, 3600000, &news)); /* what was heard is told all the same */
    canceller_join(&canceller);
    canceller_leave(&canceller);
    domain_watch_free(watch);
}

static void *tell_later(void *arg)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    (void)nanosleep(&pause, NULL);
    domain_watches_block_job(watches, UUID, "vda", READY);
    return arg;
}

static void another_thread_wakes_the_waiter(void **state)
{
    (void)state;
    struct domain_watch *watch = watch_disk("vda");
    struct domain_news news = DOMAIN_NEWS_INIT;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, tell_later, NULL), 0);
    assert_true(domain_watch_wait(watch, 20000, &news));
    assert_int_equal(news.block_job_status, READY);
    assert_int_equal(pthread_join(thread, NULL), 0);
    domain_watch_free(watch);
}

static int set_up(void **state)
{
    struct error err = ERROR_INIT;
    (void)state;
    return domain_watches_new(&watches, &err);
}

static int tear_down(void **state)
{
    (void)state;
    domain_watches_free(watches);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_its_own_news_are_heard),
        cmocka_unit_test(waiting_ends_in_time),
        cmocka_unit_test(another_thread_wakes_the_waiter),
        cmocka_unit_test(waiting_ends_when_the_work_is_cancelled),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
