/* See process.h. */
#include "common/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"

#define STDERR_TAIL_BYTES 600
#define READ_BYTES 16384
#define KILL_WAIT_MS 5000

struct process {
    const struct process_options *options;
    pid_t pid;
    int ended_fd; /* readable when the leader has ended; it waits to be reaped */
    int stdout_fd;
    int stderr_fd;
    char *output;
    size_t output_size;
    char stderr_tail[STDERR_TAIL_BYTES + 1];
    size_t stderr_size;
    int64_t started_ms;
    int64_t active_ms; /* when it was last seen to do something */
    uint64_t io_bytes;
};

static void set_limit(int resource, uint64_t value)
{
    const struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
    if (value > 0 && setrlimit(resource, &limit) < 0)
        _exit(126);
}

/* Between fork and exec in a threaded program: async-signal-safe calls only. */
static void __attribute__((noreturn))
child_main(const struct process_options *options, pid_t parent, char *const *environment,
           int stdout_fd, int stderr_fd, int exec_error_fd)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(stdout_fd, STDOUT_FILENO) < 0 ||
        dup2(stderr_fd, STDERR_FILENO) < 0)
        _exit(126);
    (void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC); /* what others left open */
    set_limit(RLIMIT_CPU, options->cpu_limit_s);
    set_limit(RLIMIT_AS, options->address_space_limit_bytes);
    set_limit(RLIMIT_CORE, 0);
    (void)execvpe(options->argv[0], (char *const *)(uintptr_t)options->argv, environment);
    int errnum = errno;
    (void)!write(exec_error_fd, &errnum, sizeof(errnum));
    _exit(127);
}

static int make_pipe(int fds[2], struct error *err)
{
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "cannot make a pipe");
    /* Numbers below 3 would be overwritten by the child's own dup2(). */
    for (int i = 0; i < 2; i++) {
        if (fds[i] > STDERR_FILENO)
            continue;
        int high = fcntl(fds[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (high < 0)
            return error_errno(err, errno, "cannot make a pipe");
        (void)close(fds[i]);
        fds[i] = high;
    }
    return 0;
}

/* The pipe closes at exec; until then it can only carry the errno of a failed one. */
static int await_exec(const struct process *process, int exec_error_fd, struct error *err)
{
    int errnum = 0;
    ssize_t n;
    do {
        n = read(exec_error_fd, &errnum, sizeof(errnum));
    } while (n < 0 && errno == EINTR);
    if (n != sizeof(errnum))
        return 0;
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return error_errno(err, errnum, "cannot run %s", process->options->argv[0]);
}

static int start(struct process *process, struct error *err)
{
    cleanup_close int out_read = -1, out_write = -1, err_read = -1, err_write = -1;
    cleanup_close int exec_read = -1, exec_write = -1;
    int *const ends[3][2] = {
        {&out_read, &out_write}, {&err_read, &err_write}, {&exec_read, &exec_write}};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        int fds[2] = {-1, -1};
        int r = make_pipe(fds, err);
        *ends[i][0] = fds[0];
        *ends[i][1] = fds[1];
        if (r < 0)
            return r;
    }
    (void)fcntl(out_read, F_SETFL, O_NONBLOCK);
    (void)fcntl(err_read, F_SETFL, O_NONBLOCK);

    char path[4096];
    const char *parent_path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): never changed */
    (void)snprintf(path, sizeof(path), "PATH=%s",
                   parent_path ? parent_path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin");
    char locale[] = "LC_ALL=C";
    char *const environment[] = {path, locale, NULL};
    pid_t parent = getpid();
    process->pid = fork();
    if (process->pid < 0)
        return error_errno(err, errno, "cannot fork");
    if (process->pid == 0)
        child_main(process->options, parent, environment, out_write, err_write, exec_write);
    (void)setpgid(process->pid, process->pid);

    (void)close(exec_write);
    exec_write = -1;
    int r = await_exec(process, exec_read, err);
    if (r < 0)
        return r;
    process->stdout_fd = out_read;
    process->stderr_fd = err_read;
    out_read = err_read = -1;
    process->started_ms = process->active_ms = (int64_t)clock_now_ms();
    return 0;
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

static int watch_leader(struct process *process, struct error *err)
{
    int fds[2];
    pthread_t thread;
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (!waiter)
        return error_nomem(err);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        free(waiter);
        return error_errno(err, errno, "cannot watch %s", process->options->argv[0]);
    }
    *waiter = (struct waiter){.pid = process->pid, .fd = fds[1]};
    process->ended_fd = fds[0];
    int r = pthread_create(&thread, NULL, wait_for_leader, waiter);
    if (r == 0) {
        (void)pthread_detach(thread);
        return 0;
    }
    free(waiter);
    (void)close(fds[1]); /* ended_fd reads as ended from now on: finish() does not wait for it */
    return error_errno(err, r, "cannot watch %s", process->options->argv[0]);
}

