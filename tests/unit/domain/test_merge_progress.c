/* SPDX-License-Identifier: Apache-2.0 */
/* domain/merge_progress.c: when the layers of a disk are known to be in the one below. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "domain/merge_progress.h"
#include "tests/unit/driver/temp_folder.h"

#define UUID "00000000-0000-4000-8000-000000000000"

static struct record *record;
static json_t *vda, *vdb;
static struct error err;

static void open_record(void)
{
    record_close(record);
    record = NULL;
    if (record_open(temp_path("state"), UUID, &record, &err) < 0)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    (void)state;
    const char *top = temp_path("top");
    int fd = open(top, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0 && close(fd) == 0);
    (void)mkdir(temp_path("state"), 0700);
    vda = json_pack("{s:s, s:[{s:s}], s:{s:s}}", "target", "vda", "gone", "path", top, "base",
                    "path", "/none/base");
    vdb = json_pack("{s:s, s:[{s:s}], s:{s:s}}", "target", "vdb", "gone", "path", top, "base",
                    "path", "/none/base");
    open_record();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)record_end(record, &err);
    record_close(record);
    record = NULL;
    json_decref(vda);
    json_decref(vdb);
    return 0;
}

static json_t *run_of(int id, const char *qemu)
{
    return json_pack("{s:i, s:s*}", "id", id, "qemu", qemu);
}

static void note(const json_t *disk, int id, bool is_whole)
{
    json_t *run = id < 0 ? NULL : run_of(id, "boot 100 1");
    assert_int_equal(merge_progress_note(record, disk, run, is_whole, &err), 0);
    json_decref(run);
}

static void note_pivot(int id)
{
    json_t *run = run_of(id, "boot 100 1");
    assert_int_equal(merge_progress_note_pivot(record, vda, run, &err), 0);
    json_decref(run);
}

static bool is_done_of(const json_t *disk, int id, const char *qemu)
{
    json_t *run = run_of(id, qemu);
    int r = merge_progress_check_done(record, disk, run, &err);
    json_decref(run);
    assert_true(r == 0 || r == -EINVAL);
    return r == 0;
}

static bool is_done(const json_t *disk, int id)
{
    return is_done_of(disk, id, id < 0 ? NULL : "boot 100 1");
}

static void what_was_not_begun_is_not_done(void **state)
{
    (void)state;
    assert_false(is_done(vda, 7));
    note(vdb, -1, true);
    assert_false(merge_progress_has_begun(record, vda));
    assert_false(is_done(vda, -1));
    assert_non_null(strstr(err.message, "top alone has it all"));
    assert_true(is_done(vdb, -1));
}

static void a_part_is_not_all(void **state)
{
    (void)state;
    note(vda, -1, false);
    assert_false(is_done(vda, -1));
    assert_false(is_done(vda, 3)); /* nova has started it on the file it knows */
    json_object_set_new(vda, "above", json_pack("{s:s}", "path", "/none/above"));
    assert_true(is_done(vda, -1));
}

static void the_guest_it_was_begun_with(void **state)
{
    (void)state;
    note(vda, 7, false);
    assert_true(is_done(vda, 7));
    assert_false(is_done(vda, 8));
    assert_false(is_done(vda, -1));
    open_record();
    assert_true(is_done(vda, 7));
    note(vda, 7, true);
    assert_true(is_done(vda, -1)); /* it was seen to go on there */
}

/* Of a stopped domain: what a guest wrote that was started while it was merged, base lacks. */
static void what_was_written_meanwhile_is_not_committed(void **state)
{
    (void)state;
    const struct timespec later[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 2000000000}};
    assert_int_equal(merge_progress_note_committed(record, vda, &err), -EAGAIN);
    err = (struct error)ERROR_INIT;
    note(vda, -1, false);
    assert_int_equal(utimensat(AT_FDCWD, temp_path("top"), later, 0), 0);
    assert_int_equal(merge_progress_note_committed(record, vda, &err), -EAGAIN);
    assert_non_null(strstr(err.message, "was written to while it was merged"));
    assert_false(is_done(vda, -1));
    err = (struct error)ERROR_INIT;
    note(vda, -1, false);
    assert_int_equal(merge_progress_note_committed(record, vda, &err), 0);
    assert_true(is_done(vda, -1));
    const struct timespec still_later[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 2000000001}};
    assert_int_equal(utimensat(AT_FDCWD, temp_path("top"), still_later, 0), 0);
    assert_false(is_done(vda, -1));
}

/* After a restart of libvirtd, which counts on from the highest id in use. */
static void another_one_of_the_same_id(void **state)
{
    (void)state;
    note(vda, 7, false);
    assert_false(is_done_of(vda, 7, "boot 200 2"));
    assert_non_null(strstr(err.message, "top alone has it all"));
    assert_false(is_done_of(vda, 7, NULL));
    assert_non_null(strstr(err.message, "top alone may have it all"));
    assert_true(is_done(vda, 7));
    note(vda, -1, false);
    assert_false(is_done_of(vda, 7, NULL));
    assert_non_null(strstr(err.message, "top alone has it all"));
}

