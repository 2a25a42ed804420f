/* SPDX-License-Identifier: Apache-2.0 */
/* See process_child.h. */
#include "common/process_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/secret.h"

#define KILL_WAIT_MS 5000
#define END_WAIT_MS 100
#define COMMAND_MAX_BYTES 4096 /* no less than a line of the log holds */

static void close_descriptors(struct process_child *child)
{
    cleanup_close_fd(&child->ended_fd);
    cleanup_close_fd(&child->stdout_fd);
    cleanup_close_fd(&child->stderr_fd);
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
                      int *ret_stdout_fd, int *ret_stderr_fd, struct error *err)
{
    int fds[2];
    int r = process_fork_pipe(fds, err);
    if (r < 0)
        return r;
    child->stdout_fd = fds[0];
    *ret_stdout_fd = fds[1];
    r = process_fork_pipe(fds, err);
    if (r < 0)
        return r;
    child->stderr_fd = fds[0];
    *ret_stderr_fd = fds[1];
    (void)fcntl(child->stdout_fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(child->stderr_fd, F_SETFL, O_NONBLOCK);
    if (start->unattended && (fcntl(*ret_stdout_fd, F_SETFL, O_NONBLOCK) < 0 ||
                              fcntl(*ret_stderr_fd, F_SETFL, O_NONBLOCK) < 0))
        return error_errno(err, errno, "cannot set up a pipe");
    return 0;
}

int process_child_start(const struct process_start *start, struct process_child *ret_child,
                        struct error *err)
{
    struct process_child child = {
        .name = start->argv[0], .ended_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    int stdout_fd = -1, stderr_fd = -1;
    int r = make_pipes(start, &child, &stdout_fd, &stderr_fd, err);
    if (r == 0)
        r = process_fork(start, stdout_fd, stderr_fd, &child.pid, err);
    cleanup_close_fd(&stdout_fd);
    cleanup_close_fd(&stderr_fd);
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

bool process_child_broke_filter(const struct process_child *child)
{
    siginfo_t info = {0};
    struct pollfd fd = {.fd = child->ended_fd, .events = POLLIN};
    return poll(&fd, 1, END_WAIT_MS) > 0 &&
           waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 &&
           (info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) && info.si_status == SIGSYS;
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
