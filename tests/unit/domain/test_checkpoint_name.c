/* SPDX-License-Identifier: Apache-2.0 */
/* domain/checkpoint_name.c: names by the time, and how long they may be, on libvirt's test driver;
 * of files test_checkpoint_plan.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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

static int name_of_length(size_t length, bool is_given)
{
    char name[CHECKPOINT_NAME_SIZE] = "", given[PATH_MAX];
    const char *const disks[] = {given};
    const struct checkpoint_request request = {
        .name = name, .disks = disks, .disk_count = is_given ? 1 : 0};
    struct checkpoint_disk disk = {.target = "vda"};
    struct checkpoint_plan plan = {.disks = &disk, .disk_count = 1};
    int n = snprintf(disk.base, sizeof(disk.base), "%s/disk", temp_folder);
    (void)snprintf(given, sizeof(given), "vda=%s/%0*d", temp_folder, (int)length, 0);
    memset(name, 'n', is_given ? 1 : length);
    assert_true(n > 0);
    FILE *file = fopen(disk.base, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    err = (struct error)ERROR_INIT;
    need(checkpoint_name_all(session->domain, &request, &plan, &err));
    return checkpoint_name_check_way_back(session->domain, &plan, &err);
}

/* Of the layer to come back in, and of that of what is left behind then and gone back to. */
static void there_is_room_for_the_way_back(void **state)
{
    (void)state;
    const size_t time = strlen("-20261130T063535Z"), left = strlen(".left-20261130T063535Z");
    size_t longest = 255 - strlen("disk.") - time;
    need(name_of_length(longest, false));
    assert_int_equal(name_of_length(longest + 1, false), -ENAMETOOLONG);
    assert_non_null(strstr(err.message, "way back"));
    need(name_of_length(255 - left - time, true));
    assert_int_equal(name_of_length(255 - left - time + 1, true), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_within_a_second, set_up, end_session),
        cmocka_unit_test_setup_teardown(there_is_room_for_the_way_back, set_up, end_session),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
