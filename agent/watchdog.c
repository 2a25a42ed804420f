/* See watchdog.h. */
#include "agent/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* systemd and terminals tell a whole group to end: the watchdog's time has not come then. */
static void ignore_signals(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Nothing of the agent's stays open here but stderr: its lock would outlive it. */
static int keep_only(int fd)
{
    if (fd != STDERR_FILENO + 1 && dup2(fd, STDERR_FILENO + 1) < 0)
        _exit(1);
    if (close_range(STDERR_FILENO + 2, ~0u, 0) < 0)
        _exit(1);
    return STDERR_FILENO + 1;
}

static void await_end(int fd)
{
    char byte;
    ssize_t n;
    while ((n = read(fd, &byte, 1)) > 0 || (n < 0 && errno == EINTR))
        continue;
}

int watchdog_start(void (*thaw)(void *arg), void *arg, int *ret_fd, struct error *err)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "cannot make a pipe to the watchdog");
    pid_t pid = fork();
    if (pid < 0) {
        int saved_errno = errno;
        (void)close(fds[0]);
        (void)close(fds[1]);
        return error_errno(err, saved_errno, "cannot start the watchdog");
    }
    if (pid == 0) {
        ignore_signals();
        (void)prctl(PR_SET_NAME, "nsa-watchdog");
        await_end(keep_only(fds[0]));
        thaw(arg);
        _exit(0);
    }
    (void)close(fds[0]);
    *ret_fd = fds[1];
    return 0;
}
