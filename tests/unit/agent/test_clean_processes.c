/* SPDX-License-Identifier: Apache-2.0 */
/* agent/clean_processes.c: which processes are a nova-compute, and since when. */
#include "agent/clean_processes.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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

static void it_is_known_by_its_command_line(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool is;
    } lines[] = {
        {"/usr/bin/nova-compute\0--config-file\0x\0", true},
        {"/usr/bin/python3\0/opt/venv/bin/nova-compute\0x\0", true},
        {"nova-compute: worker\0x\0x\0", true},
        {"python3\0-m\0nova.cmd.compute\0", true},
        {"nova-compute-wrapper\0x\0x\0", false},
        {"tail\0/var/log/nova-compute.log\0x\0", false},
        {"privsep-helper\0--config-file\0/etc/nova/nova-compute.conf\0", false},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        size_t length = 0;
        for (unsigned words = 0; words < 3; words++)
            length += strlen(lines[i].line + length) + 1;
        assert_int_equal(clean_processes_is_nova_compute(lines[i].line, length), lines[i].is);
    }
    assert_false(clean_processes_is_nova_compute("", 0)); /* of the kernel's own */
}

/* Another on this machine may have begun before. */
static void it_began_when_it_did(void **state)
{
    (void)state;
    struct clean_process before = clean_processes_nova_compute(folder);
    time_t earliest = time(NULL) - 2; /* whole seconds and ticks */
    pid_t pid = start("nova-compute");
    struct clean_process nova = clean_processes_nova_compute(folder);
    end(pid);
    assert_int_equal(nova.state, CLEAN_PROCESS_RUNS);
    if (before.state == CLEAN_PROCESS_RUNS)
        earliest = before.since - 2;
    assert_in_range(nova.since, earliest, time(NULL));
}

static void who_has_not_the_folder_is_another_hosts(void **state)
{
    (void)state;
    pid_t pid = start("nova-compute");
    struct clean_process nova = clean_processes_nova_compute("/nonexistent");
    end(pid);
    assert_int_not_equal(nova.state, CLEAN_PROCESS_RUNS);
}

static void only_what_is_older_is_before_it(void **state)
{
    (void)state;
    struct clean_process nova = {CLEAN_PROCESS_RUNS, 1000};
    assert_true(clean_processes_is_before(&nova, 999, 0));
    assert_false(clean_processes_is_before(&nova, 1000, 0));
    assert_false(clean_processes_is_before(&nova, 999, 60));
    assert_true(clean_processes_is_before(&nova, 939, 60));
    nova.state = CLEAN_PROCESS_UNKNOWN;
    assert_false(clean_processes_is_before(&nova, 1, 0));
    nova.state = CLEAN_PROCESS_NONE;
    assert_true(clean_processes_is_before(&nova, 939, 60));
    assert_false(clean_processes_is_before(&nova, 999, 60)); /* one may have begun since */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_known_by_its_command_line),
        cmocka_unit_test(it_began_when_it_did),
        cmocka_unit_test(who_has_not_the_folder_is_another_hosts),
        cmocka_unit_test(only_what_is_older_is_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
