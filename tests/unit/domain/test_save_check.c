/* SPDX-License-Identifier: Apache-2.0 */
/* domain/save_check.c: what cannot be saved is refused before it is touched; libvirt's test driver.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/save_check.h"
#include "driver/libvirt/guest_freeze.h"
#include "tests/unit/domain/libvirt_session.h"

#define DISK                                                                                       \
    "<disk type='file' device='disk'><driver type='qcow2'/><source file='/d/vda'/>"                \
    "<target dev='vda'/></disk>"
#define DOMAIN(devices)                                                                            \
    "<domain type='qemu'><name>test</name><devices>" DISK devices "</devices></domain>"

static int domain_job, block_jobs;
static bool is_frozen;

int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info);
int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info)
{
    (void)domain;
    info->type = domain_job;
    return 0;
}

int __wrap_virDomainGetBlockJobInfo(virDomainPtr domain, const char *disk,
                                    virDomainBlockJobInfoPtr info, unsigned flags);
int __wrap_virDomainGetBlockJobInfo(virDomainPtr domain, const char *disk,
                                    virDomainBlockJobInfoPtr info, unsigned flags)
{
    (void)domain;
    (void)info;
    (void)flags;
    assert_string_equal(disk, "vda");
    return block_jobs;
}

int __wrap_guest_freeze_check_thawed(struct guest_freeze *freeze, virDomainPtr domain,
                                     struct error *error);
int __wrap_guest_freeze_check_thawed(struct guest_freeze *freeze, virDomainPtr domain,
                                     struct error *error)
{
    (void)freeze;
    (void)domain;
    return is_frozen ? error_set(error, EBUSY, EXC_INTERNAL_ERROR, "it is frozen") : 0;
}

static int set_up(void **state)
{
    (void)state;
    domain_job = VIR_DOMAIN_JOB_NONE;
    block_jobs = 0;
    is_frozen = false;
    begin_session();
    return 0;
}

static void refused(const char *xml, int errnum, const char *text)
{
    err = (struct error)ERROR_INIT;
    assert_int_equal(save_check(session, xml, true, &err), -errnum);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
}

static void one_that_can_be_saved(void **state)
{
    (void)state;
    if (save_check(session, DOMAIN(""), true, &err) < 0 ||
        save_check(session, DOMAIN("<interface type='user'/>"), false, &err) < 0)
        fail_msg("%s", err.message);
}

static void devices_no_file_holds(void **state)
{
    (void)state;
    refused(DOMAIN("<hostdev mode='subsystem' type='pci'/>"), EINVAL, "device of the host");
    refused(DOMAIN("<interface type='user'/><interface type='hostdev'/>"), EINVAL,
            "device of the host");
    refused(DOMAIN("<tpm><backend type='emulator'/></tpm>"), EINVAL, "TPM");
}

static void a_domain_somebody_is_at_work_on(void **state)
{
    (void)state;
    domain_job = VIR_DOMAIN_JOB_UNBOUNDED;
    refused(DOMAIN(""), EBUSY, "has a job");
    domain_job = VIR_DOMAIN_JOB_NONE;
    block_jobs = 1;
    refused(DOMAIN(""), EBUSY, "disk vda");
    block_jobs = 0;
    is_frozen = true;
    refused(DOMAIN(""), EBUSY, "frozen");
}

/* The last one: the test driver's domain does not come back as it was. */
static void one_that_does_not_run(void **state)
{
    (void)state;
    assert_int_equal(virDomainManagedSave(session->domain, 0), 0);
    refused(DOMAIN(""), ENOENT, "does not run");
    assert_int_equal(virDomainCreate(session->domain), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, end_session)
    const struct CMUnitTest tests[] = {
        TEST(one_that_can_be_saved),
        TEST(devices_no_file_holds),
        TEST(a_domain_somebody_is_at_work_on),
        TEST(one_that_does_not_run),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
