/* SPDX-License-Identifier: Apache-2.0 */
/* driver/ceph/rbd_location.c: what may be a location, and how Glance spells it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver/ceph/rbd_location.h"

#define FSID "5c1f0d0e-6f0b-4b7a-9a63-2f4a55d0c390"

static struct error err;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    return 0;
}

static void location_both_ways(void **state)
{
    (void)state;
    struct rbd_location location;
    const char *text = "rbd://" FSID "/images/505e/snap";
    assert_int_equal(rbd_location_parse(text, &location, &err), 0);
    assert_string_equal(location.fsid, FSID);
    assert_string_equal(location.pool, "images");
    assert_string_equal(location.image, "505e");
    assert_string_equal(location.snap, "snap");
    char *again = rbd_location_format(&location);
    assert_string_equal(again, text);
    free(again);
    assert_int_equal(rbd_location_parse("rbd://f/i%6d%2Dx/%2e/s", &location, &err), 0);
    assert_string_equal(location.pool, "im-x");
    assert_string_equal(location.image, ".");
}

static void hostile_locations(void **state)
{
    char too_long[RBD_NAME_MAX + 32] = "rbd://f/";
    memset(too_long + 8, 'a', RBD_NAME_MAX);
    memcpy(too_long + 8 + RBD_NAME_MAX, "/i/s", 5);
    const char *const locations[] = {
        "",
        "rbd://",
        "rbd:/f/p/i/s",
        "rbd://p/i/s",
        "rbd://f/p/i/s/x",
        "rbd://f/p/i/s/",
        "rbd://f//i/s",
        "rbd:///p/i/s",
        "file:///var/lib/glance/images/u",
        "rbd://f/p/i/s%",
        "rbd://f/p/i/s%4",
        "rbd://f/p/i/s%4g",
        "rbd://f/p/i/%00",
        "rbd://f/p/i/a%00b",
        "rbd://f/p%2fx/i/s",
        "rbd://f/p/i%40x/s",
        "rbd://f/p/i/s?x",
        "rbd://f/p/i/\xff",
        too_long,
    };
    (void)state;
    for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
        struct rbd_location location = {.pool = "untouched"};
        err = (struct error)ERROR_INIT;
        if (rbd_location_parse(locations[i], &location, &err) != -EINVAL)
            fail_msg("\"%s\" was taken", locations[i]);
        assert_string_equal(err.exc, EXC_IMAGE_UNACCEPTABLE);
        assert_string_equal(location.pool, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(location_both_ways, set_up),
        cmocka_unit_test_setup(hostile_locations, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
