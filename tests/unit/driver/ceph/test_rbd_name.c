/* SPDX-License-Identifier: Apache-2.0 */
/* driver/ceph/rbd_name.c: what may be a name, and how QEMU spells it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver/ceph/rbd_name.h"

static struct error err;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    return 0;
}

static void names_nova_gives(void **state)
{
    (void)state;
    struct rbd_name name;
    assert_int_equal(rbd_name_parse("rbd:vms/ff63a4bd-ab90-44ed_disk", &name, &err), 0);
    assert_string_equal(name.pool, "vms");
    assert_string_equal(name.image, "ff63a4bd-ab90-44ed_disk");
    assert_int_equal(rbd_name_parse("rbd:.a_b-C/0", &name, &err), 0);
    assert_string_equal(name.pool, ".a_b-C");
}

static void hostile_names(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "rbd:",
        "rbd:vms",
        "rbd:/u",
        "rbd:vms/",
        "rbd:a/b/c",
        "rbd:vms/u@snap",
        "rbd:vms/u:conf=x",
        "rbd:vms/u=x",
        "rbd:vms/u\\:x",
        "rbd:vms/u#x",
        "rbd:vms/u x",
        "rbd:vms/u\n",
        "rbd:v@ms/u",
        "rbd:vms:id=x/u",
        "rbd:vms/u%40",
        "rbd:vms/\xc3\xa4",
        "/dev/vms/u",
        "vms/u",
        "",
        "rbd",
        "rbd:vms/u,x",
        "nbd:vms/u",
        "rbd:vms/u\x7f",
        "rbd:vms/u?x",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct rbd_name name = {.pool = "untouched"};
        err = (struct error)ERROR_INIT;
        if (rbd_name_parse(paths[i], &name, &err) != -EINVAL)
            fail_msg("\"%s\" was taken", paths[i]);
        assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
        assert_string_equal(name.pool, "untouched");
    }
}

static void names_are_bounded(void **state)
{
    (void)state;
    struct rbd_name name;
    char path[RBD_NAME_MAX + 16] = "rbd:p/";
    memset(path + 6, 'a', RBD_NAME_MAX - 1);
    assert_int_equal(rbd_name_parse(path, &name, &err), 0);
    assert_int_equal(strlen(name.image), RBD_NAME_MAX - 1);
    path[6 + RBD_NAME_MAX - 1] = 'a';
    assert_int_equal(rbd_name_parse(path, &name, &err), -EINVAL);
    assert_false(rbd_name_is_plain(path + 6));
}

static void assert_qemu(const char *user, const char *ceph_conf, const char *expected)
{
    const struct rbd_options options = {.user = user, .ceph_conf = ceph_conf};
    char path[256] = "untouched";
    err = (struct error)ERROR_INIT;
    int r = rbd_name_for_qemu("rbd:vms/u_disk", &options, path, sizeof(path), &err);
    assert_int_equal(r, expected ? 0 : -EINVAL);
    assert_string_equal(path, expected ? expected : "untouched");
    if (!expected)
        assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
}

static void spelling_for_qemu(void **state)
{
    (void)state;
    char too_long[300];
    memset(too_long, 'a', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    assert_qemu("", "", "rbd:vms/u_disk");
    assert_qemu(NULL, NULL, "rbd:vms/u_disk");
    assert_qemu("nova", "", "rbd:vms/u_disk:id=nova");
    assert_qemu("", "/etc/ceph/ceph.conf", "rbd:vms/u_disk:conf=/etc/ceph/ceph.conf");
    assert_qemu("n", "/c", "rbd:vms/u_disk:id=n:conf=/c");
    assert_qemu("a:b\\c=d", "/a b:c\\", "rbd:vms/u_disk:id=a\\:b\\\\c=d:conf=/a b\\:c\\\\");
    assert_qemu("nova@home", "", NULL);
    assert_qemu("", "/c@d", NULL);
    assert_qemu("", too_long, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(names_nova_gives, set_up),
        cmocka_unit_test_setup(hostile_names, set_up),
        cmocka_unit_test_setup(names_are_bounded, set_up),
        cmocka_unit_test_setup(spelling_for_qemu, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
