/* SPDX-License-Identifier: Apache-2.0 */
/* domain/restore.c: a guest goes on, or it is told that it does not; libvirt's test driver. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/log.h"
#include "domain/disk_fingerprint.h"
#include "domain/disk_layers.h"
#include "domain/restore.h"
#include "domain/save_record.h"
#include "driver/libvirt/managed_save.h"
#include "tests/unit/domain/libvirt_session.h"

static struct restore_report report;
static int state_of_start, reason_of_start; /* what libvirt says of the guest */
static int starts, resumes;
static char xml_of_memory[1024];
static void (*before_it_starts)(void);

char *__wrap_virDomainManagedSaveGetXMLDesc(virDomainPtr domain, unsigned flags);
char *__wrap_virDomainManagedSaveGetXMLDesc(virDomainPtr domain, unsigned flags)
{
    (void)domain;
    (void)flags;
    return strdup(xml_of_memory);
}

char *__wrap_virDomainSaveImageGetXMLDesc(virConnectPtr conn, const char *file, unsigned flags);
char *__wrap_virDomainSaveImageGetXMLDesc(virConnectPtr conn, const char *file, unsigned flags)
{
    (void)conn;
    (void)file;
    (void)flags;
    return strdup(xml_of_memory);
}

int __wrap_virDomainRestoreFlags(virConnectPtr conn, const char *file, const char *xml,
                                 unsigned flags);
int __wrap_virDomainRestoreFlags(virConnectPtr conn, const char *file, const char *xml,
                                 unsigned flags)
{
    (void)conn;
    (void)file;
    (void)xml;
    (void)flags;
    starts++;
    return virDomainCreate(session->domain);
}

void __wrap_failpoint_pass(const char *point, const struct log_place *place);
void __wrap_failpoint_pass(const char *point, const struct log_place *place)
{
    (void)place;
    if (strcmp(point, "restore:noted") == 0 && before_it_starts)
        before_it_starts();
}

int __wrap_virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned flags);
int __wrap_virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned flags)
{
    (void)domain;
    (void)flags;
    *state = state_of_start;
    if (reason)
        *reason = reason_of_start;
    return 0;
}

/* Its own cannot start a paused one. */
int __wrap_virDomainCreateWithFlags(virDomainPtr domain, unsigned flags);
int __wrap_virDomainCreateWithFlags(virDomainPtr domain, unsigned flags)
{
    (void)flags;
    starts++;
    return virDomainCreate(domain);
}

int __wrap_virDomainResume(virDomainPtr domain);
int __wrap_virDomainResume(virDomainPtr domain)
{
    (void)domain;
    resumes++;
    state_of_start = VIR_DOMAIN_RUNNING;
    return 0;
}

/* Where libvirt keeps the memory; NULL: nobody knows. */
static const char *kept;

bool __wrap_managed_save_file(virDomainPtr domain, char ret_path[static PATH_MAX]);
bool __wrap_managed_save_file(virDomainPtr domain, char ret_path[static PATH_MAX])
{
    (void)domain;
    (void)snprintf(ret_path, PATH_MAX, "%s", kept ? kept : "");
    return kept != NULL;
}

static int set_up(void **state)
{
    (void)state;
    kept = NULL;
    starts = resumes = 0;
    before_it_starts = NULL;
    (void)snprintf(xml_of_memory, sizeof(xml_of_memory),
                   "<domain type='test'><name>test</name><devices/></domain>");
    begin_session();
    return virDomainManagedSave(session->domain, 0);
}

static int restore(unsigned flags, int guest_state, int reason)
{
    const struct restore_request request = {.flags = flags, .force = true};
    state_of_start = guest_state;
    reason_of_start = reason;
    return restore_run(session, &request, &report, &err);
}

static void one_that_goes_on(void **state)
{
    (void)state;
    need(restore(0, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_RESTORED));
}

static void one_that_goes_on_paused(void **state)
{
    (void)state;
    need(restore(VIR_DOMAIN_SAVE_PAUSED, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION));
    assert_true(report.is_paused);
}

/* libvirt has no flag for it. */
static void one_that_was_saved_paused_and_is_to_run(void **state)
{
    (void)state;
    need(restore(VIR_DOMAIN_SAVE_RUNNING, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION));
    assert_int_equal(resumes, 1);
    assert_false(report.is_paused);
}

/* libvirt: src/qemu/qemu_saveimage.h, struct _virQEMUSaveHeader. */
static const char *write_memory(uint32_t was_running)
{
    const char *path = temp_path("memory");
    const uint32_t numbers[4] = {2, 0, was_running, 0};
    FILE *file = fopen(path, "w");
    if (!file || fputs("LibvirtQemudSave", file) < 0 ||
        fwrite(numbers, sizeof(numbers), 1, file) != 1 || fclose(file) != 0)
        fail_msg("cannot write %s", path);
    return path;
}

