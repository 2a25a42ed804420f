/* SPDX-License-Identifier: Apache-2.0 */
/* See process_child.h. */
#include "common/process_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/secret.h"

#define KILL_WAIT_MS 5000
#define LISTEN_FD (STDERR_FILENO + 1) /* sd_listen_fds(3): SD_LISTEN_FDS_START */
#define PID_DIGITS_MAX 10
#define COMMAND_MAX_BYTES 4096 /* no less than a line of the log holds */

/* What the child needs to know, made before the fork. */
struct preparation {
    const struct process_start *start;
    pid_t parent;
    int stdout_fd, stderr_fd, exec_error_fd;
    char path[4096];
    char listen_pid[sizeof("LISTEN_PID=") + PID_DIGITS_MAX];
    char *environment[5];
};

/* PATH and the locale, and what a server that is given its socket looks for. */
static void make_environment(struct preparation *preparation)
{
    static char locale[] = "LC_ALL=C", listen_fds[] = "LISTEN_FDS=1";
    const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): never changed */
    size_t count = 0;
    (void)snprintf(preparation->path, sizeof(preparation->path), "PATH=%s",
                   path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin");
    preparation->environment[count++] = preparation->path;
    preparation->environment[count++] = locale;
    if (preparation->start->listen_fd >= 0) {
        (void)snprintf(preparation->listen_pid, sizeof(preparation->listen_pid), "LISTEN_PID=");
        preparation->environment[count++] = listen_fds;
        preparation->environment[count++] = preparation->listen_pid;
    }
    preparation->environment[count] = NULL;
}

static void set_limit(int resource, uint64_t value)
{
    const struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
    if (value > 0 && setrlimit(resource, &limit) < 0)
        _exit(126);
}

/* In the child: its own number behind "LISTEN_PID=". */
static void tell_pid(struct preparation *preparation)
{
    char digits[PID_DIGITS_MAX];
    size_t count = 0, end = sizeof("LISTEN_PID=") - 1;
    for (unsigned pid = (unsigned)getpid(); pid > 0 && count < sizeof(digits); pid /= 10)
        digits[count++] = (char)('0' + pid % 10);
    while (count > 0)
        preparation->listen_pid[end++] = digits[--count];
    preparation->listen_pid[end] = '\0';
}

/* Nothing but what it is given stays open: others may have left something. */
static void set_descriptors(const struct preparation *preparation)
{
    int listen_fd = preparation->start->listen_fd, first_closed = STDERR_FILENO + 1;
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
        dup2(preparation->stdout_fd, STDOUT_FILENO) < 0 ||
        dup2(preparation->stderr_fd, STDERR_FILENO) < 0)
        _exit(126);
    if (listen_fd >= 0) {
        if (listen_fd == LISTEN_FD ? fcntl(listen_fd, F_SETFD, 0) < 0
                                   : dup2(listen_fd, LISTEN_FD) < 0)
            _exit(126);
        first_closed = LISTEN_FD + 1;
    }
    (void)close_range((unsigned)first_closed, ~0U, CLOSE_RANGE_CLOEXEC);
}

/* Between fork and exec in a threaded program: async-signal-safe calls only. */
static void __attribute__((noreturn)) child_main(struct preparation *preparation)
{
    const struct process_start *start = preparation->start;
    sigset_t none;
    (void)signal(SIGUSR1, SIG_IGN); /* "systemctl kill" means the agent, and sends it to all */
    (void)signal(SIGUSR2, SIG_IGN);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != preparation->parent)
        _exit(126);
    set_descriptors(preparation);
    tell_pid(preparation);
    set_limit(RLIMIT_CPU, start->cpu_limit_s);
    set_limit(RLIMIT_AS, start->address_space_limit_bytes);
    set_limit(RLIMIT_CORE, 0);
    (void)execvpe(start->argv[0], (char *const *)(uintptr_t)start->argv, preparation->environment);
    int errnum = errno;
    (void)!write(preparation->exec_error_fd, &errnum, sizeof(errnum));
    _exit(127);
}

static int make_pipe(int fds[2], struct error *err)
{
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "cannot make a pipe");
    /* Lower numbers would be overwritten by the child's own dup2(). */
    for (int i = 0; i < 2; i++) {
        if (fds[i] > LISTEN_FD)
            continue;
        int high = fcntl(fds[i], F_DUPFD_CLOEXEC, LISTEN_FD + 1);
        if (high < 0) {
            (void)error_errno(err, errno, "cannot make a pipe");
            cleanup_close_fd(&fds[0]);
            cleanup_close_fd(&fds[1]);
            return -err->errnum;
        }
        (void)close(fds[i]);
        fds[i] = high;
    }
    return 0;
}

static void close_descriptors(struct process_child *child)
{
    cleanup_close_fd(&child->ended_fd);
    cleanup_close_fd(&child->stdout_fd);
    cleanup_close_fd(&child->stderr_fd);
}

/* The pipe closes at exec; until then it can only carry the errno of a failed one. */
static int await_exec(pid_t pid, const char *name, int exec_error_fd, struct error *err)
{
    int errnum = 0;
    ssize_t n;
    do {
        n = read(exec_error_fd, &errnum, sizeof(errnum));
    } while (n < 0 && errno == EINTR);
    if (n != sizeof(errnum))
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return error_errno(err, errnum, "cannot run %s", name);
}

