/* SPDX-License-Identifier: Apache-2.0 */
/* domain/revert_internal.c, revert_internal_settle.c: what is now is kept before libvirt goes to an
 * internal checkpoint, and where the domain is when it fails; libvirt's test driver. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utime.h>

#include <cmocka.h>

#include "domain/leftover.h"
#include "domain/pending_call.h"
#include "domain/revert.h"
#include "driver/block/block_job.h"
#include "driver/image/qemu_img.h"
#include "tests/unit/domain/libvirt_session.h"

#define HOST_DEVICE                                                                                \
    "<hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x04' "            \
    "slot='0x00' function='0x1'/></source></hostdev>"

static virConnectPtr conn; /* keeps what the test driver has */
static char disk[PATH_MAX];
static int failing_calls;   /* of virDomainRevertToSnapshot, from the first */
static bool guest_has_gone; /* with the call that fails */
static int state_when_kept;
static struct revert_report report;

int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info);
int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info)
{
    (void)domain;
    *info = (virDomainJobInfo){.type = VIR_DOMAIN_JOB_NONE};
    return 0;
}

int __wrap_block_job_check_idle(virDomainPtr domain, const char *uuid, const char *target,
                                struct error *error);
int __wrap_block_job_check_idle(virDomainPtr domain, const char *uuid, const char *target,
                                struct error *error)
{
    (void)domain, (void)uuid, (void)target, (void)error;
    return 0;
}

int __wrap_qemu_img_count_snapshots(const char *path, const char *name, size_t *ret_count,
                                    struct error *error);
int __wrap_qemu_img_count_snapshots(const char *path, const char *name, size_t *ret_count,
                                    struct error *error)
{
    (void)path, (void)name, (void)error;
    *ret_count = 1;
    return 0;
}

static int state_of_guest(void)
{
    int guest = VIR_DOMAIN_NOSTATE;
    assert_int_equal(virDomainGetState(session->domain, &guest, NULL, 0), 0);
    return guest;
}

virDomainSnapshotPtr __real_virDomainSnapshotCreateXML(virDomainPtr domain, const char *xml,
                                                       unsigned flags);
virDomainSnapshotPtr __wrap_virDomainSnapshotCreateXML(virDomainPtr domain, const char *xml,
                                                       unsigned flags);
virDomainSnapshotPtr __wrap_virDomainSnapshotCreateXML(virDomainPtr domain, const char *xml,
                                                       unsigned flags)
{
    state_when_kept = state_of_guest();
    return __real_virDomainSnapshotCreateXML(domain, xml, flags);
}

int __real_virDomainRevertToSnapshot(virDomainSnapshotPtr snapshot, unsigned flags);
int __wrap_virDomainRevertToSnapshot(virDomainSnapshotPtr snapshot, unsigned flags);
int __wrap_virDomainRevertToSnapshot(virDomainSnapshotPtr snapshot, unsigned flags)
{
    if (failing_calls == 0)
        return __real_virDomainRevertToSnapshot(snapshot, flags);
    failing_calls--;
    if (guest_has_gone)
        (void)virDomainDestroy(session->domain);
    return __real_virDomainRevertToSnapshot(NULL, flags); /* an error of some kind */
}

/* As QEMU's driver has it, with the definition of the next start, which is the same here. */
char *__real_virDomainSnapshotGetXMLDesc(virDomainSnapshotPtr snapshot, unsigned flags);
char *__wrap_virDomainSnapshotGetXMLDesc(virDomainSnapshotPtr snapshot, unsigned flags);
char *__wrap_virDomainSnapshotGetXMLDesc(virDomainSnapshotPtr snapshot, unsigned flags)
{
    static const char end[] = "</domain>";
    char *xml = __real_virDomainSnapshotGetXMLDesc(snapshot, flags), *all = NULL;
    const char *domain = strstr(xml, "<domain "), *behind = strstr(xml, end) + sizeof(end) - 1;
    assert_true(domain && behind > domain);
    int length = (int)(behind - domain) - (int)sizeof(end) + 1;
    assert_true(asprintf(&all, "%.*s<inactiveDomain%.*s</inactiveDomain>%s", (int)(behind - xml),
                         xml, length - 7, domain + 7, behind) > 0);
    free(xml);
    return all;
}

