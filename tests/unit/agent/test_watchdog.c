/* SPDX-License-Identifier: Apache-2.0 */
/* agent/watchdog.c: however the agent ends, the program is run; and the agent looks after it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/watchdog.h"
#include "common/clock.h"
#include "fixture.h"

#define PATIENCE_MS 20000

static pid_t last_child;

pid_t __real_fork(void);
pid_t __wrap_fork(void);

pid_t __wrap_fork(void)
{
    pid_t pid = __real_fork();
    if (pid > 0)
        __atomic_store_n(&last_child, pid, __ATOMIC_SEQ_CST);
    return pid;
}

static pid_t child(void)
{
    return __atomic_load_n(&last_child, __ATOMIC_SEQ_CST);
}

static char folder[64], ran[128];
static struct error err;

/* It tells by a file that it was run, and which descriptors it had. */
static char shell[] = "sh", option[] = "-c", script[600];
static char *argv[] = {shell, option, script, NULL};

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/nsa-watchdog.XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(ran, sizeof(ran), "%s/ran", folder);
    (void)snprintf(script, sizeof(script), "ls /proc/self/fd | wc -l >%s.new; mv %s.new %s", ran,
                   ran, ran);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(ran);
    return rmdir(folder);
}

static bool await(bool (*is_so)(void))
{
    uint64_t end_ms = clock_now_ms() + PATIENCE_MS;
    while (!is_so() && clock_now_ms() < end_ms)
        (void)poll(NULL, 0, 5);
    return is_so();
}

static bool has_run(void)
{
    return access(ran, F_OK) == 0;
}

static struct watchdog *start(void)
{
    struct watchdog *watchdog = NULL;
    err = (struct error)ERROR_INIT;
    assert_int_equal(watchdog_start("/bin/sh", argv, &watchdog, &err), 0);
    return watchdog;
}

/* An agent of our own, which dies. */
static void kill_agent(void)
{
    pid_t agent = __real_fork();
    if (agent == 0) {
        (void)open("/dev/null", O_RDONLY); /* inheritable: not to be seen by the program */
        (void)start();
        (void)kill(getpid(), SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(agent, &status, 0), agent);
    assert_true(WIFSIGNALED(status));
}

static void it_acts_when_the_agent_is_killed(void **state)
{
    (void)state;
    char text[8] = "";
    assert_false(has_run());
    kill_agent();
    assert_true(await(has_run));
    int fd = open(ran, O_RDONLY);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    (void)close(fd);
    assert_string_equal(text, "4\n"); /* the standard ones, and the folder that is listed */
}

static void it_is_gone_after_an_orderly_end(void **state)
{
    (void)state;
    struct watchdog *watchdog = start();
    pid_t pid = child();
    assert_int_equal(kill(pid, 0), 0);
    assert_false(has_run());
    watchdog_stop(watchdog, PATIENCE_MS);
    assert_true(has_run());
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    watchdog_stop(NULL, 0);
}

static void signals_of_a_group_do_not_end_it(void **state)
{
    (void)state;
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1};
    sigset_t blocked, before; /* as the agent has them until the process ignores them */
    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)sigaddset(&blocked, signals[i]);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
    struct watchdog *watchdog = start();
    pid_t pid = child();
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        assert_int_equal(kill(pid, signals[i]), 0);
    watchdog_stop(watchdog, PATIENCE_MS);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_true(has_run());
    assert_int_equal(child(), pid);
}

static pid_t killed;

static bool is_another(void)
{
    return child() != killed && kill(child(), 0) == 0;
}

static void one_that_dies_is_started_again(void **state)
{
    (void)state;
    struct watchdog *watchdog = start();
    for (int i = 0; i < 2; i++) {
        killed = child();
        assert_int_equal(kill(killed, SIGKILL), 0);
        assert_true(await(is_another));
        assert_false(has_run());
    }
    watchdog_stop(watchdog, PATIENCE_MS);
    assert_true(has_run());
}

static void an_end_does_not_wait_for_ever(void **state)
{
    (void)state;
    (void)snprintf(script, sizeof(script), "while [ ! -e %s ]; do sleep 0.02; done; rm %s", ran,
                   ran);
    struct watchdog *watchdog = start();
    pid_t pid = child();
    uint64_t start_ms = clock_now_ms();
    watchdog_stop(watchdog, 50);
    assert_in_range(clock_now_ms() - start_ms, 50, PATIENCE_MS);
    assert_int_equal(kill(pid, 0), 0);
    (void)close(open(ran, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    uint64_t end_ms = clock_now_ms() + PATIENCE_MS;
    while (kill(pid, 0) == 0 && clock_now_ms() < end_ms)
        (void)poll(NULL, 0, 5);
    assert_int_equal(kill(pid, 0), -1);
}

static void no_program_is_an_error(void **state)
{
    (void)state;
    struct watchdog *watchdog = NULL;
    assert_int_equal(watchdog_start("/nonexistent", argv, &watchdog, &err), -ENOENT);
    assert_null(watchdog);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_acts_when_the_agent_is_killed), TEST(it_is_gone_after_an_orderly_end),
        TEST(signals_of_a_group_do_not_end_it), TEST(one_that_dies_is_started_again),
        TEST(an_end_does_not_wait_for_ever),    TEST(no_program_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
