/* SPDX-License-Identifier: Apache-2.0 */
/* common/process.c */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/process.h"
#include "tests/unit/canceller.h"

#define DEADLINE_MS 20000

static int run_shell(const char *script, struct process_options options, char **ret_output,
                     struct error *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    size_t size = 0;
    options.argv = argv;
    if (options.deadline_ms == 0)
        options.deadline_ms = DEADLINE_MS;
    int r = process_run(&options, ret_output, &size, err);
    if (r == 0 && ret_output)
        assert_int_equal(strlen(*ret_output), size);
    return r;
}

static void assert_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static size_t count_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;
    assert_non_null(dir);
    while (readdir(dir)) /* NOLINT(concurrency-mt-unsafe) */
        count++;
    closedir(dir);
    return count;
}

static void output_is_given_back(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    char *output = NULL;
    assert_int_equal(run_shell("printf 'a\\nb'; echo noise >&2",
                               (struct process_options){.output_max_bytes = 3}, &output, &err),
                     0);
    assert_string_equal(output, "a\nb");
    free(output);
    assert_int_equal(
        run_shell("true", (struct process_options){.output_max_bytes = 3}, &output, &err), 0);
    assert_string_equal(output, "");
    free(output);
    assert_no_children();
}

static void arguments_reach_the_helper_as_they_are(void **state)
{
    (void)state;
    const char *const argv[] = {"printf", "<%s>", "$(id) `id`; a b\"'*", "", NULL};
    const struct process_options options = {
        .argv = argv, .deadline_ms = DEADLINE_MS, .output_max_bytes = 100};
    struct error err = ERROR_INIT;
    char *output = NULL;
    size_t size = 0;
    assert_int_equal(process_run(&options, &output, &size, &err), 0);
    assert_string_equal(output, "<$(id) `id`; a b\"'*><>");
    free(output);
}

static void environment_is_clean(void **state)
{
    (void)state;
    const char *const argv[] = {"env", NULL};
    const struct process_options options = {
        .argv = argv, .deadline_ms = DEADLINE_MS, .output_max_bytes = 10000};
    struct error err = ERROR_INIT;
    char *output = NULL;
    size_t size = 0;
    setenv("SECRET_TOKEN", "x", 1); /* NOLINT(concurrency-mt-unsafe) */
    assert_int_equal(process_run(&options, &output, &size, &err), 0);
    char expected[5000];
    (void)snprintf(expected, sizeof(expected), "PATH=%s\nLC_ALL=C\n",
                   getenv("PATH")); /* NOLINT(concurrency-mt-unsafe) */
    assert_string_equal(output, expected);
    free(output);
}

static void helper_gets_no_other_fd_and_no_signal_settings(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    char *output = NULL;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    void (*old_pipe)(int) = signal(SIGPIPE, SIG_IGN);
    void (*old_hup)(int) = signal(SIGHUP, SIG_IGN); /* as nohup does */
    int r = run_shell("ls /proc/self/fd | wc -l; grep -E '^Sig(Blk|Ign)' /proc/self/status; cat",
                      (struct process_options){.output_max_bytes = 1000}, &output, &err);
    signal(SIGHUP, old_hup);
    signal(SIGPIPE, old_pipe);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    assert_int_equal(r, 0);
    int fds = 0;
    unsigned long long blocked = ~0ULL, ignored = ~0ULL;
    assert_int_equal(sscanf(output, "%d SigBlk: %llx SigIgn: %llx", &fds, &blocked, &ignored), 3);
    free(output);
    /* 0, 1, 2 and the one ls lists the directory with. */
    assert_int_equal(fds, 4);
    /* Signals 32 and 33 are the C library's own: nobody else can set them back. */
    const unsigned long long settable = ~(3ULL << 31);
    assert_int_equal(blocked & settable, 0);
    /* What "systemctl kill" sends to all means the agent. */
    assert_int_equal(ignored & settable, 1ULL << (SIGUSR1 - 1) | 1ULL << (SIGUSR2 - 1));
}

static void failure_tells_status_and_last_words(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(
        run_shell("echo 'one\ntwo' >&2; exit 3", (struct process_options){0}, NULL, &err),
        -ECANCELED);
    assert_string_equal(err.message, "sh exited with status 3: one two");
    assert_string_equal(err.exc, EXC_PROCESS_EXECUTION_ERROR);
    assert_int_equal(run_shell("kill -TERM $$", (struct process_options){0}, NULL, &err),
                     -ECANCELED);
    assert_string_equal(err.message, "sh was killed by signal 15: it printed no reason");
}

