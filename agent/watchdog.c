/* SPDX-License-Identifier: Apache-2.0 */
/* See watchdog.h. */
#include "agent/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

#define PAUSE_MS 1000 /* between two starts */

#define AGENT_FD (STDERR_FILENO + 1)
#define PROGRAM_FD (STDERR_FILENO + 2)

struct watchdog {
    char *const *argv;
    int program_fd;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    pid_t pid;    /* 0: there is none now */
    int agent_fd; /* whose end tells the process that the agent has died; nobody else has it */
    bool stopping;
    bool stopped; /* the thread has ended */
    bool alone;   /* nobody waits for that: the thread releases it */
};

/* systemd and terminals tell a whole group to end: the watchdog's time has not come then. */
static void ignore_signals(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN);
    (void)signal(SIGUSR2, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Nothing of the agent's stays open here but stderr: its lock would outlive it. */
static void keep_only(int agent_fd, int program_fd)
{
    int high_agent_fd = fcntl(agent_fd, F_DUPFD, PROGRAM_FD + 1);
    int high_program_fd = fcntl(program_fd, F_DUPFD, PROGRAM_FD + 1);
    if (dup3(high_agent_fd, AGENT_FD, O_CLOEXEC) < 0 ||
        dup3(high_program_fd, PROGRAM_FD, O_CLOEXEC) < 0 || close_range(PROGRAM_FD + 1, ~0u, 0) < 0)
        _exit(1);
}

static void await_end(void)
{
    char byte;
    ssize_t n;
    while ((n = read(AGENT_FD, &byte, 1)) > 0 || (n < 0 && errno == EINTR))
        continue;
}

/* The child of a threaded program: async-signal-safe calls only. */
static void __attribute__((noreturn)) child_main(const struct watchdog *watchdog, int agent_fd)
{
    ignore_signals();
    (void)prctl(PR_SET_NAME, "nsa-watchdog");
    keep_only(agent_fd, watchdog->program_fd);
    await_end();
    (void)fexecve(PROGRAM_FD, watchdog->argv, environ);
    _exit(1);
}

/* With the lock. */
static int start_process(struct watchdog *watchdog, struct error *err)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "cannot make a pipe to the watchdog");
    pid_t pid = fork();
    if (pid == 0)
        child_main(watchdog, fds[0]);
    int saved_errno = errno;
    (void)close(fds[0]);
    if (pid < 0) {
        (void)close(fds[1]);
        return error_errno(err, saved_errno, "cannot start the watchdog");
    }
    watchdog->pid = pid;
    log_debug("the watchdog process is %d", (int)pid);
    watchdog->agent_fd = fds[1];
    return 0;
}

static void close_agent_fd(struct watchdog *watchdog)
{
    if (watchdog->agent_fd >= 0)
        (void)close(watchdog->agent_fd);
    watchdog->agent_fd = -1;
}

/* With the lock, which is let go meanwhile. */
static void await_death(struct watchdog *watchdog)
{
    int status = 0;
    pid_t pid = watchdog->pid;
    (void)pthread_mutex_unlock(&watchdog->lock);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    (void)pthread_mutex_lock(&watchdog->lock);
    watchdog->pid = 0;
    if (watchdog->stopping)
        return;
    close_agent_fd(watchdog);
    log_error("the watchdog process %d has died (%s %d), another one is started", (int)pid,
              WIFSIGNALED(status) ? "signal" : "status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* With the lock. */
static void pause_between(struct watchdog *watchdog, uint64_t started_ms)
{
    uint64_t now_ms = clock_now_ms();
    if (now_ms >= started_ms + PAUSE_MS)
        return;
    const struct timespec deadline = clock_deadline((unsigned)(started_ms + PAUSE_MS - now_ms));
    while (!watchdog->stopping &&
           pthread_cond_timedwait(&watchdog->changed, &watchdog->lock, &deadline) != ETIMEDOUT)
        continue;
}

static void start_again(struct watchdog *watchdog)
{
    struct error err = ERROR_INIT;
    if (start_process(watchdog, &err) < 0)
        log_error("%s", err.message);
}

static void free_watchdog(struct watchdog *watchdog)
{
    close_agent_fd(watchdog);
    if (watchdog->program_fd >= 0)
        (void)close(watchdog->program_fd);
    (void)pthread_cond_destroy(&watchdog->changed);
    (void)pthread_mutex_destroy(&watchdog->lock);
    free(watchdog);
}

/* True: it is the thread's to release. */
static bool keep_process(struct watchdog *watchdog)
{
    LOCK_SCOPE(&watchdog->lock);
    uint64_t started_ms = clock_now_ms();
    for (;;) {
        if (watchdog->pid > 0)
            await_death(watchdog);
        if (!watchdog->stopping)
            pause_between(watchdog, started_ms);
        if (watchdog->stopping)
            break;
        started_ms = clock_now_ms();
        start_again(watchdog);
    }
    watchdog->stopped = true;
    (void)pthread_cond_broadcast(&watchdog->changed);
    return watchdog->alone;
}

static void *watchdog_run(void *arg)
{
    struct watchdog *watchdog = arg;
    if (keep_process(watchdog))
        free_watchdog(watchdog);
    return NULL;
}

static int start_thread(struct watchdog *watchdog, struct error *err)
{
    int r = pthread_create(&watchdog->thread, NULL, watchdog_run, watchdog);
    return r == 0 ? 0 : error_errno(err, r, "cannot start the thread that keeps the watchdog");
}

int watchdog_start(const char *program, char *const *argv, struct watchdog **ret_watchdog,
                   struct error *err)
{
    struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
    if (!watchdog)
        return error_nomem(err);
    watchdog->argv = argv;
    watchdog->agent_fd = -1;
    (void)pthread_mutex_init(&watchdog->lock, NULL);
    clock_cond_init(&watchdog->changed);
    watchdog->program_fd = open(program, O_RDONLY | O_CLOEXEC);
    int r = watchdog->program_fd < 0 ? error_errno(err, errno, "cannot open %s", program)
                                     : start_process(watchdog, err);
    if (r == 0)
        r = start_thread(watchdog, err);
    if (r < 0) {
        free_watchdog(watchdog);
        return r;
    }
    *ret_watchdog = watchdog;
    return 0;
}

/* False when the program takes longer. */
static bool stop_keeping(struct watchdog *watchdog, unsigned timeout_ms)
{
    const struct timespec deadline = clock_deadline(timeout_ms);
    {
        LOCK_SCOPE(&watchdog->lock);
        watchdog->stopping = true;
        close_agent_fd(watchdog);
        (void)pthread_cond_broadcast(&watchdog->changed);
        while (!watchdog->stopped)
            if (pthread_cond_timedwait(&watchdog->changed, &watchdog->lock, &deadline) == ETIMEDOUT)
                break;
        if (!watchdog->stopped) {
            watchdog->alone = true;
            (void)pthread_detach(watchdog->thread);
            return false;
        }
    }
    (void)pthread_join(watchdog->thread, NULL);
    return true;
}

void watchdog_stop(struct watchdog *watchdog, unsigned timeout_ms)
{
    if (!watchdog)
        return;
    if (stop_keeping(watchdog, timeout_ms))
        free_watchdog(watchdog);
    else
        log_warning("a guest is still frozen: the watchdog process keeps trying to thaw it");
}