static void keep_tail(struct process *process, const char *data, size_t size)
{
    if (size > STDERR_TAIL_BYTES) {
        data += size - STDERR_TAIL_BYTES;
        size = STDERR_TAIL_BYTES;
    }
    size_t room = STDERR_TAIL_BYTES - process->stderr_size;
    if (size > room) {
        size_t drop = size - room;
        memmove(process->stderr_tail, process->stderr_tail + drop, process->stderr_size - drop);
        process->stderr_size -= drop;
    }
    memcpy(process->stderr_tail + process->stderr_size, data, size);
    process->stderr_size += size;
}

static int keep_output(struct process *process, const char *data, size_t size, struct error *err)
{
    size_t max = process->options->output_max_bytes;
    if (max == 0)
        return 0;
    if (size > max - process->output_size)
        return error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR, "%s printed more than %zu bytes",
                         process->options->argv[0], max);
    char *grown = realloc(process->output, process->output_size + size + 1);
    if (!grown)
        return error_nomem(err);
    process->output = grown;
    memcpy(grown + process->output_size, data, size);
    process->output_size += size;
    grown[process->output_size] = '\0';
    return 0;
}

/* Reads what a pipe holds now; the fd becomes -1 at its end. */
static int drain(struct process *process, int *fd, struct error *err)
{
    char buffer[READ_BYTES];
    while (*fd >= 0) {
        ssize_t n = read(*fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n <= 0) {
            (void)close(*fd);
            *fd = -1;
            return 0;
        }
        process->active_ms = (int64_t)clock_now_ms();
        if (fd == &process->stderr_fd) {
            keep_tail(process, buffer, (size_t)n);
            continue;
        }
        int r = keep_output(process, buffer, (size_t)n, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Bytes read and written so far; 0 where the kernel does not count them. */
static uint64_t read_io_bytes(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
    cleanup_fclose FILE *file = fopen(path, "re");
    unsigned long long rchar = 0, wchar = 0;
    if (!file || fscanf(file, "rchar: %llu\nwchar: %llu", &rchar, &wchar) != 2)
        return 0;
    return rchar + wchar;
}

/* How long poll() may sleep: until the next time limit. -1 when none is left, with *err filled. */
static int time_left_ms(struct process *process, struct error *err)
{
    const struct process_options *options = process->options;
    int64_t now = (int64_t)clock_now_ms();
    int64_t left = INT32_MAX;
    if (options->deadline_ms > 0) {
        left = process->started_ms + options->deadline_ms - now;
        if (left <= 0) {
            (void)error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR, "%s did not end within %u ms",
                            options->argv[0], options->deadline_ms);
            return -1;
        }
    }
    if (options->stall_timeout_ms > 0) {
        uint64_t io_bytes = read_io_bytes(process->pid);
        if (io_bytes != process->io_bytes) {
            process->io_bytes = io_bytes;
            process->active_ms = now;
        }
        int64_t stall_left = process->active_ms + options->stall_timeout_ms - now;
        if (stall_left <= 0) {
            (void)error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR, "%s made no progress for %u ms",
                            options->argv[0], options->stall_timeout_ms);
            return -1;
        }
        if (stall_left < left)
            left = stall_left;
    }
    return (int)left;
}

/* Serves the pipes until the leader has ended. */
static int attend(struct process *process, struct error *err)
{
    for (;;) {
        int timeout_ms = time_left_ms(process, err);
        if (timeout_ms < 0)
            return -err->errnum;
        struct pollfd fds[] = {{.fd = process->stdout_fd, .events = POLLIN},
                               {.fd = process->stderr_fd, .events = POLLIN},
                               {.fd = process->ended_fd, .events = POLLIN},
                               {.fd = cancel_fd(), .events = POLLIN}};
        int n = poll(fds, ARRAY_SIZE(fds), timeout_ms);
        if (n < 0 && errno != EINTR)
            return error_errno(err, errno, "cannot wait for %s", process->options->argv[0]);
        if (n <= 0)
            continue;
        int r = drain(process, &process->stdout_fd, err);
        if (r == 0)
            r = drain(process, &process->stderr_fd, err);
        if (r < 0 || fds[2].revents != 0)
            return r;
        if (fds[3].revents != 0)
            return cancel_check(err);
    }
}

/* Ends the whole group and reaps the leader. False when it would not die: there is no status. */
static bool finish(struct process *process, int *ret_status)
{
    (void)kill(-process->pid, SIGKILL);
    int64_t deadline = (int64_t)clock_now_ms() + KILL_WAIT_MS;
    int n = 0;
    for (int64_t left = KILL_WAIT_MS; n <= 0 && left > 0;
         left = deadline - (int64_t)clock_now_ms()) {
        struct pollfd fd = {.fd = process->ended_fd, .events = POLLIN};
        n = poll(&fd, 1, (int)left);
    }
    (void)close(process->ended_fd);
    process->ended_fd = -1;
    pid_t reaped;
    do {
        reaped = waitpid(process->pid, ret_status, n > 0 ? 0 : WNOHANG);
    } while (reaped < 0 && errno == EINTR);
    return reaped == process->pid;
}

/* The tail as one line for a message. */
static const char *said(struct process *process)
{
    char *text = process->stderr_tail;
    size_t size = process->stderr_size;
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' '))
        size--;
    text[size] = '\0';
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    return size > 0 ? text : "it printed no reason";
}

