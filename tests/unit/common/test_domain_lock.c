/* SPDX-License-Identifier: Apache-2.0 */
/* common/domain_lock.c: one at a time, whoever it is, and nothing is left of who dies. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/domain_lock.h"
#include "common/id.h"

static void second_is_told_who_has_it(void **state)
{
    (void)state;
    char uuid[ID_UUID_SIZE], capitals[ID_UUID_SIZE], pid[32];
    struct error err = ERROR_INIT;
    int fd = -1, second = -1;
    id_new_uuid(uuid);
    for (size_t i = 0; i < sizeof(uuid); i++)
        capitals[i] = (char)(uuid[i] >= 'a' && uuid[i] <= 'f' ? uuid[i] - 'a' + 'A' : uuid[i]);
    assert_int_equal(domain_lock_take(uuid, &fd, &err), 0);
    assert_int_equal(domain_lock_take(capitals, &second, &err), -EBUSY);
    assert_int_equal(second, -1);
    (void)snprintf(pid, sizeof(pid), " %d of user", (int)getpid());
    assert_non_null(strstr(err.message, pid));
    (void)close(fd);
    err = (struct error)ERROR_INIT;
    assert_int_equal(domain_lock_take(uuid, &fd, &err), 0);
    (void)close(fd);
}

static void others_are_not_locked(void **state)
{
    (void)state;
    char one[ID_UUID_SIZE], other[ID_UUID_SIZE];
    struct error err = ERROR_INIT;
    int fd = -1, other_fd = -1;
    id_new_uuid(one);
    id_new_uuid(other);
    assert_int_equal(domain_lock_take(one, &fd, &err), 0);
    assert_int_equal(domain_lock_take(other, &other_fd, &err), 0);
    (void)close(fd);
    (void)close(other_fd);
}

static void killed_process_leaves_none(void **state)
{
    (void)state;
    char uuid[ID_UUID_SIZE], byte;
    struct error err = ERROR_INIT;
    int fd = -1, ready[2];
    id_new_uuid(uuid);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)domain_lock_take(uuid, &fd, &err);
        if (write(ready[1], "r", 1) == 1)
            (void)pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(domain_lock_take(uuid, &fd, &err), -EBUSY);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    err = (struct error)ERROR_INIT;
    assert_int_equal(domain_lock_take(uuid, &fd, &err), 0);
    (void)close(fd);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_is_told_who_has_it),
        cmocka_unit_test(others_are_not_locked),
        cmocka_unit_test(killed_process_leaves_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