/* libvirt lets it run last of all, and dies before; `file`: or it keeps the memory. */
static int resumes_after(bool file, uint32_t was_running, unsigned flags)
{
    const char *path = write_memory(was_running);
    const struct restore_request request = {
        .file = file ? path : NULL, .flags = flags, .force = true};
    kept = path;
    resumes = 0;
    state_of_start = VIR_DOMAIN_PAUSED;
    reason_of_start = VIR_DOMAIN_PAUSED_MIGRATION;
    need(restore_run(session, &request, &report, &err));
    if (file)
        (void)virDomainDestroy(session->domain);
    else
        (void)virDomainManagedSave(session->domain, 0);
    return resumes;
}

static void one_that_was_saved_running_runs(void **state)
{
    (void)state;
    assert_int_equal(resumes_after(false, 1, 0), 1);
    assert_int_equal(resumes_after(false, 0, 0), 0);
    assert_int_equal(resumes_after(false, 1, VIR_DOMAIN_SAVE_PAUSED), 0);
    assert_int_equal(virDomainManagedSaveRemove(session->domain, 0), 0);
    assert_int_equal(resumes_after(true, 1, 0), 1);
    assert_int_equal(resumes_after(true, 0, 0), 0);
    assert_int_equal(resumes_after(true, 0, VIR_DOMAIN_SAVE_RUNNING), 1);
    assert_int_equal(resumes_after(true, 1, VIR_DOMAIN_SAVE_PAUSED), 0);
}

/* Somebody has removed the memory since it was looked at. */
static void one_that_was_started_anew(void **state)
{
    (void)state;
    assert_int_equal(restore(0, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED), -EIO);
    assert_non_null(strstr(err.message, "anew"));
    assert_int_equal(virDomainIsActive(session->domain), 1);
}

static void one_that_was_started_anew_and_paused(void **state)
{
    (void)state;
    assert_int_equal(restore(VIR_DOMAIN_SAVE_PAUSED, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER),
                     -EIO);
    assert_non_null(strstr(err.message, "anew"));
}