static void make_then(void)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(
        session->domain, "<domainsnapshot><name>then</name></domainsnapshot>", 0);
    assert_non_null(snapshot);
    (void)virDomainSnapshotFree(snapshot);
}

/* A guest with a disk that runs, and was at "then" before. */
static int begin_with(const char *device)
{
    char xml[PATH_MAX + 1024];
    const struct qemu_img_overlay made = {.path = disk, .size_bytes = 1 << 20};
    (void)snprintf(disk, sizeof(disk), "%s/disk", temp_folder);
    (void)snprintf(xml, sizeof(xml),
                   "<domain type='test'><name>own</name><memory>65536</memory><os><type>hvm</type>"
                   "</os><devices><disk type='file' device='disk'><driver type='qcow2'/><source "
                   "file='%s'/><target dev='vda'/></disk>%s</devices></domain>",
                   disk, device);
    failing_calls = 0;
    guest_has_gone = false;
    state_when_kept = VIR_DOMAIN_NOSTATE;
    report = (struct revert_report){0};
    need(qemu_img_create_overlay(&made, &err));
    conn = virConnectOpen(TEST_DRIVER);
    assert_non_null(conn);
    virDomainPtr domain = virDomainDefineXML(conn, xml);
    assert_non_null(domain);
    assert_int_equal(virDomainCreate(domain), 0);
    (void)virDomainFree(domain);
    need(open_session(TEST_DRIVER, "own", false));
    make_then();
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return begin_with("");
}

static int set_up_with_host_device(void **state)
{
    (void)state;
    return begin_with(HOST_DEVICE);
}

static int tear_down(void **state)
{
    virDomainPtr domain = virDomainLookupByName(conn, "own");
    (void)virDomainDestroy(domain);
    (void)virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA);
    (void)virDomainFree(domain);
    int r = end_session(state);
    (void)virConnectClose(conn);
    return r;
}

static int go_back(bool discard)
{
    const struct revert_request request = {.name = "then", .discard = discard};
    err = (struct error)ERROR_INIT;
    return revert_run(session, &request, &report, &err);
}

static void assert_current(const char *name)
{
    virDomainSnapshotPtr current = virDomainSnapshotCurrent(session->domain, 0);
    assert_string_equal(virDomainSnapshotGetName(current), name);
    (void)virDomainSnapshotFree(current);
}

static void assert_is_kept(const char *name)
{
    virDomainSnapshotPtr left = virDomainSnapshotLookupByName(session->domain, name, 0);
    assert_non_null(left);
    virDomainSnapshotPtr parent = virDomainSnapshotGetParent(left, 0);
    assert_string_equal(virDomainSnapshotGetName(parent), "then");
    (void)virDomainSnapshotFree(parent);
    (void)virDomainSnapshotFree(left);
}

static void assert_nothing_is_kept(void)
{
    assert_int_equal(virDomainSnapshotNum(session->domain, 0), 1);
    assert_true(record_is_empty(session->record));
}

static void what_is_now_is_kept_of_a_guest_that_stands_still(void **state)
{
    (void)state;
    need(go_back(false));
    assert_string_equal(report.state, "running");
    assert_true(strncmp(report.left, "left-", 5) == 0);
    assert_is_kept(report.left);
    assert_int_equal(state_when_kept, VIR_DOMAIN_PAUSED);
    assert_current("then");
    assert_int_equal(state_of_guest(), VIR_DOMAIN_RUNNING);
    assert_true(record_is_empty(session->record));
}

static void it_is_not_where_it_is_to_be_discarded(void **state)
{
    json_t *done = NULL;
    (void)state;
    need(go_back(true));
    assert_string_equal(report.left, "");
    need(revert_discard(session, &report, &done, &err));
    assert_int_equal(json_array_size(done), 0);
    json_decref(done);
    assert_nothing_is_kept();
    assert_int_equal(state_of_guest(), VIR_DOMAIN_RUNNING);
}