/* It knows of ids alone. */
static void one_that_an_old_record_tells_of(void **state)
{
    (void)state;
    json_t *old = json_pack("{s:s, s:i, s:b}", "target", "vda", "id", 7, "is_whole", 0);
    assert_int_equal(record_note(record, "merging", old, &err), 0);
    assert_false(is_done(vda, 7));
    assert_non_null(strstr(err.message, "top alone may have it all"));
    note(vda, 7, true);
    assert_true(is_done(vda, 8));
}

static void a_guest_that_was_started_meanwhile(void **state)
{
    (void)state;
    const struct timespec later[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 2000000000}};
    note(vda, -1, false);
    note(vda, -1, true);
    assert_true(is_done(vda, -1));
    assert_int_equal(utimensat(AT_FDCWD, temp_path("top"), later, 0), 0);
    assert_false(is_done(vda, -1)); /* it wrote to the layer since */
    assert_int_equal(unlink(temp_path("top")), 0);
    assert_true(is_done(vda, -1)); /* removed when it was known to be in base */
    note(vda, 9, false);
    assert_false(is_done(vda, -1));
}

/* The guest of then has ended: it had gone on on base, unless it wrote to the layer still. */
static void a_guest_that_was_about_to_go_on_there(void **state)
{
    (void)state;
    const struct timespec later[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 2000000000}};
    const struct timespec before[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
    note(vda, 7, false);
    assert_int_equal(utimensat(AT_FDCWD, temp_path("top"), before, 0), 0);
    note_pivot(7);
    assert_true(is_done(vda, 7) && is_done(vda, 8) && is_done(vda, -1));
    assert_int_equal(utimensat(AT_FDCWD, temp_path("top"), later, 0), 0);
    assert_true(is_done(vda, 7));
    assert_false(is_done(vda, 8));
    assert_non_null(strstr(err.message, "which of them has more is not known"));
    note(vda, 7, true);
    assert_true(is_done(vda, 8));
}

/* QEMU's commit is a little behind. */
static void a_guest_that_wrote_just_before_that(void **state)
{
    (void)state;
    const struct timespec now[] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
    note(vda, 7, false);
    assert_int_equal(utimensat(AT_FDCWD, temp_path("top"), now, 0), 0);
    note_pivot(7);
    assert_true(is_done(vda, 7));
    assert_false(is_done(vda, -1));
    assert_non_null(strstr(err.message, "which of them has more is not known"));
}

static void one_that_fell_with_the_host(void **state)
{
    (void)state;
    static const char line[] = "{\"boot\":\"another\"}\n";
    int fd = open(temp_path("state/records/" UUID), O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, line, sizeof(line) - 1), sizeof(line) - 1);
    assert_int_equal(close(fd), 0);
    open_record();
    note_pivot(7);
    assert_false(is_done(vda, 7));
    assert_non_null(strstr(err.message, "which of them has more is not known"));
    note(vda, 7, true);
    assert_true(is_done(vda, -1));
}

static void a_begin_that_is_taken_back(void **state)
{
    (void)state;
    note(vdb, 7, true);
    note(vda, 7, false);
    assert_int_equal(merge_progress_forget(record, vda, &err), 0);
    open_record();
    assert_false(merge_progress_has_begun(record, vda));
    assert_true(is_done(vdb, -1));
}

/* The timer tries each minute what fails behind its note. */
static void tries_without_end_take_no_more_room(void **state)
{
    (void)state;
    struct stat st;
    note(vdb, 7, true);
    for (int i = 0; i < 1000; i++) {
        note(vda, -1, i % 2 == 0);
        assert_int_equal(stat(temp_path("state/records/" UUID), &st), 0);
        assert_true(st.st_size < 16384);
    }
    open_record();
    assert_false(is_done(vda, -1));
    assert_true(is_done(vdb, -1));
    note(vda, -1, true);
    assert_true(is_done(vda, -1));
    assert_int_equal(merge_progress_forget(record, vda, &err), 0);
    assert_true(merge_progress_has_begun(record, vda));
    assert_false(is_done(vda, -1));
}

static void a_begin_that_is_taken_back_at_any_time(void **state)
{
    (void)state;
    note(vda, 7, true);
    for (int i = 0; i < 1000; i++) {
        note(vda, 7, false);
        assert_int_equal(merge_progress_forget(record, vda, &err), 0);
        assert_true(is_done(vda, -1));
        note(vdb, 7, true);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tries_without_end_take_no_more_room),
        TEST(a_begin_that_is_taken_back_at_any_time),
        TEST(what_was_not_begun_is_not_done),
        TEST(a_part_is_not_all),
        TEST(what_was_written_meanwhile_is_not_committed),
        TEST(the_guest_it_was_begun_with),
        TEST(a_guest_that_was_started_meanwhile),
        TEST(another_one_of_the_same_id),
        TEST(one_that_an_old_record_tells_of),
        TEST(a_begin_that_is_taken_back),
        TEST(a_guest_that_was_about_to_go_on_there),
        TEST(a_guest_that_wrote_just_before_that),
        TEST(one_that_fell_with_the_host),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