static void only_the_tail_of_stderr_is_kept(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(run_shell("i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done;"
                               "exit 1",
                               (struct process_options){0}, NULL, &err),
                     -ECANCELED);
    assert_non_null(strstr(err.message, "line 2998 line 2999"));
    assert_null(strstr(err.message, "line 2000"));
    assert_true(strlen(err.message) < 700);
}

static void flood_is_stopped(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    char *output = NULL;
    uint64_t started = clock_now_ms();
    assert_int_equal(
        run_shell("exec yes", (struct process_options){.output_max_bytes = 100000}, &output, &err),
        -EMSGSIZE);
    assert_non_null(strstr(err.message, "printed more than 100000 bytes"));
    assert_null(output);
    assert_true(clock_now_ms() - started < DEADLINE_MS / 2);
    assert_no_children();
}

static void unwanted_output_is_thrown_away(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(
        run_shell("head -c 5000000 /dev/zero", (struct process_options){0}, NULL, &err), 0);
}

static void deadline_ends_the_whole_group(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    uint64_t started = clock_now_ms();
    /* The grandchild holds the pipes and would go on for long. */
    assert_int_equal(run_shell("sleep 60 & while :; do :; done",
                               (struct process_options){.deadline_ms = 300}, NULL, &err),
                     -ETIMEDOUT);
    assert_string_equal(err.message, "sh did not end within 300 ms");
    assert_true(clock_now_ms() - started < 5000);
    assert_no_children();
}

static void leftover_grandchild_does_not_hold_up_the_end(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    char *output = NULL;
    uint64_t started = clock_now_ms();
    assert_int_equal(run_shell("sleep 60 & echo $!",
                               (struct process_options){.output_max_bytes = 100}, &output, &err),
                     0);
    assert_true(clock_now_ms() - started < 5000);
    pid_t grandchild = (pid_t)strtol(output, NULL, 10);
    free(output);
    assert_true(grandchild > 1);
    /* Killed with its group; who reaps it is not known, so a zombie counts as dead. */
    char path[64], stat[256] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)grandchild);
    for (int i = 0; i < 200; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, stat, sizeof(stat) - 1);
        stat[n < 0 ? 0 : n] = '\0';
        if (fd >= 0)
            close(fd);
        if (fd < 0 || strstr(stat, ") Z ") || strstr(stat, ") X "))
            return;
        const struct timespec pause = {.tv_nsec = 10000000};
        nanosleep(&pause, NULL);
    }
    fail_msg("the grandchild lives: %s", stat);
}

static void stall_is_seen(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    const char *const argv[] = {"sleep", "60", NULL};
    const struct process_options options = {.argv = argv, .stall_timeout_ms = 300};
    uint64_t started = clock_now_ms();
    assert_int_equal(process_run(&options, NULL, NULL, &err), -ETIMEDOUT);
    assert_string_equal(err.message, "sleep made no progress for 300 ms");
    assert_true(clock_now_ms() - started >= 300);
    assert_true(clock_now_ms() - started < 5000);
}

static void output_and_io_are_progress(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(run_shell("for i in 1 2 3 4 5 6 7 8 9 10; do echo .; sleep 0.2; done",
                               (struct process_options){.stall_timeout_ms = 1500}, NULL, &err),
                     0);
    /* Silent, but its own I/O goes on. */
    assert_int_equal(run_shell("i=0; while [ $i -lt 10 ]; do read -r x </proc/uptime; sleep 0.2;"
                               "i=$((i+1)); done",
                               (struct process_options){.stall_timeout_ms = 1500}, NULL, &err),
                     0);
}

static void limits_hold(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    /* A second of CPU may take long beside other work. */
    assert_int_equal(
        run_shell("while :; do :; done",
                  (struct process_options){.cpu_limit_s = 1, .deadline_ms = 5 * DEADLINE_MS}, NULL,
                  &err),
        -ECANCELED);
    assert_non_null(strstr(err.message, "killed by signal"));
    char *output = NULL;
    assert_int_equal(run_shell("ulimit -v; ulimit -c",
                               (struct process_options){.address_space_limit_bytes = 1U << 30,
                                                        .output_max_bytes = 100},
                               &output, &err),
                     0);
    assert_string_equal(output, "1048576\n0\n");
    free(output);
}