static void write_kept(const char *text)
{
    FILE *file = fopen(kept, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void write_record(json_t *memory)
{
    char path[PATH_MAX];
    json_t *content =
        json_pack("{s:s, s:o*, s:[]}", "uuid", session->uuid, "memory", memory, "layers");
    if (save_record_of_managed(session, path, &err) < 0 ||
        save_record_write(path, content, &err) < 0)
        fail_msg("%s", err.message);
    json_decref(content);
}

static int restore_with(const struct restore_request *request)
{
    state_of_start = VIR_DOMAIN_RUNNING;
    reason_of_start = VIR_DOMAIN_RUNNING_RESTORED;
    return restore_run(session, request, &report, &err);
}

static int restore_checked(void)
{
    return restore_with(&(const struct restore_request){.flags = 0});
}

/* The guest went on from its memory by virsh, and was saved by virsh again. */
static void a_later_memory_without_a_record(void **state)
{
    (void)state;
    json_t *memory = NULL;
    kept = temp_path("test.save");
    write_kept("the first memory");
    need(save_record_describe_memory(kept, &memory, &err));
    write_record(memory);
    write_kept("the other memory");
    assert_int_equal(restore_checked(), -EINVAL);
    assert_non_null(strstr(err.message, "another saved memory"));
    write_kept("the first memory");
    err = (struct error)ERROR_INIT;
    need(restore_checked());
}

static void a_memory_of_a_libvirt_that_keeps_it_elsewhere(void **state)
{
    (void)state;
    write_record(NULL);
    need(restore_checked());
}

static const char *disk;

static void write_disk(const char *text)
{
    FILE *file = fopen(disk, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void describe(char *xml, size_t size, const char *file, const char *others)
{
    static const char form[] = "<domain type='test'><name>test</name><uuid>%s</uuid>"
                               "<memory>65536</memory><os><type>hvm</type></os><devices>"
                               "<disk type='file' device='disk'><driver type='raw'/>"
                               "<source file='%s'/><target dev='vda'/></disk>%s</devices></domain>";
    int n = snprintf(xml, size, form, session->uuid, file, others);
    assert_true(n > 0 && (size_t)n < size);
}

static void define(const char *xml)
{
    virDomainPtr domain = virDomainDefineXML(virDomainGetConnect(session->domain), xml);
    assert_non_null(domain);
    (void)virDomainFree(domain);
}

/* Of the disks as they are in the memory, with their SHA-256. */
static void record_disks(void)
{
    char path[PATH_MAX];
    json_t *layers = NULL, *taken = NULL;
    if (disk_layers_list(xml_of_memory, &layers, &err) < 0 ||
        disk_fingerprint_take(layers, true, NULL, &taken, &err) < 0 ||
        save_record_of_managed(session, path, &err) < 0)
        fail_msg("%s", err.message);
    json_t *content = json_pack("{s:s, s:o}", "uuid", session->uuid, "layers", taken);
    assert_int_equal(save_record_write(path, content, &err), 0);
    json_decref(content);
    json_decref(layers);
}

/* A domain that was saved on one disk. */
static void save_with_disk(void)
{
    disk = temp_path("disk");
    write_disk("content");
    describe(xml_of_memory, sizeof(xml_of_memory), disk, "");
    define(xml_of_memory);
    record_disks();
}

static void touch_disk(void)
{
    assert_int_equal(utimensat(AT_FDCWD, disk, NULL, 0), 0);
}

static void change_disk(void)
{
    write_disk("CONTENT");
}

static void tell_and_change(void *arg, enum image_phase phase, const char *target, uint64_t done,
                            uint64_t total)
{
    (void)arg, (void)phase, (void)target;
    if (done == total)
        change_disk();
}

static void a_disk_that_is_as_it_was(void **state)
{
    (void)state;
    save_with_disk();
    touch_disk(); /* its content decides */
    need(restore_checked());
    assert_true(report.is_checked);
}

static void must_not_start(const struct restore_request *request)
{
    assert_int_equal(restore_with(request), -ESTALE);
    assert_non_null(strstr(err.message, disk));
    assert_int_equal(starts, 0);
}

/* Reading takes minutes; nobody is kept from it meanwhile. */
static void a_disk_that_changes_when_it_was_read(void **state)
{
    (void)state;
    const struct image_observer observer = {tell_and_change, NULL};
    save_with_disk();
    must_not_start(&(const struct restore_request){.verify_disks = true, .observer = &observer});
}

static void a_disk_that_changes_before_the_start(void **state)
{
    (void)state;
    save_with_disk();
    before_it_starts = change_disk;
    must_not_start(&(const struct restore_request){.verify_disks = true});
    err = (struct error)ERROR_INIT;
    before_it_starts = touch_disk;
    save_with_disk();
    touch_disk();
    must_not_start(&(const struct restore_request){.flags = 0});
}

static void one_that_is_forced_is_told(void **state)
{
    (void)state;
    save_with_disk();
    before_it_starts = change_disk;
    if (restore_with(&(const struct restore_request){.force = true}) < 0)
        fail_msg("%s", err.message);
    assert_false(report.is_checked);
    assert_int_equal(starts, 1);
}

/* An element of a disk, in one of two static buffers. */
static const char *element(const char *device, const char *target, const char *name)
{
    static char elements[2][256];
    static unsigned next;
    char *text = elements[next++ % 2];
    (void)snprintf(text, sizeof(elements[0]),
                   "<disk type='file' device='%s'><driver type='raw'/><source file='%s'/>"
                   "<target dev='%s'/></disk>",
                   device, temp_path(name), target);
    return text;
}

/* A domain that was saved on one disk and `other`, and is defined with `defined`. */
static void save_with(const char *other, const char *defined)
{
    char xml[sizeof(xml_of_memory)];
    for (unsigned i = 0; i < 3; i++) {
        disk = (const char *[]){temp_path("other"), temp_path("another"), temp_path("disk")}[i];
        write_disk("content");
    }
    describe(xml_of_memory, sizeof(xml_of_memory), disk, other);
    describe(xml, sizeof(xml), disk, defined);
    define(xml);
    record_disks();
}

/* As by virsh attach-disk and change-media without --config. */
static void a_medium_that_the_running_guest_alone_had(void **state)
{
    (void)state;
    save_with(element("cdrom", "sda", "other"), "");
    need(restore_checked());
    assert_true(report.is_checked);
}

static void a_disk_that_the_running_guest_alone_had(void **state)
{
    (void)state;
    save_with(element("disk", "vdb", "other"), "");
    need(restore_checked());
    assert_true(report.is_checked);
}

static void a_medium_that_was_changed(void **state)
{
    (void)state;
    save_with(element("cdrom", "sda", "other"), element("cdrom", "sda", "another"));
    need(restore_checked());
    assert_true(report.is_checked);
}

static void a_medium_with_another_content(void **state)
{
    (void)state;
    save_with(element("cdrom", "sda", "other"), "");
    disk = temp_path("other");
    change_disk();
    must_not_start(&(const struct restore_request){.flags = 0});
}

static void a_disk_that_is_another_file_now(void **state)
{
    (void)state;
    save_with(element("disk", "vdb", "other"), element("disk", "vdb", "another"));
    assert_int_equal(restore_checked(), -EINVAL);
    assert_non_null(strstr(err.message, "disk vdb is another file"));
    assert_int_equal(starts, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, end_session)
    const struct CMUnitTest tests[] = {
        TEST(one_that_goes_on),
        TEST(one_that_goes_on_paused),
        TEST(one_that_was_saved_paused_and_is_to_run),
        TEST(one_that_was_saved_running_runs),
        TEST(one_that_was_started_anew),
        TEST(one_that_was_started_anew_and_paused),
        TEST(a_later_memory_without_a_record),
        TEST(a_memory_of_a_libvirt_that_keeps_it_elsewhere),
        TEST(a_disk_that_is_as_it_was),
        TEST(a_disk_that_changes_when_it_was_read),
        TEST(a_disk_that_changes_before_the_start),
        TEST(one_that_is_forced_is_told),
        TEST(a_medium_that_the_running_guest_alone_had),
        TEST(a_disk_that_the_running_guest_alone_had),
        TEST(a_medium_that_was_changed),
        TEST(a_medium_with_another_content),
        TEST(a_disk_that_is_another_file_now),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
