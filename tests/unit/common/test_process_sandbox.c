/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/process_sandbox.c, in a real child: this program itself, which tries what it is told to
 * and prints the errno it gets.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/process.h"
#include "common/process_server.h"

static struct error err;
static char program[4096]; /* this one */

static struct {
    unsigned count;
    char text[1024]; /* of the last one */
} warnings;

void __wrap_log_write(enum log_level level, const struct log_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_log_write(enum log_level level, const struct log_place *place, const char *format, ...)
{
    (void)place;
    va_list args;
    if (level != LOG_LEVEL_WARNING)
        return;
    warnings.count++;
    va_start(args, format);
    (void)vsnprintf(warnings.text, sizeof(warnings.text), format, args);
    va_end(args);
}

/* Refused, as by Linux 6.3 where vm.memfd_noexec is 2, and by a unit that forbids such memory. */
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags)
{
    (void)name;
    (void)flags;
    errno = EACCES;
    return -1;
}

static bool is_export_broken;
int __wrap_seccomp_export_bpf(const void *filter, int fd);
int __real_seccomp_export_bpf(const void *filter, int fd);

int __wrap_seccomp_export_bpf(const void *filter, int fd)
{
    return is_export_broken ? -EFAULT : __real_seccomp_export_bpf(filter, fd);
}

static int try_exec(void)
{
    static char *const argv[] = {NULL};
    return execve("/bin/true", argv, NULL);
}

static int try_execveat(void)
{
    static char *const argv[] = {NULL};
    return (int)syscall(SYS_execveat, -1, "/bin/true", argv, NULL, 0);
}

static int try_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid < 0 ? -1 : 0;
}

static void *do_nothing(void *arg)
{
    return arg;
}

static int try_thread(void)
{
    pthread_t thread;
    errno = pthread_create(&thread, NULL, do_nothing, NULL);
    return errno == 0 ? pthread_join(thread, NULL) : -1;
}

static int try_file(void)
{
    char line[8];
    cleanup_fclose FILE *file = fopen("/proc/self/status", "re");
    return file && fgets(line, sizeof(line), file) ? 0 : -1;
}

static int try_mount(void)
{
    return mount("none", "/nonexistent", "tmpfs", 0, NULL);
}

static int try_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static int try_ptrace(void)
{
    return (int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}

/* The memory of the agent. */
static int try_memory(void)
{
    char byte;
    const struct iovec here = {.iov_base = &byte, .iov_len = 1};
    return (int)process_vm_readv(getppid(), &here, 1, &here, 1, 0);
}

static int try_key(void)
{
    return (int)syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, -4, 0);
}

static int try_bpf(void)
{
    return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int try_user(void)
{
    return setuid(getuid());
}

static int try_device(void)
{
    return mknod("/nonexistent/null", S_IFCHR, 0);
}

static int try_uring(void)
{
    return (int)syscall(SYS_io_uring_setup, 1, NULL);
}

static int try_unix(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? -1 : 0;
}

static int try_network(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? -1 : 0;
}

static const struct attempt {
    const char *name;
    int (*try)(void);
} attempts[] = {{"exec", try_exec},
                {"execveat", try_execveat},
                {"fork", try_fork},
                {"thread", try_thread},
                {"file", try_file},
                {"mount", try_mount},
                {"namespace", try_namespace},
                {"ptrace", try_ptrace},
                {"memory", try_memory},
                {"key", try_key},
                {"bpf", try_bpf},
                {"user", try_user},
                {"device", try_device},
                {"uring", try_uring},
                {"unix", try_unix},
                {"network", try_network}};

static int attempt_main(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
        if (strcmp(attempts[i].name, name) != 0)
            continue;
        int errnum = attempts[i].try() < 0 ? errno : 0;
        (void)dprintf(STDOUT_FILENO, "%d", errnum);
        _exit(0);
    }
    _exit(1);
}

static int attempt(const char *name, enum process_sandbox sandbox, char **ret_output)
{
    const char *const argv[] = {program, name, NULL};
    const struct process_options options = {
        .argv = argv, .deadline_ms = 20000, .sandbox = sandbox, .output_max_bytes = 100};
    size_t size = 0;
    err = (struct error)ERROR_INIT;
    return process_run(&options, ret_output, &size, &err);
}

static void assert_errno(const char *name, enum process_sandbox sandbox, int errnum)
{
    char expected[16];
    cleanup_free char *output = NULL;
    if (attempt(name, sandbox, &output) < 0)
        fail_msg("%s: %s", name, err.message);
    (void)snprintf(expected, sizeof(expected), "%d", errnum);
    if (strcmp(output, expected) != 0)
        fail_msg("%s: errno %s, not %s", name, output, expected);
}

static void assert_killed(const char *name, enum process_sandbox sandbox)
{
    cleanup_free char *output = NULL;
    if (attempt(name, sandbox, &output) == 0)
        fail_msg("%s: errno %s", name, output);
    if (!strstr(err.message, "was killed by the system call filter"))
        fail_msg("%s: %s", name, err.message);
    assert_int_equal(err.errnum, ECANCELED);
}