static void missing_program_and_missing_time_limit(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    const char *const argv[] = {"no-such-program", NULL};
    struct process_options options = {.argv = argv, .deadline_ms = DEADLINE_MS};
    assert_int_equal(process_run(&options, NULL, NULL, &err), -ENOENT);
    assert_non_null(strstr(err.message, "cannot run no-such-program"));
    options.deadline_ms = 0;
    assert_int_equal(process_run(&options, NULL, NULL, &err), -EINVAL);
    assert_no_children();
}

static void *run_many(void *arg)
{
    for (int i = 0; i < 10; i++) {
        struct error err = ERROR_INIT;
        char *output = NULL;
        if (run_shell("echo $$; cat /dev/null", (struct process_options){.output_max_bytes = 20},
                      &output, &err) < 0)
            return arg;
        free(output);
    }
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    pthread_t threads[4];
    size_t fds = count_open_fds();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, threads), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failure = NULL;
        assert_int_equal(pthread_join(threads[i], &failure), 0);
        assert_null(failure);
    }
    assert_no_children();
    /* The thread that watched a helper may close its end a little later than that is heard. */
    for (int i = 0; i < DEADLINE_MS && count_open_fds() > fds; i++)
        (void)poll(NULL, 0, 1);
    assert_true(count_open_fds() <= fds); /* fewer: one of the test before was still open */
}

/* The helper tells over a FIFO that it runs, and that its child does. */
static void a_cancelled_helper_is_killed_with_its_group(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_process.XXXXXX", fifo[64], script[200];
    struct canceller canceller;
    struct error err = ERROR_INIT;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    (void)snprintf(script, sizeof(script), "sleep 3600 3>%s & echo running >%s; wait", fifo, fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    canceller_enter(&canceller);
    canceller_start(&canceller, fd);
    int r = run_shell(script, (struct process_options){.deadline_ms = 3600000}, NULL, &err);
    assert_cancelled(r, &err);
    canceller_join(&canceller);
    canceller_leave(&canceller);
    assert_no_children();
    /* The end of file tells that nobody has the FIFO open any more. */
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    char text[64];
    ssize_t n;
    do {
        assert_int_equal(poll(&entry, 1, DEADLINE_MS), 1);
        n = read(fd, text, sizeof(text));
    } while (n > 0 || (n < 0 && errno == EAGAIN));
    assert_int_equal(n, 0);
    close(fd);
    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void a_shielded_helper_runs_to_its_end(void **state)
{
    (void)state;
    struct canceller canceller;
    struct error err = ERROR_INIT;
    canceller_enter(&canceller);
    canceller_request(&canceller);
    assert_cancelled(run_shell("sleep 3600", (struct process_options){0}, NULL, &err), &err);
    {
        CANCEL_SHIELD();
        assert_int_equal(run_shell("true", (struct process_options){0}, NULL, &err), 0);
    }
    canceller_leave(&canceller);
}

/* However quick it would have been. */
static void a_cancelled_thread_starts_no_helper(void **state)
{
    (void)state;
    char path[] = "/tmp/test-process-XXXXXX";
    struct error err = ERROR_INIT;
    struct canceller canceller;
    char script[64];
    struct stat st;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)snprintf(script, sizeof(script), "echo x >%s", path);
    canceller_enter(&canceller);
    canceller_request(&canceller);
    assert_cancelled(run_shell(script, (struct process_options){0}, NULL, &err), &err);
    canceller_leave(&canceller);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 0);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancelled_helper_is_killed_with_its_group),
        cmocka_unit_test(a_shielded_helper_runs_to_its_end),
        cmocka_unit_test(output_is_given_back),
        cmocka_unit_test(arguments_reach_the_helper_as_they_are),
        cmocka_unit_test(environment_is_clean),
        cmocka_unit_test(helper_gets_no_other_fd_and_no_signal_settings),
        cmocka_unit_test(failure_tells_status_and_last_words),
        cmocka_unit_test(only_the_tail_of_stderr_is_kept),
        cmocka_unit_test(flood_is_stopped),
        cmocka_unit_test(unwanted_output_is_thrown_away),
        cmocka_unit_test(deadline_ends_the_whole_group),
        cmocka_unit_test(leftover_grandchild_does_not_hold_up_the_end),
        cmocka_unit_test(stall_is_seen),
        cmocka_unit_test(output_and_io_are_progress),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(missing_program_and_missing_time_limit),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(a_cancelled_thread_starts_no_helper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
