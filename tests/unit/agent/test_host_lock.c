/* SPDX-License-Identifier: Apache-2.0 */
/* agent/host_lock.c and private_file.c: who may command the agent. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/host_lock.h"
#include "common/cleanup.h"
#include "fixture.h"

static bool is_other_user;
static char top[64], state[128], lock[192];
static struct error err;

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);

uid_t __wrap_geteuid(void)
{
    return __real_geteuid() + (is_other_user ? 1 : 0);
}

static int setup(void **unused)
{
    (void)unused;
    err = (struct error)ERROR_INIT;
    is_other_user = false;
    (void)snprintf(top, sizeof(top), "/tmp/nsa-lock.XXXXXX");
    assert_non_null(mkdtemp(top));
    (void)snprintf(state, sizeof(state), "%s/state", top);
    (void)snprintf(lock, sizeof(lock), "%s/cmp1.lock", state);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    (void)unlink(lock);
    if (unlink(state) < 0)
        (void)rmdir(state);
    return rmdir(top);
}

static int take(const char *path)
{
    int fd = -1;
    err = (struct error)ERROR_INIT;
    int r = host_lock_take(path, "cmp1", &fd, &err);
    assert_int_equal(fd >= 0, r == 0);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

static void assert_refused(const char *word1, const char *word2)
{
    assert_int_equal(take(state), -EPERM);
    if (!strstr(err.message, word1) || !strstr(err.message, word2))
        fail_msg("neither '%s' nor '%s' may be missing: %s", word1, word2, err.message);
}

static void it_is_made_for_us_alone(void **unused)
{
    (void)unused;
    struct stat st;
    char path[256];
    assert_int_equal(take(state), 0);
    assert_int_equal(stat(state, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(lock, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(take(state), 0);
    (void)snprintf(path, sizeof(path), "%s//./state///", top);
    assert_int_equal(take(path), 0);
}

static void two_do_not_have_it(void **unused)
{
    (void)unused;
    int first = -1, second = -1;
    assert_int_equal(host_lock_take(state, "cmp1", &first, &err), 0);
    assert_int_equal(host_lock_take(state, "cmp1", &second, &err), -EBUSY);
    assert_int_equal(second, -1);
    (void)close(first);
    assert_int_equal(take(state), 0);
}

static void a_folder_for_others_is_refused(void **unused)
{
    (void)unused;
    static const mode_t modes[] = {0755, 0770, 0707, 0777, 0701, 0720};
    assert_int_equal(mkdir(state, 0700), 0);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        char text[8];
        (void)snprintf(text, sizeof(text), "%04o", modes[i]);
        assert_int_equal(chmod(state, modes[i]), 0);
        assert_refused(state, text);
        assert_int_equal(access(lock, F_OK), -1);
    }
    assert_int_equal(chmod(state, 0700), 0);
    assert_int_equal(take(state), 0);
}

static void somebody_elses_folder_is_refused(void **unused)
{
    (void)unused;
    char owner[32];
    assert_int_equal(mkdir(state, 0700), 0);
    (void)snprintf(owner, sizeof(owner), "user %u ", (unsigned)geteuid());
    is_other_user = true;
    assert_refused("/", owner);
}

static void a_link_is_not_followed(void **unused)
{
    (void)unused;
    assert_int_equal(symlink(top, state), 0);
    assert_refused(state, "link");
}

static void a_link_above_it_is(void **unused)
{
    (void)unused;
    char link_path[128], path[192];
    (void)snprintf(link_path, sizeof(link_path), "%s/link", top);
    (void)snprintf(path, sizeof(path), "%s/state", link_path);
    assert_int_equal(symlink(".", link_path), 0);
    assert_int_equal(take(path), 0);
    assert_int_equal(unlink(link_path), 0);
}

/* Where others may rename it, another one can stand there tomorrow. */
static void a_folder_that_others_may_move_is_refused(void **unused)
{
    (void)unused;
    assert_int_equal(chmod(top, 0770), 0);
    assert_refused(top, "0770");
    assert_int_equal(chmod(top, 0702), 0);
    assert_refused(top, "0702");
    assert_int_equal(access(state, F_OK), -1);
    assert_int_equal(chmod(top, 01777), 0);
    assert_int_equal(take(state), 0);
    assert_int_equal(chmod(top, 0755), 0);
    assert_int_equal(take(state), 0);
}

static void a_lock_of_others_is_refused(void **unused)
{
    (void)unused;
    char other[192];
    (void)snprintf(other, sizeof(other), "%s/other", top);
    assert_int_equal(take(state), 0);
    assert_int_equal(chmod(lock, 0644), 0);
    assert_refused(lock, "0644");
    assert_int_equal(chmod(lock, 0600), 0);
    assert_int_equal(link(lock, other), 0);
    assert_refused(lock, "one name");
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(symlink(other, lock), 0);
    assert_true(take(state) < 0);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(mkfifo(lock, 0600), 0);
    assert_refused(lock, "regular");
    assert_int_equal(unlink(other), 0);
}

static void no_name_is_no_folder(void **unused)
{
    (void)unused;
    static const char *const names[] = {"", "/", ".", "..", "/tmp/.", "/tmp/.."};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_true(take(names[i]) < 0);
    assert_int_equal(take("/nonexistent/state"), -ENOENT);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_is_made_for_us_alone),
        TEST(two_do_not_have_it),
        TEST(a_folder_for_others_is_refused),
        TEST(somebody_elses_folder_is_refused),
        TEST(a_link_is_not_followed),
        TEST(a_link_above_it_is),
        TEST(a_folder_that_others_may_move_is_refused),
        TEST(a_lock_of_others_is_refused),
        TEST(no_name_is_no_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
