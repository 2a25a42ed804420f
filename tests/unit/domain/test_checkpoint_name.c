/* SPDX-License-Identifier: Apache-2.0 */
/* domain/checkpoint_name.c: names by the time, on libvirt's test driver; of files
 * test_checkpoint_plan.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "domain/checkpoint_name.h"
#include "tests/unit/domain/libvirt_session.h"

static int set_up(void **state)
{
    (void)state;
    begin_session();
    return 0;
}

static void make(const char *prefix, const char *stamp)
{
    char xml[256];
    (void)snprintf(xml, sizeof(xml), "<domainsnapshot><name>%s%s</name></domainsnapshot>", prefix,
                   stamp);
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(session->domain, xml, 0);
    assert_non_null(snapshot);
    (void)virDomainSnapshotFree(snapshot);
}

/* Each waits until the second of the one before is over, unless that has taken as long. */
static void several_within_a_second(void **state)
{
    (void)state;
    char stamps[3][CHECKPOINT_STAMP_SIZE];
    for (int i = 0; i < 3; i++) {
        need(checkpoint_name_stamp(session->domain, "left-", stamps[i], &err));
        assert_int_equal(err.errnum, 0);
        assert_int_equal(strlen(stamps[i]), strlen("20261130T063535Z"));
        assert_true(i == 0 || strcmp(stamps[i], stamps[i - 1]) > 0);
        make("left-", stamps[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_within_a_second, set_up, end_session),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
