/* SPDX-License-Identifier: Apache-2.0 */
/* agent/host_key.c: marks that fit only what they were made for, and only this host's. */
#include "agent/host_key.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static struct error err;

static const char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    (void)strcpy(folder, "/tmp/nsa-key.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path_of("cmp1.key"));
    (void)unlink(path_of("cmp1.key.new"));
    (void)unlink(path_of("cmp2.key"));
    return rmdir(folder);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void a_mark_fits_one_text_of_one_host(void **state)
{
    (void)state;
    struct host_key key, again, other;
    char mark[HOST_KEY_MARK_SIZE];
    assert_int_equal(host_key_read(folder, "cmp1", &key, &err), 0);
    assert_true(host_key_mark(&key, "an-image", mark));
    assert_int_equal(strlen(mark), HOST_KEY_MARK_SIZE - 1);
    assert_true(host_key_is_mark(&key, "an-image", mark));
    assert_false(host_key_is_mark(&key, "another", mark));
    assert_false(host_key_is_mark(&key, "an-image", NULL));
    assert_false(host_key_is_mark(&key, "an-image", ""));

    assert_int_equal(host_key_read(folder, "cmp1", &again, &err), 0); /* in a later life */
    assert_true(host_key_is_mark(&again, "an-image", mark));
    assert_int_equal(host_key_read(folder, "cmp2", &other, &err), 0);
    assert_false(host_key_is_mark(&other, "an-image", mark));
}

static void it_is_the_agents_alone(void **state)
{
    (void)state;
    struct stat st;
    struct host_key key;
    assert_int_equal(host_key_read(folder, "cmp1", &key, &err), 0);
    assert_int_equal(stat(path_of("cmp1.key"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(chmod(path_of("cmp1.key"), 0644), 0);
    assert_int_equal(host_key_read(folder, "cmp1", &key, &err), -EPERM);
}

/* What one that died has left half written is nobody's. */
static void half_of_a_new_one_is_no_key(void **state)
{
    (void)state;
    struct host_key key;
    write_file("cmp1.key.new", "half", 0600);
    assert_int_equal(host_key_read(folder, "cmp1", &key, &err), 0);
    assert_int_equal(access(path_of("cmp1.key.new"), F_OK), -1);
}

static void what_is_too_short_is_no_key(void **state)
{
    (void)state;
    struct host_key key = {.known = false};
    write_file("cmp1.key", "short", 0600);
    assert_int_equal(host_key_read(folder, "cmp1", &key, &err), -EBADMSG);
    assert_false(key.known);
    assert_non_null(strstr(err.message, "cmp1.key"));
}

static void without_a_key_nothing_is_marked(void **state)
{
    (void)state;
    const struct host_key none = {.known = false};
    char mark[HOST_KEY_MARK_SIZE] = "as it was";
    assert_false(host_key_mark(&none, "an-image", mark));
    assert_string_equal(mark, "as it was");
    assert_false(host_key_is_mark(&none, "an-image", mark));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_mark_fits_one_text_of_one_host), TEST(it_is_the_agents_alone),
        TEST(half_of_a_new_one_is_no_key),      TEST(what_is_too_short_is_no_key),
        TEST(without_a_key_nothing_is_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