static void what_cannot_be_kept_is_refused_before(void **state)
{
    (void)state;
    assert_int_equal(go_back(false), -EINVAL);
    assert_non_null(strstr(err.message, "what is now cannot be kept"));
    assert_non_null(strstr(err.message, "--discard goes back without"));
    assert_int_equal(state_of_guest(), VIR_DOMAIN_RUNNING);
    assert_nothing_is_kept();
    need(go_back(true));
}

/* libvirt has ended the guest, and cannot start that of then. */
static void where_libvirt_fails_it_comes_back(void **state)
{
    (void)state;
    failing_calls = 1;
    guest_has_gone = true;
    assert_true(go_back(false) < 0);
    assert_non_null(strstr(err.message, "where it was again"));
    assert_current(report.left);
    assert_is_kept(report.left);
    assert_int_equal(state_of_guest(), VIR_DOMAIN_RUNNING);
    assert_true(record_is_empty(session->record));
}

static void where_it_cannot_both_ways_are_told_and_open(void **state)
{
    (void)state;
    failing_calls = 2;
    guest_has_gone = true;
    assert_true(go_back(false) < 0);
    assert_non_null(strstr(err.message, "nor back to where it was"));
    assert_int_equal(leftover_undo(session, &err), -EBUSY);
    const struct revert_request again = {.name = report.left, .force = true, .running = true};
    struct revert_report second;
    err = (struct error)ERROR_INIT;
    need(revert_run(session, &again, &second, &err));
    assert_string_equal(second.left, "");
    assert_current(report.left);
    assert_true(record_is_empty(session->record));
}

/* As of a command that has died, of a domain at rest: what a way to "then" was noted behind. */
static void note_way(const char *current)
{
    assert_int_equal(virDomainDestroy(session->domain), 0);
    json_t *layer = json_pack("{s:s}", "path", disk);
    struct stat st;
    assert_int_equal(stat(disk, &st), 0);
    (void)json_object_update_new(
        layer, json_pack("{s:I, s:I, s:I, s:I}", "dev", (json_int_t)st.st_dev, "ino",
                         (json_int_t)st.st_ino, "size_bytes", (json_int_t)st.st_size, "mtime_ns",
                         (json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec));
    need(record_note(session->record, "layers", json_pack("[o]", layer), &err));
    need(record_note(session->record, "internal",
                     json_pack("{s:s, s:{s:i}, s:i, s:s}", "name", "then", "run", "id", -1, "asked",
                               0, "current", current),
                     &err));
    need(record_note(session->record, "begun", json_integer(0), &err));
    need(pending_call_answered(session, &err));
}

static void that_it_is_there_is_told_by_the_current_one(void **state)
{
    (void)state;
    note_way("left");
    need(leftover_undo(session, &err));
    assert_string_equal(session->outcome, "the domain is at the checkpoint");
}

/* The connection was lost by then. */
static void a_way_that_was_not_asked_for_tells_nothing(void **state)
{
    (void)state;
    note_way("then");
    need(record_note(session->record, "internal",
                     json_pack("{s:s, s:{s:i}, s:i, s:s}", "name", "then", "run", "id", -1, "asked",
                               1, "current", "left"),
                     &err));
    assert_int_equal(leftover_undo(session, &err), -EBUSY);
    assert_null(session->outcome);
}

static void that_nothing_was_done_by_the_files(void **state)
{
    (void)state;
    note_way("then");
    need(leftover_undo(session, &err));
    assert_null(session->outcome);
}

static void files_that_were_written_to_tell_nothing(void **state)
{
    (void)state;
    note_way("then");
    assert_int_equal(utime(disk, &(const struct utimbuf){1, 1}), 0);
    assert_int_equal(leftover_undo(session, &err), -EBUSY);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_now_is_kept_of_a_guest_that_stands_still),
        TEST(it_is_not_where_it_is_to_be_discarded),
        cmocka_unit_test_setup_teardown(what_cannot_be_kept_is_refused_before,
                                        set_up_with_host_device, tear_down),
        TEST(where_libvirt_fails_it_comes_back),
        TEST(where_it_cannot_both_ways_are_told_and_open),
        TEST(that_it_is_there_is_told_by_the_current_one),
        TEST(a_way_that_was_not_asked_for_tells_nothing),
        TEST(that_nothing_was_done_by_the_files),
        TEST(files_that_were_written_to_tell_nothing),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
