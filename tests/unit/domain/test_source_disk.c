/* SPDX-License-Identifier: Apache-2.0 */
/* domain/source_disk.c: of all disks none is left out without a word. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "domain/source_disk.h"
#include "tests/unit/domain/libvirt_session.h"

#define NBD                                                                                        \
    "<disk type='network' device='disk'><source protocol='nbd' name='x'>"                          \
    "<host name='127.0.0.1' port='1'/></source><target dev='vdb' bus='virtio'/></disk>"
#define VOLUME                                                                                     \
    "<disk type='volume' device='disk'><source pool='default-pool' volume='x'/>"                   \
    "<target dev='vdb' bus='virtio'/></disk>"
#define EMPTY_CD "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>"

static struct source_disks disks;

static int set_up(void **state)
{
    (void)state;
    FILE *file = fopen(temp_path("disk"), "we");
    assert_non_null(file);
    assert_int_equal(fputc('d', file), 'd');
    assert_int_equal(fclose(file), 0);
    return 0;
}

static int tear_down(void **state)
{
    source_disks_done(&disks);
    return end_session(state);
}

/* Beside a disk that is a file. */
static int read_all(const char *other)
{
    char xml[2048];
    (void)snprintf(xml, sizeof(xml),
                   "<domain type='test'><name>disks</name><memory>8192</memory>"
                   "<os><type>hvm</type></os><devices><disk type='file' device='disk'>"
                   "<driver name='qemu' type='raw'/><source file='%s'/>"
                   "<target dev='vda' bus='virtio'/></disk>%s</devices></domain>",
                   temp_path("disk"), other);
    virConnectPtr conn = virConnectOpen(TEST_DRIVER); /* one for all of the process */
    virDomainPtr domain = conn ? virDomainDefineXML(conn, xml) : NULL;
    assert_non_null(domain);
    need(open_session(TEST_DRIVER, "disks", true));
    int r = source_disks_read(session, NULL, true, &disks, &err);
    assert_int_equal(virDomainUndefine(domain), 0);
    (void)virDomainFree(domain);
    (void)virConnectClose(conn);
    return r;
}

static void a_disk_that_is_no_file(void **state)
{
    (void)state;
    assert_int_equal(read_all(NBD), -EINVAL);
    assert_non_null(strstr(err.message, "disk vdb is neither a file nor a block device"));
}

static void a_volume_of_a_pool(void **state)
{
    (void)state;
    assert_int_equal(read_all(VOLUME), -EINVAL);
    assert_non_null(strstr(err.message, "disk vdb"));
}

static void a_drive_without_a_medium(void **state)
{
    (void)state;
    need(read_all(EMPTY_CD));
    assert_int_equal(disks.count, 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_disk_that_is_no_file),
        TEST(a_volume_of_a_pool),
        TEST(a_drive_without_a_medium),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
