/* SPDX-License-Identifier: Apache-2.0 */
/* agent/sd_notify.c: what the service manager hears. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/sd_notify.h"
#include "agent/workers.h"
#include "bus_state.h"
#include "common/clock.h"
#include "conf/conf.h"
#include "fixture.h"

static char name[] = "cmp1";
static struct conf conf = {.DEFAULT.host = name};
static struct agent agent;
static struct sd_notifier notifier;
static bool alive; /* the bus thread */
static unsigned watched_ms;
static int socket_fd = -1;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

void __wrap_bus_watch(struct bus *bus, unsigned interval_ms);
void __wrap_bus_watch(struct bus *bus, unsigned interval_ms)
{
    (void)bus;
    watched_ms = interval_ms;
}

bool __wrap_bus_alive(struct bus *bus, unsigned within_ms);
bool __wrap_bus_alive(struct bus *bus, unsigned within_ms)
{
    (void)bus;
    assert_int_equal(within_ms, 30000);
    return alive;
}

static int setup(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    bus_state.connected = bus_state.attached = alive = true;
    watched_ms = 0;
    agent = (struct agent){.conf = &conf};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/test-sd-notify-%d",
                   (int)getpid());
    socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(socket_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
    assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
    return workers_new(1, &agent.workers, &err);
}

static int teardown(void **state)
{
    (void)state;
    workers_free(agent.workers);
    (void)close(socket_fd);
    return unlink(address.sun_path);
}

/* What has been told since the last look, a blank behind each message. */
static const char *told(void)
{
    static char text[4096];
    size_t used = 0;
    ssize_t n;
    while ((n = recv(socket_fd, text + used, sizeof(text) - used - 2, MSG_DONTWAIT)) >= 0) {
        used += (size_t)n;
        text[used++] = ' ';
    }
    text[used] = '\0';
    return text;
}

static void show_now(void)
{
    notifier.next_ms = 0;
    sd_notify_show(&notifier);
}

static void says_what_it_is_told_to(void **state)
{
    (void)state;
    assert_true(sd_notify_listens());
    sd_notify_ready();
    assert_string_equal(told(), "READY=1 ");
    sd_notify_stopping();
    sd_notify_alive();
    sd_notify_extend(1500);
    assert_string_equal(told(), "STOPPING=1 WATCHDOG=1 EXTEND_TIMEOUT_USEC=1500000 ");
    uint64_t before_ms = clock_now_ms();
    sd_notify_reloading();
    const char *text = told();
    unsigned long long usec = 0;
    assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu ", &usec), 1);
    assert_true(usec > 0 && usec / 1000 <= before_ms + 60000);
}

static void says_nothing_to_nobody(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_false(sd_notify_listens());
    assert_int_equal(sd_notify_watchdog_ms(), 0);
    sd_notify_init(&notifier, &agent);
    assert_int_equal(notifier.interval_ms, 0); /* nobody wakes up for it */
    assert_int_equal(watched_ms, 0);
    sd_notify_show(&notifier);
    sd_notify_stop(&notifier);
    assert_string_equal(told(), "");
}

static void the_watchdog_is_this_processs(void **state)
{
    (void)state;
    char pid[16];
    assert_int_equal(setenv("WATCHDOG_USEC", "60000000", 1), 0);
    assert_int_equal(sd_notify_watchdog_ms(), 60000);
    assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
    assert_int_equal(sd_notify_watchdog_ms(), 0);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    assert_int_equal(sd_notify_watchdog_ms(), 60000);
    assert_int_equal(setenv("WATCHDOG_USEC", "no number", 1), 0);
    assert_int_equal(sd_notify_watchdog_ms(), 0);
}

static void the_status_is_told_when_it_changes(void **state)
{
    (void)state;
    sd_notify_init(&notifier, &agent);
    assert_int_equal(watched_ms, 0); /* without a watchdog the bus may sleep */
    sd_notify_show(&notifier);
    assert_string_equal(told(), "STATUS=attached to compute.cmp1, 0 running ");
    show_now();
    assert_string_equal(told(), "");
    bus_state.attached = false;
    sd_notify_show(&notifier); /* too early */
    assert_string_equal(told(), "");
    show_now();
    assert_string_equal(told(), "STATUS=detached from compute.cmp1, 0 running ");
    bus_state.connected = false;
    show_now();
    assert_string_equal(told(),
                        "STATUS=trying to connect to RabbitMQ for compute.cmp1, 0 running ");
}

static void no_beat_without_a_bus_that_turns(void **state)
{
    (void)state;
    assert_int_equal(setenv("WATCHDOG_USEC", "20000000", 1), 0);
    sd_notify_init(&notifier, &agent);
    assert_int_equal(notifier.interval_ms, 5000);
    assert_int_equal(watched_ms, 5000);
    show_now();
    assert_non_null(strstr(told(), "WATCHDOG=1"));
    alive = false;
    show_now();
    show_now();
    assert_string_equal(told(), "");
    alive = true;
    show_now();
    assert_string_equal(told(), "WATCHDOG=1 ");
    sd_notify_show(&notifier); /* no more often than that */
    assert_string_equal(told(), "");
}

static void the_end_asks_for_time(void **state)
{
    (void)state;
    sd_notify_init(&notifier, &agent);
    sd_notify_show(&notifier);
    (void)told();
    sd_notify_stop(&notifier);
    assert_string_equal(told(), "STOPPING=1 STATUS=ending: attached to compute.cmp1, 0 running "
                                "EXTEND_TIMEOUT_USEC=30000000 ");
    assert_true(notifier.next_ms <= clock_now_ms() + 2000);
    show_now();
    assert_string_equal(told(), "EXTEND_TIMEOUT_USEC=30000000 ");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(says_what_it_is_told_to),          TEST(says_nothing_to_nobody),
        TEST(the_watchdog_is_this_processs),    TEST(the_status_is_told_when_it_changes),
        TEST(no_beat_without_a_bus_that_turns), TEST(the_end_asks_for_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