static void what_no_helper_does_kills_it(void **state)
{
    (void)state;
    static const char *const names[] = {"exec",   "execveat", "fork", "mount", "namespace",
                                        "ptrace", "memory",   "bpf",  "user",  "device"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_killed(names[i], PROCESS_SANDBOX_FILES);
        assert_killed(names[i], PROCESS_SANDBOX_UNIX);
        assert_killed(names[i], PROCESS_SANDBOX_NETWORK);
    }
}

static void what_it_does_goes_on(void **state)
{
    (void)state;
    static const char *const names[] = {"thread", "file"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_errno(names[i], PROCESS_SANDBOX_NONE, 0);
        assert_errno(names[i], PROCESS_SANDBOX_FILES, 0);
        assert_errno(names[i], PROCESS_SANDBOX_NETWORK, 0);
    }
}

static void sockets_by_what_is_read(void **state)
{
    (void)state;
    assert_errno("unix", PROCESS_SANDBOX_FILES, EACCES);
    assert_errno("network", PROCESS_SANDBOX_FILES, EACCES);
    assert_errno("unix", PROCESS_SANDBOX_UNIX, 0);
    assert_errno("network", PROCESS_SANDBOX_UNIX, EACCES);
    assert_errno("unix", PROCESS_SANDBOX_NETWORK, 0);
    assert_errno("network", PROCESS_SANDBOX_NETWORK, 0);
}

static void what_it_can_do_without_is_refused(void **state)
{
    (void)state;
    assert_errno("uring", PROCESS_SANDBOX_NETWORK, EPERM);
    assert_errno("key", PROCESS_SANDBOX_NETWORK, EPERM);
}

static void without_it_nothing_is_forbidden(void **state)
{
    (void)state;
    assert_errno("fork", PROCESS_SANDBOX_NONE, 0);
    assert_errno("network", PROCESS_SANDBOX_NONE, 0);
}

/* We may be under a filter ourselves. */
static void who_starts_it_is_not_bound(void **state)
{
    (void)state;
    int mode = prctl(PR_GET_SECCOMP), no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    assert_errno("file", PROCESS_SANDBOX_FILES, 0);
    assert_int_equal(prctl(PR_GET_SECCOMP), mode);
    assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), no_new_privs);
}

/* A server is not waited for, so its end is told with what it has spoilt. */
static void a_server_that_was_killed_is_named(void **state)
{
    (void)state;
    const char *const argv[] = {program, "ptrace", NULL};
    struct process_server *server = NULL;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    err = (struct error)ERROR_INIT;
    assert_true(fd >= 0);
    assert_int_equal(process_server_start(argv, fd, PROCESS_SANDBOX_FILES, &server, &err), 0);
    siginfo_t info;
    assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
    (void)error_set(&err, EIO, EXC_INTERNAL_ERROR, "it broke");
    assert_int_equal(process_server_blame(server, &err), -EIO);
    assert_non_null(strstr(err.message, "was killed by the system call filter"));
    process_server_end(server);
    (void)close(fd);
}

static void make_script(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, 0755), 0);
    (void)close(fd);
}

static int run_twice(const char *path)
{
    const char *const argv[] = {path, NULL};
    const struct process_options options = {
        .argv = argv, .deadline_ms = 20000, .sandbox = PROCESS_SANDBOX_FILES};
    warnings.count = 0;
    err = (struct error)ERROR_INIT;
    int r = process_run(&options, NULL, NULL, &err);
    return r == 0 ? process_run(&options, NULL, NULL, &err) : r;
}

/* A wrapper around a container's program starts others: it is told of once, and can. */
static void a_script_runs_without(void **state)
{
    (void)state;
    char path[] = "/tmp/test-sandbox-XXXXXX";
    make_script(path, "#!/bin/sh\n/bin/true && exec /bin/true\n");
    int r = run_twice(path);
    assert_int_equal(unlink(path), 0);
    if (r < 0)
        fail_msg("%s", err.message);
    assert_int_equal(warnings.count, 1);
    assert_non_null(strstr(warnings.text, path));
    assert_non_null(strstr(warnings.text, "without a filter of system calls"));
}

/* It costs the filter, not the snapshots. */
static void a_filter_that_cannot_be_made(void **state)
{
    (void)state;
    warnings.count = 0;
    is_export_broken = true;
    assert_errno("fork", PROCESS_SANDBOX_FILES, 0);
    assert_errno("network", PROCESS_SANDBOX_FILES, 0);
    is_export_broken = false;
    assert_int_equal(warnings.count, 1);
    assert_non_null(strstr(warnings.text, "Bad address"));
    assert_killed("fork", PROCESS_SANDBOX_FILES);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_helper_does_kills_it),
        cmocka_unit_test(what_it_does_goes_on),
        cmocka_unit_test(sockets_by_what_is_read),
        cmocka_unit_test(what_it_can_do_without_is_refused),
        cmocka_unit_test(without_it_nothing_is_forbidden),
        cmocka_unit_test(who_starts_it_is_not_bound),
        cmocka_unit_test(a_server_that_was_killed_is_named),
        cmocka_unit_test(a_script_runs_without),
        cmocka_unit_test(a_filter_that_cannot_be_made),
    };
    if (argc == 2)
        return attempt_main(argv[1]);
    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