static int judge(struct process *process, int status, struct error *err)
{
    const char *name = process->options->argv[0];
    if (WIFSIGNALED(status))
        return error_set(err, ECANCELED, EXC_INTERNAL_ERROR, "%s was killed by signal %d: %s", name,
                         WTERMSIG(status), said(process));
    if (WEXITSTATUS(status) != 0)
        return error_set(err, ECANCELED, EXC_INTERNAL_ERROR, "%s exited with status %d: %s", name,
                         WEXITSTATUS(status), said(process));
    return 0;
}

static void process_done(struct process *process)
{
    cleanup_close_fd(&process->ended_fd);
    cleanup_close_fd(&process->stdout_fd);
    cleanup_close_fd(&process->stderr_fd);
    free(process->output);
}

int process_run(const struct process_options *options, char **ret_output, size_t *ret_output_size,
                struct error *err)
{
    __attribute__((cleanup(process_done))) struct process process = {
        .options = options, .ended_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    if (options->deadline_ms == 0 && options->stall_timeout_ms == 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s would run without a time limit",
                         options->argv[0]);
    int r = start(&process, err);
    if (r < 0)
        return r;
    r = watch_leader(&process, err);
    if (r == 0)
        r = attend(&process, err);
    int status = 0;
    bool ended = finish(&process, &status);
    if (r < 0)
        return r;
    if (!ended)
        return error_set(err, ECHILD, EXC_INTERNAL_ERROR, "%s has no exit status",
                         options->argv[0]);
    r = judge(&process, status, err);
    if (r < 0)
        return r;
    if (ret_output) {
        if (!process.output && !(process.output = calloc(1, 1)))
            return error_nomem(err);
        *ret_output = TAKE_PTR(process.output);
        *ret_output_size = process.output_size;
    }
    return 0;
}
