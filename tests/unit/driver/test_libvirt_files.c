/* SPDX-License-Identifier: Apache-2.0 */
/* driver/libvirt_files.c: the files of all guests, and the end of a job that is known by its file.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cancel.h"
#include "driver/image/qemu_img.h"
#include "tests/unit/driver/scripted_backup.h"

static struct libvirt_driver driver;
static struct error err;
static char told[1024];

int __wrap_virConnectListAllDomains(virConnectPtr conn, virDomainPtr **domains, unsigned flags);
int __wrap_virConnectListAllDomains(virConnectPtr conn, virDomainPtr **domains, unsigned flags)
{
    bool acts;
    (void)conn;
    assert_int_equal(flags, 0); /* all */
    if (fails("ListAllDomains", &acts))
        return -1;
    *domains = calloc(2, sizeof(virDomainPtr));
    (*domains)[0] = the_domain();
    return 1;
}

int __wrap_virDomainGetUUIDString(virDomainPtr domain, char *uuid);
int __wrap_virDomainGetUUIDString(virDomainPtr domain, char *uuid)
{
    (void)domain;
    (void)strcpy(uuid, UUID);
    return 0;
}

/* The headers of disks that do not run: /i/disk is on /i/layer, that on /s/tmp/base, a raw image.
 */
static const char *no_header;

int __wrap_qemu_img_info(const char *path, const char *format, struct qemu_img_info *ret_info,
                         struct error *ret_err);
int __wrap_qemu_img_info(const char *path, const char *format, struct qemu_img_info *ret_info,
                         struct error *ret_err)
{
    assert_string_equal(format, "qcow2");
    if (no_header)
        return error_set(ret_err, ENOENT, no_header, "it cannot be read");
    bool is_top = strcmp(path, "/i/disk") == 0;
    assert_string_equal(path, is_top ? "/i/disk" : "/i/layer");
    (void)strcpy(ret_info->backing_path, is_top ? "/i/layer" : "/s/tmp/base");
    (void)strcpy(ret_info->backing_format, is_top ? "qcow2" : "raw");
    return 0;
}

static unsigned lasts; /* looks before the copy has ended that was asked to */
static bool is_asked;

static int ask_to_end(unsigned flags)
{
    bool acts;
    assert_int_equal(flags, VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC);
    assert_true(world.mirror);
    if (fails("BlockJobAbort", &acts))
        return -1;
    is_asked = true;
    return 0;
}

static char *look_at_copy(void)
{
    if (is_asked && lasts-- == 0)
        world.mirror = false;
    return current_xml();
}

static int set_up(void **state)
{
    (void)state;
    world_reset();
    memset(&backup_script, 0, sizeof(backup_script));
    err = (struct error)ERROR_INIT;
    told[0] = '\0';
    no_header = NULL;
    lasts = 0;
    is_asked = false;
    world.abort_job = ask_to_end;
    world.make_xml = look_at_copy;
    return world.watches ? 0 : domain_watches_new(&world.watches, &err);
}

static void tell(void *arg, const struct driver_file *file)
{
    static const char *const uses[] = {"disk", "copy", "backup"};
    size_t used = strlen(told);
    (void)arg;
    assert_string_equal(file->uuid, UUID);
    (void)snprintf(told + used, sizeof(told) - used, "%s:%s:%s ", uses[file->use],
                   file->disk_target, file->path);
}

static void disks_and_jobs_are_told(void **state)
{
    (void)state;
    world.mirror = world.backup = true;
    world.volume = "<disk type='file'><driver type='qcow2'/><source file='/i/top'/>"
                   "<backingStore type='file'><format type='qcow2'/><source file='/i/below'/>"
                   "<backingStore/></backingStore><target dev='vdb'/></disk>";
    (void)strcpy(world.mirror_path, "/s/tmp/copy");
    (void)strcpy(world.scratch_path, "/s/own/scratch");
    assert_int_equal(libvirt_visit_files(&driver, tell, NULL, &err), 0);
    assert_string_equal(told, "disk:vda:/i/disk copy:vda:/s/tmp/copy disk:vdb:/i/top "
                              "disk:vdb:/i/below backup:vda:/s/own/scratch ");
    assert_true(was_called("GetXMLDesc-inactive")); /* what it will have */
}

static void a_guest_that_is_stopped_has_files(void **state)
{
    (void)state;
    world.active = false;
    assert_int_equal(libvirt_visit_files(&driver, tell, NULL, &err), 0);
    assert_string_equal(told, "disk:vda:/i/disk disk:vda:/i/layer disk:vda:/s/tmp/base ");
    assert_false(was_called("BackupGetXMLDesc"));
}

