/* SPDX-License-Identifier: Apache-2.0 */
/* driver/libvirt/qemu_process.c: what tells one run of a guest from every other one. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/libvirt/qemu_process.h"
#include "tests/unit/driver/temp_folder.h"

#define UUID "2e0af6cc-8dab-4d5d-b039-8bb41cec430e"
#define OTHER "6695eb01-f6a4-8304-79aa-97f2502e193f"

static struct error err;

static void write_pid(int pid)
{
    FILE *file = fopen(temp_path("guest.pid"), "we");
    assert_non_null(file);
    (void)fprintf(file, "%d", pid);
    assert_int_equal(fclose(file), 0);
}

static int mark_of(const char *uuid, char ret_mark[static QEMU_PROCESS_MARK_SIZE])
{
    err = (struct error)ERROR_INIT;
    return qemu_process_mark_of(temp_folder, "guest", uuid, ret_mark, &err);
}

static void wait_a_little(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* A process with the arguments of a guest, whose mark it returns. */
static pid_t start(const char *uuid, char ret_mark[static QEMU_PROCESS_MARK_SIZE])
{
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/bin/sh", "a) guest", "-c", "sleep 60; :", "-name", "guest", "-uuid", uuid,
                    NULL);
        _exit(127);
    }
    write_pid(child);
    for (unsigned i = 0; i < 500 && mark_of(uuid, ret_mark) < 0; i++)
        wait_a_little();
    assert_int_equal(err.errnum, 0);
    return child;
}

static void end(pid_t child)
{
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void each_run_has_a_mark_of_its_own(void **state)
{
    (void)state;
    char first[QEMU_PROCESS_MARK_SIZE], again[QEMU_PROCESS_MARK_SIZE];
    pid_t child = start(UUID, first);
    wait_a_little();
    assert_int_equal(mark_of(UUID, again), 0);
    assert_string_equal(first, again);
    end(child);
    assert_int_equal(mark_of(UUID, again), -EIO);
    child = start(UUID, again);
    assert_string_not_equal(first, again);
    end(child);
}

/* As where a pid is that of another process, or the file is one of before. */
static void a_process_that_is_not_the_guest(void **state)
{
    (void)state;
    char mark[QEMU_PROCESS_MARK_SIZE];
    pid_t child = start(UUID, mark);
    assert_int_equal(mark_of(OTHER, mark), -EIO);
    end(child);
    write_pid(getpid());
    assert_int_equal(mark_of(UUID, mark), -EIO);
    (void)unlink(temp_path("guest.pid"));
    assert_int_equal(mark_of(UUID, mark), -EIO);
    assert_int_equal(qemu_process_mark(getpid(), mark, &err), 0);
}

static void where_the_pids_are(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "test:///default", "qemu+ssh://host/system", "qemu://host/system",
        "qemu:///systems", "xen:///system",
    };
    char path[PATH_MAX];
    assert_int_equal(qemu_process_directory("qemu:///system", path, &err), 0);
    assert_string_equal(path, "/run/libvirt/qemu");
    assert_int_equal(qemu_process_directory("qemu+unix:///system?socket=/run/x", path, &err), 0);
    assert_string_equal(path, "/run/libvirt/qemu");
    (void)setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    assert_int_equal(qemu_process_directory("qemu:///session", path, &err), 0);
    assert_string_equal(path, "/run/user/7/libvirt/qemu/run");
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_int_equal(qemu_process_directory(unknown[i], path, &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_run_has_a_mark_of_its_own),
        cmocka_unit_test(a_process_that_is_not_the_guest),
        cmocka_unit_test(where_the_pids_are),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
