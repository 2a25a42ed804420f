/* SPDX-License-Identifier: Apache-2.0 */
/* domain/checkpoint_xml.c: what libvirt's XML tells of snapshots and bitmaps. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "domain/checkpoint_list.h"
#include "tests/unit/driver/temp_folder.h"

static struct error err;
static struct checkpoint checkpoint;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(checkpoint.layers);
    checkpoint = (struct checkpoint){0};
    return 0;
}

static void snapshot(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void snapshot(const char *format, ...)
{
    char xml[4096];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(xml, sizeof(xml), format, ap);
    va_end(ap);
    if (checkpoint_list_parse_snapshot(xml, &checkpoint, &err) < 0)
        fail_msg("%s", err.message);
}

#define DEVICES(path)                                                                              \
    "<domain><devices><disk device='cdrom'><target dev='sda'/></disk>"                             \
    "<disk type='file'><source file='" path "'/><target dev='vda'/></disk>"                        \
    "<disk type='file'><source file='/d/b'/><target dev='vdb'/></disk></devices></domain>"

static void an_external_one_with_memory(void **state)
{
    (void)state;
    FILE *memory = fopen(temp_path("memory"), "we");
    assert_non_null(memory);
    assert_int_equal(fwrite("memory", 1, 6, memory), 6);
    assert_int_equal(fclose(memory), 0);
    snapshot(
        "<domainsnapshot><name>two</name><parent><name>one</name></parent><state>running"
        "</state><creationTime>1700000000</creationTime><memory snapshot='external' file='%s'/>"
        "<disks><disk name='vda' snapshot='external'><source file='/d/a.two'/></disk>"
        "<disk name='vdb' snapshot='no'/></disks>" DEVICES("/d/a") "</domainsnapshot>",
        temp_path("memory"));
    assert_string_equal(checkpoint.name, "two");
    assert_string_equal(checkpoint.parent, "one");
    assert_int_equal(checkpoint.kind, CHECKPOINT_EXTERNAL);
    assert_int_equal(checkpoint.created_s, 1700000000);
    assert_true(checkpoint.has_memory && !checkpoint.is_at_rest);
    /* The layer that keeps the instant is the one of then, not the one that was put on it. */
    assert_int_equal(checkpoint.layer_count, 2);
    assert_string_equal(checkpoint.layers[0].path, "/d/a");
    assert_string_equal(checkpoint.layers[0].target, "vda");
    assert_false(checkpoint.layers[0].is_there);
    assert_string_equal(checkpoint.layers[1].target, "memory");
    assert_true(checkpoint.layers[1].is_there && checkpoint.layers[1].size_on_disk_bytes > 0);
}

static void one_of_a_frozen_guest(void **state)
{
    (void)state;
    snapshot("<domainsnapshot><name>one</name><description>" CHECKPOINT_FROZEN "</description>"
             "<state>running</state><creationTime>17</creationTime><memory snapshot='no'/><disks>"
             "<disk name='vda' snapshot='external'/></disks>" DEVICES("/d/a") "</domainsnapshot>");
    assert_true(checkpoint.is_frozen && !checkpoint.is_at_rest && !checkpoint.has_memory);
    free(checkpoint.layers);
    snapshot("<domainsnapshot><name>one</name><description>" CHECKPOINT_FROZEN ", said somebody"
             "</description><creationTime>17</creationTime>" DEVICES("/d/a") "</domainsnapshot>");
    assert_false(checkpoint.is_frozen);
}

static void an_internal_one_of_a_stopped_guest(void **state)
{
    (void)state;
    snapshot("<domainsnapshot><name>one</name><state>shutoff</state><creationTime>17</creationTime>"
             "<memory snapshot='no'/><disks><disk name='vda' snapshot='internal'/></disks>" DEVICES(
                 "/d/a") "</domainsnapshot>");
    assert_int_equal(checkpoint.kind, CHECKPOINT_INTERNAL);
    assert_string_equal(checkpoint.parent, "");
    assert_true(checkpoint.is_at_rest && !checkpoint.has_memory);
    assert_int_equal(checkpoint.layer_count, 1);
}

static void what_the_guest_writes_to_now(void **state)
{
    (void)state;
    const char *xml =
        "<domain><devices><disk type='file' device='cdrom'><source file='/d/cd'/><target "
        "dev='sda'/></disk><disk type='file'><driver type='raw'/><source file='/d/r'/><target "
        "dev='vdb'/><readonly/></disk><disk type='file'><driver type='qcow2'/><source "
        "file='/d/a.two'/><target dev='vda'/></disk><disk type='block'><driver type='raw'/><source "
        "dev='/dev/none'/><target dev='vdc'/></disk></devices></domain>";
    assert_int_equal(checkpoint_list_parse_present(xml, &checkpoint, &err), 0);
    assert_int_equal(checkpoint.kind, CHECKPOINT_PRESENT);
    assert_int_equal(checkpoint.layer_count, 2);
    assert_string_equal(checkpoint.layers[0].path, "/d/a.two");
    assert_string_equal(checkpoint.layers[1].path, "/dev/none");
}

static void a_bitmap_with_its_images(void **state)
{
    (void)state;
    const char *xml = "<domaincheckpoint><name>monday</name><description>{\"images\":{\"vda\":{"
                      "\"path\":\"/b/vda\",\"format\":\"qcow2\"}},\"nova_snapshot\":\"42\"}"
                      "</description><creationTime>17</creationTime></domaincheckpoint>";
    assert_int_equal(checkpoint_list_parse_bitmap(xml, &checkpoint, &err), 0);
    assert_int_equal(checkpoint.kind, CHECKPOINT_BITMAP);
    assert_int_equal(checkpoint.layer_count, 1);
    assert_string_equal(checkpoint.layers[0].path, "/b/vda");
    free(checkpoint.layers);
    const char *others = "<domaincheckpoint><name>theirs</name></domaincheckpoint>";
    assert_int_equal(checkpoint_list_parse_bitmap(others, &checkpoint, &err), 0);
    assert_int_equal(checkpoint.layer_count, 0);
}

static void what_is_none(void **state)
{
    (void)state;
    char longest[600];
    memset(longest, 'n', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(checkpoint_list_parse_snapshot("<domain/>", &checkpoint, &err), -EINVAL);
    err = (struct error)ERROR_INIT;
    assert_int_equal(checkpoint_list_parse_snapshot("<domainsnapshot/>", &checkpoint, &err),
                     -EINVAL);
    char xml[800];
    (void)snprintf(xml, sizeof(xml), "<domaincheckpoint><name>%s</name></domaincheckpoint>",
                   longest);
    err = (struct error)ERROR_INIT;
    assert_int_equal(checkpoint_list_parse_bitmap(xml, &checkpoint, &err), -EINVAL);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_external_one_with_memory),        TEST(one_of_a_frozen_guest),
        TEST(an_internal_one_of_a_stopped_guest), TEST(what_the_guest_writes_to_now),
        TEST(a_bitmap_with_its_images),           TEST(what_is_none),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
