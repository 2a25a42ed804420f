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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/domain_lock.h"
#include "common/id.h"
#include "tests/unit/driver/temp_folder.h"

static char folder[64];
static struct error err;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    (void)snprintf(folder, sizeof(folder), "%s/locks", temp_folder);
    return 0;
}

static struct domain_lock *take(const char *uuid)
{
    struct domain_lock *lock = NULL;
    err = (struct error)ERROR_INIT;
    if (domain_lock_take(folder, uuid, &lock, &err) < 0)
        fail_msg("%s", err.message);
    return lock;
}

static void assert_busy(const char *uuid, pid_t holder)
{
    struct domain_lock *lock = NULL;
    char pid[32];
    err = (struct error)ERROR_INIT;
    assert_int_equal(domain_lock_take(folder, uuid, &lock, &err), -EBUSY);
    assert_null(lock);
    (void)snprintf(pid, sizeof(pid), " %d,", (int)holder);
    assert_non_null(strstr(err.message, pid));
}

static void second_is_told_who_has_it(void **state)
{
    (void)state;
    char uuid[ID_UUID_SIZE], capitals[ID_UUID_SIZE], path[128];
    id_new_uuid(uuid);
    for (size_t i = 0; i < sizeof(uuid); i++)
        capitals[i] = (char)(uuid[i] >= 'a' && uuid[i] <= 'f' ? uuid[i] - 'a' + 'A' : uuid[i]);
    struct domain_lock *lock = take(uuid);
    assert_busy(capitals, getpid());
    domain_lock_release(lock);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, uuid);
    assert_int_equal(access(path, F_OK), -1);
    domain_lock_release(take(uuid));
}

static void others_are_not_locked(void **state)
{
    (void)state;
    char one[ID_UUID_SIZE], other[ID_UUID_SIZE];
    id_new_uuid(one);
    id_new_uuid(other);
    struct domain_lock *first = take(one), *second = take(other);
    domain_lock_release(first);
    domain_lock_release(second);
}

static void killed_process_leaves_none(void **state)
{
    (void)state;
    char uuid[ID_UUID_SIZE], byte;
    int ready[2];
    id_new_uuid(uuid);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)take(uuid);
        if (write(ready[1], "r", 1) == 1)
            (void)pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_busy(uuid, child);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    domain_lock_release(take(uuid));
    (void)close(ready[0]);
    (void)close(ready[1]);
}

/* One that could be opened by anybody could be locked by him. */
static void a_folder_others_may_enter_is_refused(void **state)
{
    (void)state;
    char uuid[ID_UUID_SIZE];
    struct domain_lock *lock = NULL;
    struct stat st;
    id_new_uuid(uuid);
    domain_lock_release(take(uuid));
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(domain_lock_take(folder, uuid, &lock, &err), -EPERM);
    assert_non_null(strstr(err.message, folder));
    assert_int_equal(chmod(folder, 0700), 0);
}

static void what_is_no_uuid_is_no_name_of_a_file(void **state)
{
    (void)state;
    struct domain_lock *lock = NULL;
    assert_int_equal(domain_lock_take(folder, "../x", &lock, &err), -EINVAL);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(second_is_told_who_has_it),
        TEST(others_are_not_locked),
        TEST(killed_process_leaves_none),
        TEST(a_folder_others_may_enter_is_refused),
        TEST(what_is_no_uuid_is_no_name_of_a_file),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
