/* SPDX-License-Identifier: Apache-2.0 */
/* See process_sandbox.h. */
#include "common/process_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <seccomp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/log.h"

#define LIBSECCOMP_API 3 /* that with SCMP_ACT_KILL_PROCESS */
#ifdef __s390__
#define CLONE_FLAGS_ARGUMENT 1 /* clone(2): there the stack comes first */
#else
#define CLONE_FLAGS_ARGUMENT 0
#endif

/* What no helper of ours does. Names, since an older libseccomp does not know them all. */
static const char *const deadly_calls[] = {
    /* other programs and processes */
    "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd",
    "kcmp",
    /* mounts, namespaces */
    "mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr",
    "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "unshare", "setns",
    "quotactl", "quotactl_fd", "open_by_handle_at", "fanotify_init",
    /* another user */
    "setuid", "setuid32", "setreuid", "setreuid32", "setresuid", "setresuid32", "setgid",
    "setgid32", "setregid", "setregid32", "setresgid", "setresgid32", "setgroups", "setgroups32",
    "setfsuid", "setfsuid32", "setfsgid", "setfsgid32", "capset",
    /* programs in the kernel, what it shows of itself */
    "bpf", "perf_event_open", "userfaultfd", "syslog", "lookup_dcookie",
    /* the host */
    "init_module", "finit_module", "delete_module", "create_module", "kexec_load",
    "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "settimeofday", "stime",
    "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex",
    "sethostname", "setdomainname", "vhangup", "iopl", "ioperm", "modify_ldt", "vm86", "vm86old",
    "mknod", "mknodat", "nfsservctl"};

/* What QEMU and its libraries may try, and do without when it is refused. */
static const struct {
    const char *call;
    int errnum;
} refused_calls[] = {
    {"io_uring_setup", EPERM},    {"io_uring_enter", EPERM},
    {"io_uring_register", EPERM}, {"process_madvise", EPERM}, /* allocators */
    {"add_key", EPERM},                                       /* Kerberos, of Ceph's libraries */
    {"request_key", EPERM},       {"keyctl", EPERM},
    {"clone3", ENOSYS}, /* whose flags no filter can see: glibc comes back with clone */
};

/* Whether the kernel has such filters: it looks for them before it looks at the argument. */
static bool is_possible(void)
{
    static atomic_bool told;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) < 0 && errno == EFAULT)
        return true;
    if (!atomic_exchange(&told, true))
        log_warning("the kernel has no filters of system calls (CONFIG_SECCOMP_FILTER), or does "
                    "not let us use them: qemu-img and qemu-nbd run without");
    return false;
}

/*
 * It starts the program that it stands in for: "exec docker exec ... qemu-img". One that cannot be
 * read is none, since its interpreter could not read it either.
 */
static bool is_script(const char *program)
{
    static atomic_bool told;
    char start[2];
    cleanup_close int fd = open(program, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, start, sizeof(start)) != sizeof(start) || memcmp(start, "#!", 2) != 0)
        return false;
    if (!atomic_exchange(&told, true))
        log_warning("%s is a script, which may start other programs: it runs without a filter of "
                    "system calls, and so does each helper that is one. To have the filter, put "
                    "the folder of the program itself first in PATH",
                    program);
    return true;
}

static int forbid_call(scmp_filter_ctx filter, const char *name, uint32_t action)
{
    int number = seccomp_syscall_resolve_name(name);
    return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, action, number, 0);
}

static int forbid_programs(scmp_filter_ctx filter, const char *program)
{
    int r = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(execve), 1,
                             SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)(uintptr_t)program, 0));
    return r < 0 ? r
                 : seccomp_rule_add(
                       filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
                       SCMP_CMP(CLONE_FLAGS_ARGUMENT, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
}

static int forbid_sockets(scmp_filter_ctx filter, enum process_sandbox sandbox)
{
    const uint32_t refuse = SCMP_ACT_ERRNO(EACCES);
    if (sandbox == PROCESS_SANDBOX_FILES)
        return seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 0);
    if (sandbox == PROCESS_SANDBOX_UNIX)
        return seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 1,
                                SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
    return 0;
}

static int add_rules(scmp_filter_ctx filter, enum process_sandbox sandbox, const char *program)
{
    int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(deadly_calls); i++)
        r = forbid_call(filter, deadly_calls[i], SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(refused_calls); i++)
        r = forbid_call(filter, refused_calls[i].call,
                        SCMP_ACT_ERRNO((uint32_t)refused_calls[i].errnum));
    if (r == 0)
        r = forbid_programs(filter, program);
    return r == 0 ? forbid_sockets(filter, sandbox) : r;
}

/*
 * libseccomp loads a filter itself, but not between fork and exec: it allocates memory. Ours has
 * some hundred instructions; what is longer than PIPE_BUF is refused, as it may have been cut.
 */
static int export_code(scmp_filter_ctx filter, struct sock_fprog *ret_filter)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    cleanup_close int read_fd = fds[0], write_fd = fds[1];
    int r = seccomp_export_bpf(filter, write_fd);
    if (r < 0)
        return r;
    cleanup_free struct sock_filter *code = malloc(PIPE_BUF);
    if (!code)
        return -ENOMEM;
    ssize_t size = read(read_fd, code, PIPE_BUF);
    if (size <= 0 || size == PIPE_BUF)
        return -EIO;
    ret_filter->len = (unsigned short)((size_t)size / sizeof(*code));
    ret_filter->filter = TAKE_PTR(code);
    return 0;
}

static int make_filter(enum process_sandbox sandbox, const char *program,
                       struct sock_fprog *ret_filter, struct error *err)
{
    (void)seccomp_api_set(LIBSECCOMP_API); /* else it asks by a call that a unit may forbid */
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int r = filter ? add_rules(filter, sandbox, program) : -ENOMEM;
    if (r == 0)
        r = export_code(filter, ret_filter);
    seccomp_release(filter);
    return r < 0 ? error_errno(err, -r, "cannot make a filter of system calls") : 0;
}

struct sock_fprog process_sandbox_make(enum process_sandbox sandbox, const char *program)
{
    static atomic_bool told;
    struct sock_fprog filter = {0};
    struct error err = ERROR_INIT;
    if (sandbox == PROCESS_SANDBOX_NONE || !is_possible() || is_script(program))
        return filter;
    if (make_filter(sandbox, program, &filter, &err) < 0 && !atomic_exchange(&told, true))
        log_warning("%s; qemu-img and qemu-nbd run without while that is so", err.message);
    return filter;
}

int process_sandbox_enter(const struct sock_fprog *filter)
{
    if (filter->len == 0)
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter) < 0)
        return -errno;
    return 0;
}

void process_sandbox_clear(struct sock_fprog *filter)
{
    free(filter->filter);
    *filter = (struct sock_fprog){0};
}
