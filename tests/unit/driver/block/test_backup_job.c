/* SPDX-License-Identifier: Apache-2.0 */
/* driver/block/backup_job.c: what libvirt is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "driver/block/backup_job.h"

static char asked[4096], checkpoint_asked[256];

int __wrap_virDomainBackupBegin(virDomainPtr domain, const char *xml, const char *checkpoint,
                                unsigned flags);
int __wrap_virDomainBackupBegin(virDomainPtr domain, const char *xml, const char *checkpoint,
                                unsigned flags)
{
    (void)domain;
    assert_int_equal(flags, VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL);
    (void)snprintf(asked, sizeof(asked), "%s", xml);
    (void)snprintf(checkpoint_asked, sizeof(checkpoint_asked), "%s",
                   checkpoint ? checkpoint : "none");
    return 0;
}

#define DISK(target, scratch)                                                                      \
    "<disk name=\"" target "\" backup=\"yes\" type=\"file\" exportname=\"" target "\">"            \
    "<driver type=\"qcow2\"/><scratch file=\"" scratch "\"/></disk>"

static void one_disk(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct backup_job job = {.disk_target = "vda", .scratch_path = "/s/a", .socket_path = "/s/s"};
    assert_int_equal(backup_job_begin(&job, NULL, &err), 0);
    assert_non_null(strstr(asked, "<domainbackup mode=\"pull\"><server transport=\"unix\" "
                                  "socket=\"/s/s\"/><disks>" DISK("vda", "/s/a") "</disks>"));
    assert_string_equal(checkpoint_asked, "none");
    assert_true(job.running && !job.may_come);
}

static void several_since_a_checkpoint_with_another(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    const struct backup_job_disk others[] = {{"vdb", "/s/b"}, {"vdc", "/s/c"}};
    struct backup_job job = {.disk_target = "vda",
                             .scratch_path = "/s/a",
                             .socket_path = "/s/s",
                             .others = others,
                             .n_others = 2,
                             .incremental = "a < b",
                             .checkpoint_xml = "<domaincheckpoint/>"};
    assert_int_equal(backup_job_begin(&job, NULL, &err), 0);
    assert_non_null(strstr(asked, "<incremental>a &lt; b</incremental>"));
    assert_non_null(strstr(asked, "<disks>" DISK("vda", "/s/a") DISK("vdb", "/s/b")
                                      DISK("vdc", "/s/c") "</disks>"));
    assert_string_equal(checkpoint_asked, "<domaincheckpoint/>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_disk),
        cmocka_unit_test(several_since_a_checkpoint_with_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
