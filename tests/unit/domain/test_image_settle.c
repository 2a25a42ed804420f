/* SPDX-License-Identifier: Apache-2.0 */
/* domain/image_settle.c: an image has its name or is gone, whatever the file system can do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "domain/image_settle.h"
#include "tests/unit/driver/temp_folder.h"

static struct error err;
static int rename_refuses, link_refuses; /* errno */

int __real_renameat2(int old_fd, const char *old, int new_fd, const char *new, unsigned flags);
int __wrap_renameat2(int old_fd, const char *old, int new_fd, const char *new, unsigned flags);
int __wrap_renameat2(int old_fd, const char *old, int new_fd, const char *new, unsigned flags)
{
    errno = rename_refuses;
    return rename_refuses ? -1 : __real_renameat2(old_fd, old, new_fd, new, flags);
}

int __real_link(const char *old, const char *new);
int __wrap_link(const char *old, const char *new);
int __wrap_link(const char *old, const char *new)
{
    if (link_refuses == 0 || access(old, F_OK) < 0) /* what is not there is looked for first */
        return __real_link(old, new);
    errno = link_refuses;
    return -1;
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    rename_refuses = link_refuses = 0;
    return mkdir(temp_path("out"), 0700);
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(temp_path("out/image"));
    (void)unlink(temp_path("out/image.partial"));
    return rmdir(temp_path("out"));
}

static void make(const char *name, const char *content)
{
    FILE *file = fopen(temp_path(name), "we");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static bool is_there(const char *name)
{
    return access(temp_path(name), F_OK) == 0;
}

static void assert_image(const char *content)
{
    char found[16] = "";
    FILE *file = fopen(temp_path("out/image"), "re");
    assert_non_null(file);
    assert_non_null(fgets(found, sizeof(found), file));
    assert_int_equal(fclose(file), 0);
    assert_string_equal(found, content);
}

static json_t *note_of(void)
{
    json_t *note = NULL;
    assert_int_equal(
        image_settle_note(temp_path("out/image.partial"), temp_path("out/image"), &note, &err), 0);
    return note;
}

static int settle(json_t *note, bool complete)
{
    err = (struct error)ERROR_INIT;
    return image_settle(note, complete, &err);
}

/* However the file system gives names: as NFS, which cannot but links; as FAT, which does neither.
 */
static void one_that_is_whole_gets_its_name(void **state)
{
    static const int refusals[][2] = {{0, 0}, {EINVAL, 0}, {EINVAL, EPERM}, {ENOSYS, EOPNOTSUPP}};
    (void)state;
    json_t *note = note_of();
    for (size_t i = 0; i < 4; i++) {
        rename_refuses = refusals[i][0];
        link_refuses = refusals[i][1];
        make("out/image.partial", "whole");
        assert_int_equal(settle(note, true), 0);
        assert_image("whole");
        assert_false(is_there("out/image.partial"));
        assert_int_equal(settle(note, true), 0); /* as often as one likes */
        make("out/image.partial", "second");
        assert_int_equal(settle(note, true), -EEXIST);
        assert_image("whole");
        assert_true(is_there("out/image.partial"));
        assert_int_equal(unlink(temp_path("out/image")), 0);
    }
    json_decref(note);
}

static void one_that_was_killed_between_link_and_unlink(void **state)
{
    (void)state;
    json_t *note = note_of();
    rename_refuses = EINVAL;
    make("out/image.partial", "whole");
    assert_int_equal(__real_link(temp_path("out/image.partial"), temp_path("out/image")), 0);
    assert_int_equal(settle(note, true), 0);
    assert_image("whole");
    assert_false(is_there("out/image.partial"));
    json_decref(note);
}

static void move_away(bool away)
{
    assert_int_equal(rename(temp_path(away ? "out" : "away"), temp_path(away ? "away" : "out")), 0);
}

/* A mount point with nothing mounted: what is not there is not taken for done. */
static void storage_that_is_away_is_waited_for(void **state)
{
    (void)state;
    json_t *note = note_of();
    for (int complete = 0; complete < 2; complete++) {
        make("out/image.partial", "whole");
        move_away(true);
        assert_int_equal(settle(note, complete), -ENOENT); /* no folder */
        assert_int_equal(mkdir(temp_path("out"), 0700), 0);
        assert_int_equal(settle(note, complete), -ENOENT); /* another one */
        assert_non_null(strstr(err.message, "mounted"));
        assert_int_equal(rmdir(temp_path("out")), 0);
        move_away(false);
        assert_int_equal(settle(note, complete), 0);
        assert_int_equal(is_there("out/image"), complete);
        assert_false(is_there("out/image.partial"));
    }
    json_decref(note);
}

static void one_that_was_never_made_is_gone(void **state)
{
    (void)state;
    json_t *note = note_of();
    assert_int_equal(settle(note, false), 0);
    assert_int_equal(settle(note, true), -ENOENT);
    json_decref(note);
    note = json_object();
    assert_int_equal(settle(note, false), -EBADMSG);
    json_decref(note);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_whole_gets_its_name),
        TEST(one_that_was_killed_between_link_and_unlink),
        TEST(storage_that_is_away_is_waited_for),
        TEST(one_that_was_never_made_is_gone),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
