/* SPDX-License-Identifier: Apache-2.0 */
/* domain/saved_file.c: what a saved guest needs is not changed; libvirt's own test driver. */
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

#include "domain/checkpoint_delete.h"
#include "domain/checkpoint_take.h"
#include "domain/disk_fingerprint.h"
#include "domain/image_settle.h"
#include "domain/revert.h"
#include "domain/save_record.h"
#include "domain/saved_file.h"
#include "tests/unit/domain/libvirt_session.h"

static char memory[PATH_MAX], note[PATH_MAX], disks[PATH_MAX], disk[PATH_MAX];

static void make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

/* The guest is at rest, and was saved. */
static int set_up(void **state)
{
    (void)state;
    begin_session();
    assert_int_equal(virDomainDestroy(session->domain), 0);
    (void)snprintf(memory, sizeof(memory), "%s/memory", temp_folder);
    (void)snprintf(note, sizeof(note), "%s/saved/%s.file", temp_folder, session->uuid);
    need(save_record_beside(memory, disks, &err));
    (void)snprintf(disk, sizeof(disk), "%s/disk.img", temp_folder);
    make_file(memory);
    make_file(disk);
    return 0;
}

static int tear_down(void **state)
{
    (void)end_session(state);
    (void)unlink(memory);
    (void)unlink(note);
    (void)unlink(disks);
    (void)unlink(disk);
    return 0;
}

static void note_save(bool is_managed)
{
    need(record_note(session->record, "save",
                     json_pack("{s:b, s:o*}", "is_managed", is_managed, "memory",
                               is_managed ? NULL : json_pack("{s:s}", "path", memory)),
                     &err));
}

static void save(void)
{
    note_save(false);
    need(record_note(session->record, "saved", json_true(), &err));
    need(saved_file_settle(session, &err));
    need(record_end(session->record, &err));
}

static void need_refused(int r)
{
    assert_int_equal(r, -EBUSY);
    if (!strstr(err.message, memory) || !strstr(err.message, "--force"))
        fail_msg("%s", err.message);
    err = (struct error)ERROR_INIT;
    assert_int_equal(access(note, F_OK), 0);
}

static void need_forgotten(void)
{
    need(saved_file_check(session, false, &err));
    assert_int_equal(access(note, F_OK), -1);
}

static void one_that_was_never_saved(void **state)
{
    (void)state;
    need(saved_file_settle(session, &err));
    need_forgotten();
}

static void a_file_that_is_there(void **state)
{
    (void)state;
    save();
    need_refused(saved_file_check(session, false, &err));
    need_refused(saved_file_check(session, false, &err));
    need(saved_file_check(session, true, &err));
}

static void a_file_that_has_gone(void **state)
{
    (void)state;
    save();
    assert_int_equal(unlink(memory), 0);
    need_forgotten();
    save(); /* before it could be noted */
    assert_int_equal(access(note, F_OK), -1);
}

/* The memory is in a folder that storage is mounted on. */
static void save_to_storage(const char *storage)
{
    assert_int_equal(mkdir(storage, 0700), 0);
    (void)snprintf(memory, sizeof(memory), "%s/memory", storage);
    make_file(memory);
    save();
}

static void a_file_whose_storage_is_not_mounted(void **state)
{
    (void)state;
    const char *storage = temp_path("storage"), *elsewhere = temp_path("elsewhere");
    save_to_storage(storage);
    assert_int_equal(rename(storage, elsewhere), 0);
    need_refused(saved_file_check(session, false, &err));
    assert_int_equal(mkdir(storage, 0700), 0); /* what it is mounted on */
    need_refused(saved_file_check(session, false, &err));
    need(saved_file_check(session, true, &err));
    assert_int_equal(rmdir(storage), 0);
    assert_int_equal(rename(elsewhere, storage), 0);
    need_refused(saved_file_check(session, false, &err));
    assert_int_equal(unlink(memory), 0);
    need_forgotten();
    assert_int_equal(rmdir(storage), 0);
}

/* Its disks cannot be told from others then, but what runs has left the memory behind. */
static void a_guest_that_runs_while_it_is_not_mounted(void **state)
{
    (void)state;
    const char *storage = temp_path("storage");
    save_to_storage(storage);
    assert_int_equal(unlink(memory), 0);
    assert_int_equal(rmdir(storage), 0);
    assert_int_equal(virDomainCreate(session->domain), 0);
    need_forgotten();
}

/* Between the end of the save and its being written down. */
static void storage_that_goes_before_it_is_noted(void **state)
{
    (void)state;
    json_t *of_memory = NULL;
    const char *storage = temp_path("storage");
    save_to_storage(storage);
    need(image_settle_note(memory, memory, &of_memory, &err));
    need(record_note(session->record, "save",
                     json_pack("{s:b, s:o}", "is_managed", 0, "memory", of_memory), &err));
    need(record_note(session->record, "saved", json_true(), &err));
    assert_int_equal(unlink(memory), 0);
    assert_int_equal(rmdir(storage), 0);
    assert_int_equal(saved_file_settle(session, &err), -ENOENT);
    assert_int_equal(access(note, F_OK), 0);
    err = (struct error)ERROR_INIT;
}

/* It was written before folders were kept in mind. */
static void an_old_note_of_a_file_that_is_not_there(void **state)
{
    (void)state;
    json_t *old = json_pack("{s:s, s:i, s:i}", "path", memory, "ino", 1, "mtime_ns", 1);
    save();
    need(save_record_replace(note, old, &err));
    json_decref(old);
    assert_int_equal(unlink(memory), 0);
    need_forgotten();
}

