/* SPDX-License-Identifier: Apache-2.0 */
/* domain/image_file.c, image_file_verify.c, leftover.c: a file is whole and verified, or gone. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "domain/image_file.h"
#include "domain/leftover.h"
#include "driver/snapshot/recover.h"
#include "tests/unit/domain/session_of_test.h"
#include "tests/unit/memory_source.h"

#define LENGTH ((size_t)3 << 20)

static struct error err;
static struct session session;
static int recovery_fails; /* errno */
static unsigned recoveries, removed_checkpoints;
static bool guest_rests; /* so that no checkpoint can be removed */

int __wrap_libvirt_recover(struct libvirt_driver *driver, const struct driver_recovery *wanted,
                           struct image_source **ret_image, struct error *error);
int __wrap_libvirt_recover(struct libvirt_driver *driver, const struct driver_recovery *wanted,
                           struct image_source **ret_image, struct error *error)
{
    (void)driver;
    assert_string_equal(wanted->uuid, UUID);
    recoveries++;
    *ret_image = NULL;
    return recovery_fails ? error_set(error, recovery_fails, EXC_INTERNAL_ERROR, "libvirtd is away")
                          : 0;
}

int __wrap_bitmap_checkpoint_remove(const struct session *of, const char *name, const char *id,
                                    struct error *error);
int __wrap_bitmap_checkpoint_remove(const struct session *of, const char *name, const char *id,
                                    struct error *error)
{
    (void)of;
    assert_string_equal(name, "monday");
    assert_string_equal(id, "42");
    if (guest_rests)
        return error_set(error, EAGAIN, EXC_INTERNAL_ERROR, "it does not run");
    removed_checkpoints++;
    return 0;
}

static const char *refused_folder; /* as by a server that takes nothing from root */

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
    if (!refused_folder || (mode & W_OK) == 0 || strcmp(path, refused_folder) != 0)
        return __real_access(path, mode);
    errno = EACCES;
    return -1;
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    recovery_fails = 0;
    guest_rests = false;
    refused_folder = NULL;
    recoveries = removed_checkpoints = 0;
    session_of_test_begin(&session);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    session_of_test_end(&session);
    return 0;
}

static void name_raw(struct image_file *file)
{
    assert_int_equal(image_file_name(temp_path("image"), file, &err), 0);
    (void)snprintf(file->target, sizeof(file->target), "vda");
    file->format = "raw";
    file->virtual_size_bytes = LENGTH;
}

static void write_raw(struct image_file *file, struct memory_source *source)
{
    memory_source_init(source, LENGTH);
    memset(source->bytes + (1 << 20), 0, 1 << 20); /* which a file need not have */
    name_raw(file);
    if (image_file_write(file, &session, &source->base, NULL, &err) < 0)
        fail_msg("%s", err.message);
}

static void assert_content(const char *path, const struct memory_source *source)
{
    static unsigned char found[LENGTH + 1];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fread(found, 1, sizeof(found), file), LENGTH);
    (void)fclose(file);
    assert_memory_equal(found, source->bytes, LENGTH);
}

static void it_has_its_name_when_it_is_complete(void **state)
{
    (void)state;
    struct image_file file;
    struct memory_source source;
    struct stat st;
    write_raw(&file, &source);
    assert_int_equal(access(file.path, F_OK), -1);
    assert_content(file.partial, &source);
    assert_int_equal(stat(file.partial, &st), 0);
    assert_true((uint64_t)st.st_blocks * 512 <= LENGTH - (1 << 20) + 65536);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(image_file_verify(&file, NULL, &err), 0);
    assert_false(file.is_checked); /* raw has no check */
    assert_int_equal(strlen(file.sha256), 64);
    assert_int_equal(record_note(session.record, "checkpoint",
                                 json_pack("{s:s, s:s}", "name", "monday", "id", "42"), &err),
                     0);
    assert_int_equal(record_note(session.record, "complete", json_true(), &err), 0);
    assert_int_equal(leftover_undo(&session, &err), 0);
    assert_int_equal(access(file.partial, F_OK), -1);
    assert_content(file.path, &source);
    assert_int_equal(recoveries, 1);
    assert_int_equal(removed_checkpoints, 0);
    assert_true(record_is_empty(session.record));
    struct image_file second;
    assert_int_equal(image_file_name(file.path, &second, &err), -EEXIST);
    memory_source_done(&source);
    assert_int_equal(unlink(file.path), 0);
}

