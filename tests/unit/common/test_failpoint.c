/* SPDX-License-Identifier: Apache-2.0 */
/* common/failpoint.c */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/failpoint.h"

static char folder[] = "/tmp/nsa-failpoint.XXXXXX";
static char file[64];

static void arm(const char *line, mode_t mode)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "%s\n", line) > 0);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

/* Whether a process that comes to the point is killed there. */
static int kills(const char *point)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        failpoint(point);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void nothing_is_armed_without_the_file(void **state)
{
    (void)state;
    errno = EXDEV;
    failpoint("live:ready");
    assert_int_equal(errno, EXDEV);
}

static void the_named_point_kills_once(void **state)
{
    (void)state;
    arm("live:ready kill", 0600);
    assert_false(kills("live:rea"));
    assert_false(kills("live:ready-2"));
    assert_int_equal(access(file, F_OK), 0);
    /* Only what root alone can write is obeyed. */
    assert_int_equal(kills("live:ready"), geteuid() == 0);
    assert_int_equal(access(file, F_OK), geteuid() == 0 ? -1 : 0);
    assert_false(kills("live:ready"));
    (void)unlink(file);
}

static void a_file_others_may_write_is_ignored(void **state)
{
    (void)state;
    arm("live:ready kill", 0666);
    assert_false(kills("live:ready"));
    assert_int_equal(unlink(file), 0);
    arm("live:ready kill", 0600);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_false(kills("live:ready"));
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(unlink(file), 0);
}

static void a_thread_is_held_until_the_file_goes(void **state)
{
    (void)state;
    char reached[80];
    int status;
    if (geteuid() != 0)
        return;
    (void)snprintf(reached, sizeof(reached), "%s/failpoint.reached", folder);
    arm("live:ready hold", 0600);
    pid_t pid = fork();
    if (pid == 0) {
        failpoint("live:ready");
        _exit(access(reached, F_OK) == 0 ? 1 : 0);
    }
    while (access(reached, F_OK) < 0)
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_armed_without_the_file),
        cmocka_unit_test(the_named_point_kills_once),
        cmocka_unit_test(a_file_others_may_write_is_ignored),
        cmocka_unit_test(a_thread_is_held_until_the_file_goes),
    };
    if (!mkdtemp(folder))
        return 1;
    (void)snprintf(file, sizeof(file), "%s/failpoint", folder);
    failpoint_init(folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(folder);
    return failed;
}
