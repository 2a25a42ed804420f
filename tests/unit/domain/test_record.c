/* SPDX-License-Identifier: Apache-2.0 */
/* domain/record.c, record_file.c: what is written down outlives who wrote it, and half a line is
 * none. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "domain/record.h"
#include "domain/record_list.h"
#include "tests/unit/driver/temp_folder.h"

#define UUID "2e0af6cc-8dab-4d5d-b039-8bb41cec430e"

static struct error err;
static enum { RENAMES, FAILS, DIES_BEFORE, DIES_BEHIND } rename_does;

int __real_renameat(int old_fd, const char *old_path, int new_fd, const char *new_path);
int __wrap_renameat(int old_fd, const char *old_path, int new_fd, const char *new_path);
int __wrap_renameat(int old_fd, const char *old_path, int new_fd, const char *new_path)
{
    if (rename_does == FAILS) {
        errno = EIO;
        return -1;
    }
    if (rename_does == DIES_BEFORE)
        (void)raise(SIGKILL);
    int r = __real_renameat(old_fd, old_path, new_fd, new_path);
    if (rename_does == DIES_BEHIND)
        (void)raise(SIGKILL);
    return r;
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    rename_does = RENAMES;
    return 0;
}

static struct record *open_record(void)
{
    struct record *record = NULL;
    if (record_open(temp_folder, UUID, &record, &err) < 0)
        fail_msg("%s", err.message);
    return record;
}

static const char *path_of_record(void)
{
    return temp_path("records/" UUID);
}

static void append(const char *text)
{
    FILE *file = fopen(path_of_record(), "ae");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void need(int r)
{
    if (r < 0)
        fail_msg("%s", err.message);
}

static const char *value_at(const struct record *record, const char *name, size_t i)
{
    return json_string_value(json_array_get(record_all(record, name), i));
}

static void notes_outlive_the_process(void **state)
{
    (void)state;
    struct record *record = open_record();
    assert_true(record_is_empty(record));
    assert_int_equal(access(path_of_record(), F_OK), -1);
    assert_int_equal(record_note(record, "file", json_string("one"), &err), 0);
    assert_int_equal(record_note(record, "file", json_string("two"), &err), 0);
    assert_int_equal(record_note(record, "complete", json_true(), &err), 0);
    record_close(record);
    record = open_record();
    assert_false(record_is_empty(record));
    assert_false(record_host_rebooted(record));
    assert_string_equal(value_at(record, "file", 0), "one");
    assert_string_equal(value_at(record, "file", 1), "two");
    assert_int_equal(json_array_size(record_all(record, "file")), 2);
    assert_non_null(record_all(record, "complete"));
    assert_null(record_all(record, "checkpoint"));
    assert_int_equal(record_end(record, &err), 0);
    assert_true(record_is_empty(record));
    assert_null(record_all(record, "file"));
    assert_int_equal(access(path_of_record(), F_OK), -1);
    assert_int_equal(record_note(record, "file", json_string("three"), &err), 0);
    assert_string_equal(value_at(record, "file", 0), "three");
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
}

static void half_a_line_is_none(void **state)
{
    (void)state;
    struct record *record = open_record();
    assert_int_equal(record_note(record, "file", json_string("one"), &err), 0);
    record_close(record);
    append("{\"complete\":tr");
    record = open_record();
    assert_null(record_all(record, "complete"));
    assert_string_equal(value_at(record, "file", 0), "one");
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
}

/* By who goes on with it: not glued to it. Who only looks, without the lock, cuts nothing off. */
static void what_is_noted_behind_half_a_line_is_read(void **state)
{
    (void)state;
    struct stat before, after;
    char uuid[ID_UUID_SIZE];
    struct record *record = open_record();
    assert_int_equal(record_note(record, "domain", json_pack("{s:s}", "name", "web"), &err), 0);
    record_close(record);
    append("{\"complete\":tr");
    assert_int_equal(stat(path_of_record(), &before), 0);
    assert_int_equal(record_list_find(temp_folder, "web", uuid, &err), 0);
    record_close(open_record());
    assert_int_equal(stat(path_of_record(), &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    record = open_record();
    assert_int_equal(record_note(record, "file", json_string("one"), &err), 0);
    assert_int_equal(record_note(record, "file", json_string("two"), &err), 0);
    record_close(record);
    record = open_record();
    assert_null(record_all(record, "complete"));
    assert_string_equal(value_at(record, "file", 1), "two");
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
}

/* No room for a note: what is noted later can be read all the same. */
static void a_note_that_is_cut_short_is_none(void **state)
{
    (void)state;
    struct record *record = open_record();
    struct stat st;
    struct rlimit limit, unlimited;
    assert_int_equal(record_note(record, "file", json_string("one"), &err), 0);
    assert_int_equal(stat(path_of_record(), &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    limit = (struct rlimit){(rlim_t)st.st_size + 5, unlimited.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_true(record_note(record, "file", json_string("cut"), &err) < 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    err = (struct error)ERROR_INIT;
    assert_int_equal(record_note(record, "file", json_string("two"), &err), 0);
    record_close(record);
    record = open_record();
    assert_int_equal(json_array_size(record_all(record, "file")), 2);
    assert_string_equal(value_at(record, "file", 1), "two");
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
}

static void what_is_settled_counts_no_more(void **state)
{
    (void)state;
    struct record *record = open_record();
    assert_int_equal(record_note(record, "file", json_string("one"), &err), 0);
    assert_int_equal(record_note(record, "complete", json_true(), &err), 0);
    assert_int_equal(record_restart(record, json_pack("{s:[s]}", "abandoned", "monday"), &err), 0);
    assert_int_equal(record_note(record, "file", json_string("two"), &err), 0);
    for (int i = 0; i < 2; i++) { /* also who reads it again */
        assert_null(record_all(record, "complete"));
        assert_int_equal(json_array_size(record_all(record, "file")), 1);
        assert_string_equal(value_at(record, "file", 0), "two");
        assert_string_equal(value_at(record, "abandoned", 0), "monday");
        record_close(record);
        record = open_record();
    }
    assert_false(record_host_rebooted(record));
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
}

static void restart_at(struct record *record, const char *value)
{
    need(record_restart(record, json_pack("{s:[s]}", "merging", value), &err));
}

static off_t size_of_record(void)
{
    struct stat st;
    assert_int_equal(stat(path_of_record(), &st), 0);
    return st.st_size;
}

/* The timer tries each minute what cannot be ended yet. */
static void a_record_that_is_tried_for_years_does_not_grow(void **state)
{
    (void)state;
    struct record *record = open_record();
    need(record_set_libvirt(record, "qemu:///system", &err));
    need(record_note(record, "file", json_string("one"), &err));
    restart_at(record, "first");
    off_t size = size_of_record();
    for (int i = 0; i < 10; i++) {
        need(record_note(record, "complete", json_true(), &err));
        restart_at(record, "again");
        record_close(record);
        record = open_record();
    }
    assert_int_equal(size_of_record(), size);
    assert_string_equal(value_at(record, "merging", 0), "again");
    assert_null(record_all(record, "complete"));
    assert_string_equal(record_libvirt(record), "qemu:///system");
    need(record_end(record, &err));
    record_close(record);
}

static void it_is_still_of_the_boot_it_was_begun_in(void **state)
{
    (void)state;
    struct record *record = open_record();
    need(record_note(record, "file", json_string("one"), &err));
    assert_int_equal(truncate(path_of_record(), 0), 0);
    record_close(record);
    append("{\"boot\":\"another\"}\n{\"file\":\"one\"}\n");
    record = open_record();
    restart_at(record, "again");
    record_close(record);
    record = open_record();
    assert_true(record_host_rebooted(record));
    need(record_end(record, &err));
    record_close(record);
}

static void what_cannot_be_restarted_is_as_it_was(void **state)
{
    (void)state;
    struct record *record = open_record();
    need(record_note(record, "file", json_string("one"), &err));
    rename_does = FAILS;
    assert_int_equal(record_restart(record, json_object(), &err), -EIO);
    assert_non_null(strstr(err.message, path_of_record()));
    assert_int_equal(access(temp_path("records/" UUID ".new"), F_OK), -1);
    err = (struct error)ERROR_INIT;
    need(record_note(record, "file", json_string("two"), &err));
    record_close(record);
    record = open_record();
    assert_string_equal(value_at(record, "file", 0), "one");
    assert_string_equal(value_at(record, "file", 1), "two");
    need(record_end(record, &err));
    record_close(record);
}

static void restart_and_die(void)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct record *record = open_record();
        (void)record_restart(record, json_pack("{s:[s]}", "merging", "again"), &err);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void who_dies_in_it_leaves_the_old_one_or_the_new_one(void **state)
{
    (void)state;
    struct record *record = open_record();
    need(record_note(record, "file", json_string("one"), &err));
    record_close(record);
    for (int i = 0; i < 2; i++) { /* also on top of what the first has left */
        rename_does = DIES_BEFORE;
        restart_and_die();
        record = open_record();
        assert_string_equal(value_at(record, "file", 0), "one");
        assert_null(record_all(record, "merging"));
        record_close(record);
    }
    rename_does = DIES_BEHIND;
    restart_and_die();
    record = open_record();
    assert_null(record_all(record, "file"));
    assert_string_equal(value_at(record, "merging", 0), "again");
    record_close(record);
    rename_does = DIES_BEFORE;
    restart_and_die();
    record = open_record();
    need(record_end(record, &err));
    record_close(record);
    assert_int_equal(rmdir(temp_path("records")), 0); /* nothing is left in it */
}

static void a_domain_is_found_by_what_is_written_down(void **state)
{
    (void)state;
    char uuid[ID_UUID_SIZE], (*uuids)[ID_UUID_SIZE] = NULL;
    size_t count = 0;
    struct record *record = open_record();
    assert_int_equal(record_list_uuids(temp_path("nowhere"), &uuids, &count, &err), 0);
    assert_int_equal(count, 0);
    assert_int_equal(record_list_find(temp_folder, "web", uuid, &err), -ENOENT);
    err = (struct error)ERROR_INIT;
    assert_int_equal(record_note(record, "domain", json_pack("{s:s}", "name", "web"), &err), 0);
    assert_int_equal(record_list_find(temp_folder, "web", uuid, &err), 0);
    assert_string_equal(uuid, UUID);
    assert_int_equal(
        record_list_find(temp_folder, "2E0AF6CC-8DAB-4D5D-B039-8BB41CEC430E", uuid, &err), 0);
    assert_string_equal(uuid, UUID);
    assert_int_equal(record_list_find(temp_folder, "we", uuid, &err), -ENOENT);
    err = (struct error)ERROR_INIT;
    assert_int_equal(record_list_uuids(temp_folder, &uuids, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_string_equal(uuids[0], UUID);
    free(uuids);
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
}

static void of_one_libvirt(void **state)
{
    (void)state;
    static const char uri[] = "qemu:///session";
    struct record *record = open_record();
    assert_null(record_list_libvirt(temp_folder, UUID));
    assert_int_equal(record_set_libvirt(record, uri, &err), 0);
    assert_int_equal(access(path_of_record(), F_OK), -1);
    assert_int_equal(record_note(record, "file", json_string("one"), &err), 0);
    assert_int_equal(record_restart(record, json_object(), &err), 0);
    for (int i = 0; i < 2; i++) { /* also who reads it again */
        assert_string_equal(record_libvirt(record), uri);
        assert_int_equal(record_set_libvirt(record, uri, &err), 0);
        assert_int_equal(record_set_libvirt(record, "qemu:///system", &err), -EINVAL);
        assert_non_null(strstr(err.message, "is of --connect qemu:///session: give that"));
        err = (struct error)ERROR_INIT;
        record_close(record);
        record = open_record();
    }
    char *of_record = record_list_libvirt(temp_folder, UUID);
    assert_string_equal(of_record, uri);
    free(of_record);
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
}

/* By an older version. */
static void of_no_libvirt_that_is_known(void **state)
{
    (void)state;
    struct record *record = open_record();
    assert_int_equal(record_note(record, "file", json_string("one"), &err), 0);
    record_close(record);
    record = open_record();
    assert_null(record_libvirt(record));
    assert_int_equal(record_set_libvirt(record, "qemu:///system", &err), 0);
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
}

static void a_host_that_was_started_anew(void **state)
{
    (void)state;
    struct record *record = open_record();
    assert_int_equal(record_note(record, "file", json_string("one"), &err), 0);
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
    int fd = open(path_of_record(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    append("{\"boot\":\"another\"}\n{\"file\":\"one\"}\n");
    record = open_record();
    assert_true(record_host_rebooted(record));
    assert_int_equal(record_end(record, &err), 0);
    assert_false(record_host_rebooted(record));
    record_close(record);
}

/* What is in it is obeyed: what nobody can read is not guessed at, and others may not write it. */
static void a_record_that_cannot_be_trusted(void **state)
{
    (void)state;
    struct record *record = open_record();
    assert_int_equal(record_note(record, "file", json_string("one"), &err), 0);
    record_close(record);
    append("no json\n{\"complete\":true}\n");
    assert_int_equal(record_open(temp_folder, UUID, &record, &err), -EBADMSG);
    assert_non_null(strstr(err.message, path_of_record()));
    assert_int_equal(unlink(path_of_record()), 0);
    err = (struct error)ERROR_INIT;
    record = open_record();
    assert_int_equal(record_note(record, "file", json_string("one"), &err), 0);
    record_close(record);
    assert_int_equal(truncate(path_of_record(), 17 << 20), 0);
    assert_int_equal(record_open(temp_folder, UUID, &record, &err), -EFBIG);
    assert_non_null(strstr(err.message, path_of_record()));
    err = (struct error)ERROR_INIT;
    assert_int_equal(chmod(path_of_record(), 0666), 0);
    assert_int_equal(record_open(temp_folder, UUID, &record, &err), -EPERM);
    assert_int_equal(unlink(path_of_record()), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(notes_outlive_the_process),
        TEST(half_a_line_is_none),
        TEST(what_is_noted_behind_half_a_line_is_read),
        TEST(a_note_that_is_cut_short_is_none),
        TEST(what_is_settled_counts_no_more),
        TEST(a_record_that_is_tried_for_years_does_not_grow),
        TEST(it_is_still_of_the_boot_it_was_begun_in),
        TEST(what_cannot_be_restarted_is_as_it_was),
        TEST(who_dies_in_it_leaves_the_old_one_or_the_new_one),
        TEST(a_domain_is_found_by_what_is_written_down),
        TEST(of_one_libvirt),
        TEST(of_no_libvirt_that_is_known),
        TEST(a_host_that_was_started_anew),
        TEST(a_record_that_cannot_be_trusted),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
