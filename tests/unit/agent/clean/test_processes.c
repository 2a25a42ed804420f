/* SPDX-License-Identifier: Apache-2.0 */
/* agent/clean/processes.c: which processes are a nova-compute, and since when. */
#include "agent/clean/processes.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"

static const char folder[] = "/tmp"; /* which all have */

/* Sleeps under this command line. */
static pid_t start(const char *name)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/sleep", name, "60", (char *)NULL);
        _exit(1);
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0); /* closed by exec */
    (void)close(ready[0]);
    return pid;
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Not where there is no openat2(), as under valgrind: whose folder it is cannot be told there. */
static bool folders_are_told(void)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    long fd = syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));
    if (fd >= 0)
        (void)close((int)fd);
    return fd >= 0;
}

/* In a container, as where this test may be built, nobody is. */
static bool all_are_seen(void)
{
    struct stat namespace;
    return stat("/proc/self/ns/pid", &namespace) == 0 && namespace.st_ino == 0xEFFFFFFCu &&
           access("/proc/1/cmdline", R_OK) == 0;
}

static void it_is_known_by_its_command_line(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum clean_process_kind kind;
    } lines[] = {
        {"/usr/bin/nova-compute\0--config-file\0x\0x\0", CLEAN_PROCESS_IS},
        {"/usr/bin/python3\0/opt/venv/bin/nova-compute\0x\0x\0", CLEAN_PROCESS_IS},
        {"nova-compute: worker\0x\0x\0x\0", CLEAN_PROCESS_IS},
        {"python3\0-m\0nova.cmd.compute\0x\0", CLEAN_PROCESS_IS},
        {"python3.11\0-u\0-I\0/usr/bin/nova-compute\0", CLEAN_PROCESS_IS},
        /* It may be one, and nothing may be taken for older than it is because of it. */
        {"python3\0-W\0ignore\0/usr/bin/nova-compute\0", CLEAN_PROCESS_NAMED},
        {"/usr/local/bin/start\0x\0/usr/bin/nova-compute\0x\0", CLEAN_PROCESS_NAMED},
        {"dumb-init\0--\0nova-compute\0x\0", CLEAN_PROCESS_NAMED},
        /* That one runs is not known by these. */
        {"systemctl\0restart\0nova-compute\0x\0", CLEAN_PROCESS_NAMED},
        {"journalctl\0-fu\0nova-compute\0x\0", CLEAN_PROCESS_NAMED},
        {"nova-compute-wrapper\0x\0x\0x\0", CLEAN_PROCESS_OTHER},
        {"tail\0/var/log/nova-compute.log\0x\0x\0", CLEAN_PROCESS_OTHER},
        {"privsep-helper\0--config-file\0/etc/nova/nova-compute.conf\0x\0", CLEAN_PROCESS_OTHER},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        size_t length = 0;
        for (unsigned words = 0; words < 4; words++)
            length += strlen(lines[i].line + length) + 1;
        assert_int_equal(clean_processes_kind(lines[i].line, length), lines[i].kind);
    }
    assert_int_equal(clean_processes_kind("", 0), CLEAN_PROCESS_OTHER); /* of the kernel's own */
}

/* Another on this machine may have begun before. */
static void it_began_when_it_did(void **state)
{
    (void)state;
    struct clean_process before = clean_processes_nova_compute(folder);
    time_t earliest = time(NULL) - 3; /* whole seconds and ticks */
    uint64_t earliest_ms = clock_now_ms() - 100;
    pid_t pid = start("nova-compute");
    struct clean_process nova = clean_processes_nova_compute(folder);
    end(pid);
    assert_int_equal(nova.seen, all_are_seen() && folders_are_told());
    if (!nova.seen)
        return;
    if (before.since_ms != 0) {
        earliest = before.since - 3;
        earliest_ms = before.since_ms;
    } else
        assert_int_equal(nova.pid, pid);
    assert_in_range(nova.since, earliest, time(NULL));
    assert_in_range(nova.since_ms, earliest_ms, clock_now_ms());
}

/* Of another host on this machine; what dates from its time may be its. */
static void who_has_not_the_folder_is_another_hosts(void **state)
{
    (void)state;
    pid_t pid = start("nova-compute");
    struct clean_process nova = clean_processes_nova_compute("/nonexistent");
    end(pid);
    assert_false(nova.seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_known_by_its_command_line),
        cmocka_unit_test(it_began_when_it_did),
        cmocka_unit_test(who_has_not_the_folder_is_another_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
