/* SPDX-License-Identifier: Apache-2.0 */
/* domain/image_request.c: what goes together. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "domain/image_request.h"

static void what_makes_sense(void **state)
{
    static const struct image_request requests[] = {
        {.output = "/b/image"},
        {.output = NULL},
        {.output = NULL, .format = "raw", .method = "cold"},
        {.output = "/b/image", .format = "vmdk", .method = "blockcopy", .quiesce = true},
        {.output = "/b/image", .disk = "vdb", .compress = true},
        {.output = "/b", .all_disks = true, .format = "raw"},
        {.output = "/b", .all_disks = true, .checkpoint = "two", .since = "one"},
        {.output = "/b/image", .disk = "vda", .since = "one", .method = "stream"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct error err = ERROR_INIT;
        if (image_request_check(&requests[i], &err) < 0)
            fail_msg("request %zu: %s", i, err.message);
        assert_int_equal(image_request_is_of_set(&requests[i]), i > 4);
    }
    assert_string_equal(image_request_format(&requests[0]), "qcow2");
    assert_string_equal(image_request_format(&requests[2]), "raw");
}

static void what_does_not(void **state)
{
    static const struct {
        struct image_request request;
        const char *reason;
    } cases[] = {
        {{.output = "/b/i", .format = "ova"}, "the format is"},
        {{.output = "/b/i", .method = "magic"}, "the method is"},
        {{.output = "/b/i", .format = "raw", .compress = true}, "only qcow2"},
        {{.output = "/b/i", .quiesce = true, .method = "cold"}, "freezes nothing"},
        {{.output = "/b/i", .disk = "vda", .all_disks = true}, "either one disk"},
        {{.output = NULL, .all_disks = true}, "one disk, not all"},
        {{.output = NULL, .checkpoint = "one"}, "stands on a file"},
        {{.output = "/b/i", .all_disks = true, .compress = true}, "not compressed"},
        {{.output = "/b/i", .all_disks = true, .format = "vdi"}, "raw or qcow2"},
        {{.output = "/b/i", .since = "one", .format = "raw"}, "qcow2 image"},
        {{.output = "/b/i", .checkpoint = "one", .method = "cold"}, "method stream"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        assert_int_equal(image_request_check(&cases[i].request, &err), -EINVAL);
        if (!strstr(err.message, cases[i].reason))
            fail_msg("case %zu: %s", i, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_sense),
        cmocka_unit_test(what_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