static void another_file_of_the_name(void **state)
{
    (void)state;
    static const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    save();
    assert_int_equal(utimensat(AT_FDCWD, memory, times, 0), 0);
    need_forgotten();
    save();
    make_file(temp_path("other"));
    assert_int_equal(utimensat(AT_FDCWD, temp_path("other"), times, 0), 0);
    assert_int_equal(rename(temp_path("other"), memory), 0);
    need_forgotten();
}

static void a_guest_that_has_run_since(void **state)
{
    (void)state;
    save();
    assert_int_equal(virDomainCreate(session->domain), 0);
    need_forgotten();
}

static void save_with_disk(bool is_top, bool digest)
{
    json_t *seen = NULL;
    json_t *layers = json_pack("[{s:s, s:s, s:b, s:b}]", "disk", "vda", "path", disk, "is_top",
                               is_top, "is_device", false);
    need(disk_fingerprint_take(layers, digest, NULL, &seen, &err));
    json_t *content = json_pack("{s:o}", "layers", seen);
    need(save_record_write(disks, content, &err));
    json_decref(content);
    json_decref(layers);
    save();
}

static void touch_disk(void)
{
    assert_int_equal(utimensat(AT_FDCWD, disk, NULL, 0), 0);
}

static void write_to_disk(const char *byte)
{
    int fd = open(disk, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, byte, 1), 1);
    (void)close(fd);
}

/* Started without its memory and stopped again, behind the tool's back. */
static void a_guest_that_ran_and_stopped(void **state)
{
    (void)state;
    save_with_disk(true, false);
    need_refused(saved_file_check(session, false, &err));
    assert_int_equal(chmod(disk, 0640), 0); /* which writes nothing */
    need_refused(saved_file_check(session, false, &err));
    touch_disk();
    need_forgotten();
}

/* What a backing file's times are, others may have to do with. */
static void a_disk_that_is_not_the_guests_alone(void **state)
{
    (void)state;
    save_with_disk(false, false);
    touch_disk();
    need_refused(saved_file_check(session, false, &err));
}

static void a_disk_of_the_same_content(void **state)
{
    (void)state;
    write_to_disk("a");
    save_with_disk(true, true);
    touch_disk();
    need_refused(saved_file_check(session, false, &err));
    write_to_disk("b");
    need_forgotten();
}

static void disks_that_cannot_be_looked_at(void **state)
{
    (void)state;
    save_with_disk(true, false);
    assert_int_equal(unlink(disk), 0);
    need_refused(saved_file_check(session, false, &err));
    make_file(disks);
    assert_int_equal(truncate(disks, 0), 0);
    need_refused(saved_file_check(session, false, &err));
}

static void a_guest_that_goes_on_from_it(void **state)
{
    (void)state;
    save();
    need(record_note(session->record, "restore", json_pack("{s:b}", "is_managed", false), &err));
    need(saved_file_settle(session, &err)); /* it was not started after all */
    need_refused(saved_file_check(session, false, &err));
    assert_int_equal(virDomainCreate(session->domain), 0);
    need(saved_file_settle(session, &err));
    assert_int_equal(access(note, F_OK), -1);
}

static void what_is_no_file_is_not_noted(void **state)
{
    (void)state;
    note_save(false);
    need(saved_file_settle(session, &err)); /* it was not saved after all */
    assert_int_equal(access(note, F_OK), -1);
    need(record_end(session->record, &err));
    note_save(true);
    need(record_note(session->record, "saved", json_true(), &err));
    need(saved_file_settle(session, &err));
    assert_int_equal(access(note, F_OK), -1);
}

/* Each command, before all else that could keep it from what it does. */
static void commands_are_refused(void **state)
{
    (void)state;
    json_t *done = NULL;
    struct checkpoint_report taken;
    struct revert_report reverted;
    save();
    need_refused(checkpoint_delete(session, &(struct delete_request){.name = "a"}, &done, &err));
    json_decref(done);
    need_refused(checkpoint_delete_flatten(session, &(struct delete_request){0}, &done, &err));
    json_decref(done);
    need_refused(
        checkpoint_take(session, &(struct checkpoint_request){.disk_only = true}, &taken, &err));
    checkpoint_take_done(&taken);
    need_refused(revert_run(session, &(struct revert_request){.name = "a"}, &reverted, &err));
    assert_int_equal(checkpoint_delete(session,
                                       &(struct delete_request){.name = "a", .force = true}, &done,
                                       &err),
                     -ENOENT);
    json_decref(done);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_was_never_saved),
        TEST(a_file_that_is_there),
        TEST(a_file_that_has_gone),
        TEST(another_file_of_the_name),
        TEST(a_file_whose_storage_is_not_mounted),
        TEST(a_guest_that_runs_while_it_is_not_mounted),
        TEST(storage_that_goes_before_it_is_noted),
        TEST(an_old_note_of_a_file_that_is_not_there),
        TEST(a_guest_that_has_run_since),
        TEST(a_guest_that_goes_on_from_it),
        TEST(a_guest_that_ran_and_stopped),
        TEST(a_disk_that_is_not_the_guests_alone),
        TEST(a_disk_of_the_same_content),
        TEST(disks_that_cannot_be_looked_at),
        TEST(what_is_no_file_is_not_noted),
        TEST(commands_are_refused),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