static void a_file_that_came_in_between_stays(void **state)
{
    (void)state;
    struct image_file file;
    struct memory_source source;
    write_raw(&file, &source);
    assert_int_equal(record_note(session.record, "complete", json_true(), &err), 0);
    FILE *other = fopen(file.path, "we");
    assert_non_null(other);
    assert_int_equal(fclose(other), 0);
    assert_int_equal(leftover_undo(&session, &err), -EEXIST);
    assert_non_null(strstr(err.message, file.path));
    assert_content(file.partial, &source);
    assert_int_equal(unlink(file.path), 0); /* as its owner is told to */
    err = (struct error)ERROR_INIT;
    assert_int_equal(leftover_undo(&session, &err), 0);
    assert_content(file.path, &source);
    assert_int_equal(unlink(file.path), 0);
    memory_source_done(&source);
}

static void it_is_gone_when_it_is_not(void **state)
{
    (void)state;
    struct image_file file;
    struct memory_source source;
    write_raw(&file, &source);
    assert_int_equal(record_note(session.record, "checkpoint",
                                 json_pack("{s:s, s:s}", "name", "monday", "id", "42"), &err),
                     0);
    recovery_fails = EIO; /* the files go all the same, and what is written down stays */
    assert_int_equal(leftover_undo(&session, &err), -EIO);
    assert_non_null(strstr(err.message, "libvirtd is away"));
    assert_int_equal(access(file.partial, F_OK), -1);
    assert_false(record_is_empty(session.record));
    recovery_fails = 0;
    err = (struct error)ERROR_INIT;
    assert_int_equal(leftover_undo(&session, &err), 0);
    assert_int_equal(access(file.path, F_OK), -1);
    assert_true(removed_checkpoints > 0);
    assert_true(record_is_empty(session.record));
    recoveries = 0;
    assert_int_equal(leftover_undo(&session, &err), 0);
    assert_int_equal(recoveries, 0); /* there is nothing to do */
    memory_source_done(&source);
}

static void note_checkpoint(void)
{
    assert_int_equal(record_note(session.record, "checkpoint",
                                 json_pack("{s:s, s:s}", "name", "monday", "id", "42"), &err),
                     0);
}

/* It is in nobody's way: all else is settled, and the next images are made. */
static void a_checkpoint_of_a_guest_that_rests_is_kept_in_mind(void **state)
{
    (void)state;
    struct image_file file;
    struct memory_source source;
    write_raw(&file, &source);
    note_checkpoint();
    guest_rests = true;
    assert_int_equal(leftover_undo(&session, &err), 0);
    assert_int_equal(access(file.partial, F_OK), -1);
    assert_false(record_is_empty(session.record));
    memory_source_done(&source);
    write_raw(&file, &source);
    assert_int_equal(record_note(session.record, "complete", json_true(), &err), 0);
    assert_int_equal(leftover_undo(&session, &err), 0);
    assert_content(file.path, &source);
    assert_false(record_is_empty(session.record));
    session_of_test_end(&session); /* another process */
    session_of_test_begin(&session);
    guest_rests = false;
    assert_int_equal(leftover_undo(&session, &err), 0);
    assert_int_equal(removed_checkpoints, 1);
    assert_content(file.path, &source);
    assert_true(record_is_empty(session.record));
    memory_source_done(&source);
    assert_int_equal(unlink(file.path), 0);
}

