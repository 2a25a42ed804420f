/* SPDX-License-Identifier: Apache-2.0 */
/* domain/checkpoint_take.c: what libvirt has made is on disk before anybody relies on it; libvirt's
 * test driver, and files that it has not made. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "domain/checkpoint_settle.h"
#include "domain/checkpoint_take.h"
#include "domain/snapshot_call.h"
#include "domain/standstill.h"
#include "tests/unit/domain/libvirt_session.h"

static char memory[PATH_MAX], overlay[PATH_MAX];
static const char *fails; /* to be synced */
static bool has_memory_synced, has_overlay_synced, has_folder_synced;

static void write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "content", 7), 7);
    assert_int_equal(close(fd), 0);
}

int __wrap_snapshot_call(virDomainPtr domain, const char *xml, unsigned flags,
                         unsigned stall_timeout_s, struct error *error);
int __wrap_snapshot_call(virDomainPtr domain, const char *xml, unsigned flags,
                         unsigned stall_timeout_s, struct error *error)
{
    (void)xml, (void)flags, (void)stall_timeout_s, (void)error;
    virDomainSnapshotPtr snapshot =
        virDomainSnapshotCreateXML(domain, "<domainsnapshot><name>now</name></domainsnapshot>", 0);
    assert_non_null(snapshot);
    (void)virDomainSnapshotFree(snapshot);
    write_file(memory);
    write_file(overlay);
    return 0;
}

int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info);
int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info)
{
    (void)domain;
    *info = (virDomainJobInfo){.type = VIR_DOMAIN_JOB_NONE};
    return 0;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    char link[64], path[PATH_MAX] = "";
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    assert_true(readlink(link, path, sizeof(path) - 1) > 0);
    if (fails && strcmp(path, fails) == 0) {
        errno = EIO;
        return -1;
    }
    bool is_before = !record_all(session->record, "made");
    has_memory_synced |= is_before && strcmp(path, memory) == 0;
    has_overlay_synced |= is_before && strcmp(path, overlay) == 0;
    has_folder_synced |= is_before && strcmp(path, temp_path("files")) == 0;
    return __real_fsync(fd);
}

static int set_up(void **state)
{
    (void)state;
    fails = NULL;
    has_memory_synced = has_overlay_synced = has_folder_synced = false;
    (void)mkdir(temp_path("files"), 0700);
    (void)snprintf(memory, sizeof(memory), "%s/files/memory", temp_folder);
    (void)snprintf(overlay, sizeof(overlay), "%s/files/overlay", temp_folder);
    (void)unlink(memory);
    (void)unlink(overlay);
    begin_session();
    return 0;
}

static uint64_t stood_still_ms;

static int make(void)
{
    const struct checkpoint_request request = {.name = "now"};
    struct checkpoint_disk disk = {.target = "vda", .format = "qcow2", .base = "/nowhere/base"};
    struct checkpoint_report report = {
        .plan = {.name = "now", .runs = true, .is_running = true, .has_memory = true}};
    (void)snprintf(disk.overlay, sizeof(disk.overlay), "%s", overlay);
    (void)snprintf(report.plan.memory_file, sizeof(report.plan.memory_file), "%s", memory);
    report.plan.disks = &disk;
    report.plan.disk_count = 1;
    int r = checkpoint_take_make(session, &request, &report, &err);
    stood_still_ms = report.stood_still_ms;
    return r;
}

static void it_is_on_disk_before_it_is_noted(void **state)
{
    (void)state;
    need(make());
    assert_true(has_memory_synced && has_overlay_synced && has_folder_synced);
    assert_non_null(record_all(session->record, "made"));
}

/* It did, for its memory: libvirt's events are late. */
static void how_long_it_stood_still_may_not_be_known(void **state)
{
    (void)state;
    need(make());
    assert_true(stood_still_ms == STANDSTILL_UNKNOWN);
}

/* Who would end the guest for it does not. */
static void what_is_not_is_an_error_and_stays(void **state)
{
    (void)state;
    const char *const files[] = {memory, overlay, temp_path("files")};
    for (size_t i = 0; i < 3; i++) {
        err = (struct error)ERROR_INIT;
        fails = files[i];
        assert_int_equal(make(), -EIO);
        assert_null(record_all(session->record, "made"));
        need(checkpoint_settle(session, &err));
        assert_int_equal(access(memory, F_OK), 0);
        assert_int_equal(access(overlay, F_OK), 0);
        assert_int_equal(record_end(session->record, &err), 0);
        assert_int_equal(unlink(memory), 0);
        virDomainSnapshotPtr made = virDomainSnapshotLookupByName(session->domain, "now", 0);
        assert_int_equal(virDomainSnapshotDelete(made, 0), 0);
        (void)virDomainSnapshotFree(made);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, end_session)
    const struct CMUnitTest tests[] = {
        TEST(it_is_on_disk_before_it_is_noted),
        TEST(how_long_it_stood_still_may_not_be_known),
        TEST(what_is_not_is_an_error_and_stays),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
