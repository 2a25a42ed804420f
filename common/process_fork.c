/* SPDX-License-Identifier: Apache-2.0 */
/* See process_fork.h. */
#include "common/process_fork.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"

#define LISTEN_FD (STDERR_FILENO + 1) /* sd_listen_fds(3): SD_LISTEN_FDS_START */
#define PID_DIGITS_MAX 10

/* What the child needs to know, made before the fork. */
struct preparation {
    const struct process_start *start;
    pid_t parent;
    int stdout_fd, stderr_fd, exec_error_fd;
    char program[PATH_MAX]; /* what is executed */
    struct sock_fprog filter;
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

/* In the folders of PATH; here, since a child of a threaded program may not. */
static int find_program(struct preparation *preparation, struct error *err)
{
    const char *name = preparation->start->argv[0];
    const char *folder = preparation->path + strlen("PATH=");
    char *program = preparation->program;
    int errnum = ENOENT;
    if (strchr(name, '/')) {
        int n = snprintf(program, sizeof(preparation->program), "%s", name);
        return (size_t)n < sizeof(preparation->program)
                   ? 0
                   : error_errno(err, ENAMETOOLONG, "cannot run %s", name);
    }
    for (size_t length; *folder; folder += length + (folder[length] == ':')) {
        length = strcspn(folder, ":");
        int n =
            snprintf(program, sizeof(preparation->program), "%.*s/%s", (int)length, folder, name);
        if (length == 0 || (size_t)n >= sizeof(preparation->program))
            continue;
        if (access(program, X_OK) == 0)
            return 0;
        if (errno == EACCES)
            errnum = EACCES;
    }
    return error_errno(err, errnum, "cannot run %s", name);
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

/* As at the start of a program: what the agent's caller or a library ignores is theirs. */
static void set_signals(void)
{
    sigset_t none;
    /* What "systemctl kill" sends to all means the agent. */
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, number == SIGUSR1 || number == SIGUSR2 ? SIG_IGN : SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Between fork and exec in a threaded program: async-signal-safe calls only. */
static void __attribute__((noreturn)) child_main(struct preparation *preparation)
{
    const struct process_start *start = preparation->start;
    set_signals();
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != preparation->parent)
        _exit(126);
    set_descriptors(preparation);
    tell_pid(preparation);
    set_limit(RLIMIT_CPU, start->cpu_limit_s);
    set_limit(RLIMIT_AS, start->address_space_limit_bytes);
    set_limit(RLIMIT_CORE, 0);
    int errnum = -process_sandbox_enter(&preparation->filter);
    if (errnum == 0) {
        (void)execve(preparation->program, (char *const *)(uintptr_t)start->argv,
                     preparation->environment);
        errnum = errno;
    }
    (void)!write(preparation->exec_error_fd, &errnum, sizeof(errnum));
    _exit(127);
}

int process_fork_pipe(int ret_fds[2], struct error *err)
{
    int fds[2];
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
    memcpy(ret_fds, fds, sizeof(fds));
    return 0;
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

static int fork_child(struct preparation *preparation, pid_t *ret_pid, struct error *err)
{
    int fds[2];
    int r = process_fork_pipe(fds, err);
    if (r < 0)
        return r;
    cleanup_close int exec_read = fds[0], exec_write = fds[1];
    preparation->exec_error_fd = exec_write;
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, errno, "cannot fork");
    if (pid == 0)
        child_main(preparation);
    (void)setpgid(pid, pid);
    (void)close(exec_write);
    exec_write = -1;
    r = await_exec(pid, preparation->start->argv[0], exec_read, err);
    if (r == 0)
        *ret_pid = pid;
    return r;
}

int process_fork(const struct process_start *start, int stdout_fd, int stderr_fd, pid_t *ret_pid,
                 struct error *err)
{
    struct preparation preparation = {
        .start = start, .parent = getpid(), .stdout_fd = stdout_fd, .stderr_fd = stderr_fd};
    make_environment(&preparation);
    int r = find_program(&preparation, err);
    if (r < 0)
        return r;
    preparation.filter = process_sandbox_make(start->sandbox, preparation.program);
    r = fork_child(&preparation, ret_pid, err);
    process_sandbox_clear(&preparation.filter);
    return r;
}