static void note_folder(const char *path)
{
    assert_int_equal(record_note(session.record, "folder", json_pack("{s:s}", "path", path), &err),
                     0);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void a_folder_that_was_made_goes_with_its_images(void **state)
{
    (void)state;
    struct image_file file;
    struct memory_source source;
    const char *folder = temp_path("set"), *path = temp_path("set/vda");
    note_folder(folder);
    memory_source_init(&source, LENGTH);
    assert_int_equal(image_file_name(path, &file, &err), 0);
    assert_int_equal(image_file_write(&file, &session, &source.base, NULL, &err), 0);
    guest_rests = true; /* so that there is something to do after it */
    note_checkpoint();
    assert_int_equal(leftover_undo(&session, &err), 0);
    assert_int_equal(access(folder, F_OK), -1);
    guest_rests = false;
    assert_int_equal(leftover_undo(&session, &err), 0);
    note_folder(folder);
    FILE *other = fopen(path, "we"); /* somebody else's */
    assert_non_null(other);
    assert_int_equal(fclose(other), 0);
    assert_int_equal(leftover_undo(&session, &err), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    memory_source_done(&source);
}

static void storage_that_lies_is_found_out(void **state)
{
    (void)state;
    struct image_file file;
    struct memory_source source;
    write_raw(&file, &source);
    int fd = open(file.partial, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "?", 1, 4242), 1);
    (void)close(fd);
    assert_int_equal(image_file_verify(&file, NULL, &err), -EIO);
    assert_non_null(strstr(err.message, "SHA-256"));
    memory_source_done(&source);
    err = (struct error)ERROR_INIT;
    assert_int_equal(leftover_undo(&session, &err), 0);
}

static void an_image_of_another_size_is_none(void **state)
{
    (void)state;
    struct image_file file;
    struct memory_source source;
    write_raw(&file, &source);
    file.virtual_size_bytes = 2 * LENGTH;
    assert_int_equal(image_file_verify(&file, NULL, &err), -EINVAL);
    assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
    memory_source_done(&source);
    err = (struct error)ERROR_INIT;
    assert_int_equal(leftover_undo(&session, &err), 0);
}

static void a_source_that_fails_or_ends_early(void **state)
{
    (void)state;
    struct image_file file;
    struct memory_source source;
    memory_source_init(&source, LENGTH);
    source.fail_at = LENGTH / 2;
    name_raw(&file);
    assert_true(image_file_write(&file, &session, &source.base, NULL, &err) < 0);
    memory_source_done(&source);
    err = (struct error)ERROR_INIT;
    assert_int_equal(leftover_undo(&session, &err), 0);
    memory_source_init(&source, LENGTH);
    source.base.size_bytes = LENGTH + 1;
    name_raw(&file);
    assert_int_equal(image_file_write(&file, &session, &source.base, NULL, &err), -EIO);
    memory_source_done(&source);
    err = (struct error)ERROR_INIT;
    assert_int_equal(leftover_undo(&session, &err), 0);
    assert_int_equal(access(file.partial, F_OK), -1);
}

static void names_that_cannot_be_used(void **state)
{
    (void)state;
    struct image_file file;
    assert_int_equal(image_file_name(temp_path("no/image"), &file, &err), -ENOENT);
    err = (struct error)ERROR_INIT;
    assert_int_equal(image_file_name(temp_path("records/"), &file, &err), -EISDIR);
    err = (struct error)ERROR_INIT;
    assert_int_equal(image_file_name(temp_path("image-\xff"), &file, &err), -EINVAL);
    assert_non_null(strstr(err.message, "not UTF-8"));
    err = (struct error)ERROR_INIT;
    assert_int_equal(image_file_name(NULL, &file, &err), 0);
    assert_string_equal(file.path, "");
    assert_int_equal(image_file_verify(&file, NULL, &err), 0);
}

/* Also while it is not whole it has a name. */
static void names_that_are_too_long(void **state)
{
    (void)state;
    struct image_file file = {.path = "as it was"};
    const size_t around = strlen(".") + strlen(".01234567.partial");
    assert_int_equal(image_file_name(temp_path_of_length(NAME_MAX - around + 1), &file, &err),
                     -ENAMETOOLONG);
    assert_non_null(strstr(err.message, temp_path_of_length(NAME_MAX - around + 1)));
    assert_non_null(strstr(err.message, "too long"));
    assert_string_equal(file.path, "as it was");
    err = (struct error)ERROR_INIT;
    assert_int_equal(image_file_name(temp_path_of_length(NAME_MAX - around), &file, &err), 0);
}

static void one_that_another_makes_may_be_longer(void **state)
{
    (void)state;
    struct image_file file;
    assert_int_equal(image_file_name_whole(temp_path_of_length(NAME_MAX + 1), &file, &err),
                     -ENAMETOOLONG);
    assert_non_null(strstr(err.message, "too long"));
    err = (struct error)ERROR_INIT;
    refused_folder = temp_folder;
    assert_int_equal(image_file_name_whole(temp_path_of_length(NAME_MAX), &file, &err), 0);
    assert_string_equal(file.path, temp_path_of_length(NAME_MAX));
}

static void a_folder_that_takes_no_file(void **state)
{
    (void)state;
    struct image_file file;
    refused_folder = temp_folder;
    assert_int_equal(image_file_name(temp_path("image"), &file, &err), -EACCES);
    assert_non_null(strstr(err.message, temp_path("image")));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_has_its_name_when_it_is_complete),
        TEST(a_file_that_came_in_between_stays),
        TEST(it_is_gone_when_it_is_not),
        TEST(storage_that_lies_is_found_out),
        TEST(an_image_of_another_size_is_none),
        TEST(a_source_that_fails_or_ends_early),
        TEST(names_that_cannot_be_used),
        TEST(names_that_are_too_long),
        TEST(one_that_another_makes_may_be_longer),
        TEST(a_folder_that_takes_no_file),
        TEST(a_checkpoint_of_a_guest_that_rests_is_kept_in_mind),
        TEST(a_folder_that_was_made_goes_with_its_images),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
