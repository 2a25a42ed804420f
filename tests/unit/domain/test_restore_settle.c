/* SPDX-License-Identifier: Apache-2.0 */
/* domain/restore_settle.c: a guest that was not started can be restored again; libvirt's test
 * driver. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "domain/disk_fingerprint.h"
#include "domain/restore_settle.h"
#include "domain/save_record.h"
#include "tests/unit/driver/temp_folder.h"

static struct error err;
static struct session *session;
static const char *disk, *record;

static void write_disk(void)
{
    int fd = open(disk, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, "disk", 4) != 4 || close(fd) < 0)
        fail_msg("cannot write %s", disk);
}

static void must(int r)
{
    if (r < 0)
        fail_msg("%s", err.message);
}

/* The record of a guest that was saved on one disk. */
static void save(void)
{
    json_t *taken = NULL;
    json_t *layers = json_pack("[{s:s, s:s, s:b, s:b}]", "disk", "vda", "path", disk, "is_top", 1,
                               "is_device", 0);
    must(disk_fingerprint_take(layers, false, NULL, &taken, &err));
    json_t *content = json_pack("{s:o}", "layers", taken);
    must(save_record_write(record, content, &err));
    json_decref(content);
    json_decref(layers);
}

static int set_up(void **state)
{
    (void)state;
    const struct session_options options = {
        .uri = "test:///default", .state_dir = temp_folder, .lock_folder = temp_path("locks")};
    err = (struct error)ERROR_INIT;
    disk = temp_path("disk");
    record = temp_path("memory.disks");
    write_disk();
    save();
    session = NULL;
    if (session_open(&options, "test", &session, &err) < 0)
        return -1;
    return virDomainDestroy(session->domain);
}

static int tear_down(void **state)
{
    (void)state;
    (void)record_end(session->record, &err);
    if (virDomainIsActive(session->domain) == 0)
        (void)virDomainCreate(session->domain);
    session_close(session);
    return 0;
}

static void note_restore(bool is_checked)
{
    must(record_note(
        session->record, "restore",
        json_pack("{s:b, s:s, s:b}", "is_managed", 0, "disks", record, "is_checked", is_checked),
        &err));
}

static int compare(void)
{
    json_t *content = NULL;
    must(save_record_read(record, &content, &err));
    int r = disk_fingerprint_compare(json_object_get(content, "layers"), false, NULL, &err);
    json_decref(content);
    return r;
}

static void one_that_was_not_started(void **state)
{
    (void)state;
    note_restore(true);
    assert_int_equal(chmod(disk, 0640), 0); /* libvirt gives it to QEMU */
    restore_settle_refused(session);
    must(restore_settle(session, &err));
    must(compare());
}

static void a_disk_that_was_changed_later(void **state)
{
    (void)state;
    note_restore(true);
    must(record_note(session->record, "refused", json_integer(1), &err));
    assert_int_equal(chmod(disk, 0640), 0);
    must(restore_settle(session, &err));
    assert_int_equal(compare(), -ESTALE);
}

static void a_disk_that_was_written_to(void **state)
{
    (void)state;
    note_restore(true);
    write_disk();
    restore_settle_refused(session);
    must(restore_settle(session, &err));
    assert_int_equal(compare(), -ESTALE);
}

static void one_that_was_forced_or_killed(void **state)
{
    (void)state;
    note_restore(true);
    assert_int_equal(chmod(disk, 0640), 0);
    must(restore_settle(session, &err));
    assert_int_equal(compare(), -ESTALE); /* nobody knows what libvirt came to */
    note_restore(false);
    restore_settle_refused(session);
    must(restore_settle(session, &err));
    assert_int_equal(compare(), -ESTALE);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_was_not_started),
        TEST(a_disk_that_was_changed_later),
        TEST(a_disk_that_was_written_to),
        TEST(one_that_was_forced_or_killed),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