static int fork_child(struct preparation *preparation, struct process_child *child,
                      struct error *err)
{
    int fds[2];
    int r = make_pipe(fds, err);
    if (r < 0)
        return r;
    cleanup_close int exec_read = fds[0], exec_write = fds[1];
    preparation->exec_error_fd = exec_write;
    make_environment(preparation);
    child->pid = fork();
    if (child->pid < 0)
        return error_errno(err, errno, "cannot fork");
    if (child->pid == 0)
        child_main(preparation);
    (void)setpgid(child->pid, child->pid);
    (void)close(exec_write);
    exec_write = -1;
    return await_exec(child->pid, child->name, exec_read, err);
}

struct waiter {
    pid_t pid;
    int fd;
};

/*
 * Turns the end of the leader into an event for poll(). A leader that could not be killed in time
 * (it hangs in the kernel, on a dead NFS server) is reaped here, as nobody listens any more.
 */
static void *wait_for_leader(void *arg)
{
    struct waiter waiter = *(struct waiter *)arg;
    free(arg);
    siginfo_t info;
    while (waitid(P_PID, (id_t)waiter.pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    if (send(waiter.fd, "", 1, MSG_NOSIGNAL) < 0)
        (void)waitpid(waiter.pid, NULL, 0);
    (void)close(waiter.fd);
    return NULL;
}

static int watch_leader(struct process_child *child, struct error *err)
{
    int fds[2];
    pthread_t thread;
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (!waiter)
        return error_nomem(err);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        free(waiter);
        return error_errno(err, errno, "cannot watch %s", child->name);
    }
    *waiter = (struct waiter){.pid = child->pid, .fd = fds[1]};
    child->ended_fd = fds[0];
    int r = pthread_create(&thread, NULL, wait_for_leader, waiter);
    if (r == 0) {
        (void)pthread_detach(thread);
        return 0;
    }
    free(waiter);
    (void)close(fds[1]); /* reads as ended from now on: nobody waits for it */
    return error_errno(err, r, "cannot watch %s", child->name);
}

/* As far as there is room; an argument that quotes a secret of ours does not show it. */
static void log_command(const struct process_start *start, pid_t pid)
{
    char command[COMMAND_MAX_BYTES] = "";
    size_t used = 0;
    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    for (const char *const *argument = start->argv; *argument && used < sizeof(command); argument++)
        used += (size_t)snprintf(command + used, sizeof(command) - used, " %s", *argument);
    secret_strip(command);
    log_debug("started process %d:%s", (int)pid, command);
}

/* What the child prints, and where we read it; after a failure the caller closes what there is. */
static int make_pipes(const struct process_start *start, struct process_child *child,
                      struct preparation *preparation, struct error *err)
{
    int fds[2];
    int r = make_pipe(fds, err);
    if (r < 0)
        return r;
    child->stdout_fd = fds[0];
    preparation->stdout_fd = fds[1];
    r = make_pipe(fds, err);
    if (r < 0)
        return r;
    child->stderr_fd = fds[0];
    preparation->stderr_fd = fds[1];
    (void)fcntl(child->stdout_fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(child->stderr_fd, F_SETFL, O_NONBLOCK);
    if (start->unattended && (fcntl(preparation->stdout_fd, F_SETFL, O_NONBLOCK) < 0 ||
                              fcntl(preparation->stderr_fd, F_SETFL, O_NONBLOCK) < 0))
        return error_errno(err, errno, "cannot set up a pipe");
    return 0;
}

int process_child_start(const struct process_start *start, struct process_child *ret_child,
                        struct error *err)
{
    struct process_child child = {
        .name = start->argv[0], .ended_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    struct preparation preparation = {
        .start = start, .parent = getpid(), .stdout_fd = -1, .stderr_fd = -1};
    int r = make_pipes(start, &child, &preparation, err);
    if (r == 0)
        r = fork_child(&preparation, &child, err);
    cleanup_close_fd(&preparation.stdout_fd);
    cleanup_close_fd(&preparation.stderr_fd);
    if (r == 0 && (r = watch_leader(&child, err)) < 0)
        (void)process_child_end(&child, NULL);
    if (r < 0) {
        close_descriptors(&child);
        return r;
    }
    log_command(start, child.pid);
    *ret_child = child;
    return 0;
}

bool process_child_end(struct process_child *child, int *ret_status)
{
    (void)kill(-child->pid, SIGKILL);
    int64_t deadline = (int64_t)clock_now_ms() + KILL_WAIT_MS;
    int n = 0, status = 0;
    for (int64_t left = KILL_WAIT_MS; n <= 0 && left > 0;
         left = deadline - (int64_t)clock_now_ms()) {
        struct pollfd fd = {.fd = child->ended_fd, .events = POLLIN};
        n = poll(&fd, 1, (int)left);
    }
    close_descriptors(child); /* from now on the waiter reaps it */
    pid_t reaped;
    do {
        reaped = waitpid(child->pid, &status, n > 0 ? 0 : WNOHANG);
    } while (reaped < 0 && errno == EINTR);
    log_debug("process %d (%s) %s", (int)child->pid, child->name,
              reaped == child->pid ? "has ended" : "does not end, not waiting any longer");
    if (ret_status)
        *ret_status = status;
    return reaped == child->pid;
}