static void what_is_below_a_disk_that_is_away_is_nothing(void **state)
{
    (void)state;
    world.active = false;
    no_header = EXC_DISK_NOT_FOUND;
    assert_int_equal(libvirt_visit_files(&driver, tell, NULL, &err), 0);
    assert_string_equal(told, "disk:vda:/i/disk ");
    no_header = EXC_INVALID_DISK_INFO;
    assert_true(libvirt_visit_files(&driver, tell, NULL, &err) < 0);
    assert_true(error_is(&err, EXC_INVALID_DISK_INFO));
}

static void one_that_has_gone_meanwhile_has_none(void **state)
{
    (void)state;
    world.exists = false;
    assert_int_equal(libvirt_visit_files(&driver, tell, NULL, &err), 0);
    assert_string_equal(told, "");
}

static void what_cannot_be_read_is_a_failure(void **state)
{
    static const char *const calls[] = {"ListAllDomains", "GetXMLDesc", "GetXMLDesc-inactive",
                                        "BackupGetXMLDesc"};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        set_up(state);
        world.fail_name = calls[i];
        assert_true(libvirt_visit_files(&driver, tell, NULL, &err) < 0);
        assert_int_not_equal(err.errnum, 0);
    }
}

static const struct driver_file copy = {DRIVER_FILE_COPY, UUID, "vda", "/s/tmp/copy"};
static const struct driver_file backup = {DRIVER_FILE_BACKUP, UUID, "vda", "/s/own/scratch"};

static void the_job_ends_and_the_guest_goes_on(void **state)
{
    (void)state;
    world.mirror = world.backup = true;
    (void)strcpy(world.mirror_path, copy.path);
    (void)strcpy(world.scratch_path, backup.path);
    assert_int_equal(libvirt_end_job(&driver, &copy, &err), 0);
    assert_false(world.mirror);
    assert_true(world.backup && world.active && world.persistent);
    assert_int_equal(libvirt_end_job(&driver, &backup, &err), 0);
    assert_false(world.backup);
    assert_int_equal(libvirt_end_job(&driver, &copy, &err), 0); /* it is gone */
    assert_int_equal(libvirt_end_job(&driver, &backup, &err), 0);
    world.exists = false;
    assert_int_equal(libvirt_end_job(&driver, &copy, &err), 0);
    assert_int_equal(err.errnum, 0);
}

static void a_copy_is_waited_for_as_long_as_the_work_goes_on(void **state)
{
    (void)state;
    struct cancel *cancel = NULL;
    struct error end = ERROR_INIT;
    world.mirror = true;
    lasts = 2;
    (void)strcpy(world.mirror_path, copy.path);
    assert_int_equal(libvirt_end_job(&driver, &copy, &err), 0);
    assert_false(world.mirror);

    world.mirror = true;
    is_asked = false;
    lasts = 1000;
    assert_int_equal(cancel_new(&cancel, &err), 0);
    (void)error_set(&end, ECANCELED, EXC_INTERNAL_ERROR, "the agent ends");
    cancel_request(cancel, &end);
    (void)cancel_enter(cancel);
    assert_int_equal(libvirt_end_job(&driver, &copy, &err), -ECANCELED);
    (void)cancel_enter(NULL);
    cancel_free(cancel);
}

static void others_jobs_go_on(void **state)
{
    (void)state;
    world.mirror = world.backup = true;
    (void)strcpy(world.mirror_path, "/s/tmp/another");
    (void)strcpy(world.scratch_path, "/s/own/another");
    assert_int_equal(libvirt_end_job(&driver, &copy, &err), 0);
    assert_int_equal(libvirt_end_job(&driver, &backup, &err), 0);
    assert_true(world.mirror && world.backup);
}

static void a_job_that_does_not_end_is_a_failure(void **state)
{
    (void)state;
    world.mirror = world.backup = true;
    (void)strcpy(world.mirror_path, copy.path);
    (void)strcpy(world.scratch_path, backup.path);
    world.fail_name = "BlockJobAbort";
    assert_true(libvirt_end_job(&driver, &copy, &err) < 0);
    world.fail_name = "AbortJob";
    err = (struct error)ERROR_INIT;
    assert_true(libvirt_end_job(&driver, &backup, &err) < 0);
}

static int free_watches(void **state)
{
    (void)state;
    domain_watches_free(world.watches);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(disks_and_jobs_are_told, set_up),
        cmocka_unit_test_setup(a_guest_that_is_stopped_has_files, set_up),
        cmocka_unit_test_setup(what_is_below_a_disk_that_is_away_is_nothing, set_up),
        cmocka_unit_test_setup(one_that_has_gone_meanwhile_has_none, set_up),
        cmocka_unit_test_setup(what_cannot_be_read_is_a_failure, set_up),
        cmocka_unit_test_setup(the_job_ends_and_the_guest_goes_on, set_up),
        cmocka_unit_test_setup(a_copy_is_waited_for_as_long_as_the_work_goes_on, set_up),
        cmocka_unit_test_setup(others_jobs_go_on, set_up),
        cmocka_unit_test_setup(a_job_that_does_not_end_is_a_failure, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, free_watches);
}
