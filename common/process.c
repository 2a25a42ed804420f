/* SPDX-License-Identifier: Apache-2.0 */
/* See process.h. */
#include "common/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/process_child.h"

#define READ_BYTES 16384

struct process {
    const struct process_options *options;
    struct process_child child;
    char *output;
    size_t output_size;
    struct process_tail tail; /* of stderr */
    int64_t started_ms;
    int64_t active_ms; /* when it was last seen to do something */
    uint64_t io_bytes;
};

static int keep_output(struct process *process, const char *data, size_t size, struct error *err)
{
    size_t max = process->options->output_max_bytes;
    if (max == 0)
        return 0;
    if (size > max - process->output_size)
        return error_set(err, EMSGSIZE, EXC_PROCESS_EXECUTION_ERROR,
                         "%s printed more than %zu bytes", process->options->argv[0], max);
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
static int drain_pipe(struct process *process, int *fd, struct error *err)
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
        if (fd == &process->child.stderr_fd) {
            process_tail_keep(&process->tail, buffer, (size_t)n);
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
            (void)error_set(err, ETIMEDOUT, EXC_PROCESS_EXECUTION_ERROR,
                            "%s did not end within %u ms", options->argv[0], options->deadline_ms);
            return -1;
        }
    }
    if (options->stall_timeout_ms > 0) {
        uint64_t io_bytes = read_io_bytes(process->child.pid);
        if (io_bytes != process->io_bytes) {
            process->io_bytes = io_bytes;
            process->active_ms = now;
        }
        int64_t stall_left = process->active_ms + options->stall_timeout_ms - now;
        if (stall_left <= 0) {
            (void)error_set(err, ETIMEDOUT, EXC_PROCESS_EXECUTION_ERROR,
                            "%s made no progress for %u ms", options->argv[0],
                            options->stall_timeout_ms);
            return -1;
        }
        if (stall_left < left)
            left = stall_left;
    }
    return (int)left;
}

/* Serves the pipes until the leader has ended. */
static int attend_child(struct process *process, struct error *err)
{
    for (;;) {
        int timeout_ms = time_left_ms(process, err);
        if (timeout_ms < 0)
            return -err->errnum;
        struct pollfd fds[] = {{.fd = process->child.stdout_fd, .events = POLLIN},
                               {.fd = process->child.stderr_fd, .events = POLLIN},
                               {.fd = process->child.ended_fd, .events = POLLIN},
                               {.fd = cancel_fd(), .events = POLLIN}};
        int n = poll(fds, ARRAY_SIZE(fds), timeout_ms);
        if (n < 0 && errno != EINTR)
            return error_errno(err, errno, "cannot wait for %s", process->options->argv[0]);
        if (n <= 0)
            continue;
        int r = drain_pipe(process, &process->child.stdout_fd, err);
        if (r == 0)
            r = drain_pipe(process, &process->child.stderr_fd, err);
        if (r < 0 || fds[2].revents != 0)
            return r;
        if (fds[3].revents != 0)
            return cancel_check(err);
    }
}

static int judge_status(struct process *process, int status, struct error *err)
{
    const char *name = process->options->argv[0];
    if (WIFEXITED(status) && process->options->ret_status)
        *process->options->ret_status = WEXITSTATUS(status);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return error_set(err, ECANCELED, EXC_PROCESS_EXECUTION_ERROR,
                         "%s was " PROCESS_SANDBOX_KILLED ": %s", name,
                         process_tail_line(&process->tail));
    if (WIFSIGNALED(status))
        return error_set(err, ECANCELED, EXC_PROCESS_EXECUTION_ERROR,
                         "%s was killed by signal %d: %s", name, WTERMSIG(status),
                         process_tail_line(&process->tail));
    if (WEXITSTATUS(status) != 0)
        return error_set(err, ECANCELED, EXC_PROCESS_EXECUTION_ERROR,
                         "%s exited with status %d: %s", name, WEXITSTATUS(status),
                         process_tail_line(&process->tail));
    return 0;
}

int process_run(const struct process_options *options, char **ret_output, size_t *ret_output_size,
                struct error *err)
{
    const struct process_start start = {.argv = options->argv,
                                        .listen_fd = -1,
                                        .sandbox = options->sandbox,
                                        .cpu_limit_s = options->cpu_limit_s,
                                        .address_space_limit_bytes =
                                            options->address_space_limit_bytes};
    struct process process = {.options = options};
    cleanup_free char *output = NULL;
    if (options->deadline_ms == 0 && options->stall_timeout_ms == 0)
        return error_set(err, EINVAL, EXC_PROCESS_EXECUTION_ERROR,
                         "%s would run without a time limit", options->argv[0]);
    int r = cancel_check(err); /* a helper that is quick might have ended before anybody looks */
    if (r == 0)
        r = process_child_start(&start, &process.child, err);
    if (r < 0)
        return r;
    process.started_ms = process.active_ms = (int64_t)clock_now_ms();
    r = attend_child(&process, err);
    output = process.output;
    int status = 0;
    bool ended = process_child_end(&process.child, &status);
    if (r < 0)
        return r;
    if (!ended)
        return error_set(err, ECHILD, EXC_PROCESS_EXECUTION_ERROR, "%s has no exit status",
                         options->argv[0]);
    log_debug("%s ran for %lld ms", options->argv[0],
              (long long)((int64_t)clock_now_ms() - process.started_ms));
    r = judge_status(&process, status, err);
    if (r < 0)
        return r;
    if (ret_output) {
        if (!output && !(output = calloc(1, 1)))
            return error_nomem(err);
        *ret_output = TAKE_PTR(output);
        *ret_output_size = process.output_size;
    }
    return 0;
}
