/* SPDX-License-Identifier: Apache-2.0 */
/* domain/image_request.c, earlier_image.c: what goes together, and what an increment stands on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "domain/earlier_image.h"
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

static struct qcow2_backing backing_of(const char *earlier, const char *own, char path[PATH_MAX])
{
    struct image_file file = {.target = "vda"};
    static json_t *images;
    json_decref(images);
    images = json_pack("{s:{s:s, s:s}}", "vda", "path", earlier, "format", "qcow2");
    (void)snprintf(file.path, sizeof(file.path), "%s", own);
    struct qcow2_backing backing = earlier_image_backing(images, &file, path);
    assert_string_equal(backing.format, "qcow2");
    return backing;
}

static void a_chain_in_one_folder_can_be_moved(void **state)
{
    char path[PATH_MAX];
    (void)state;
    assert_string_equal(backing_of("/b/one", "/b/two", path).path, "one");
    assert_string_equal(backing_of("/b/one", "/bb/two", path).path, "/b/one");
    assert_string_equal(backing_of("/b/c/one", "/b/two", path).path, "/b/c/one");
    assert_string_equal(backing_of("/one", "/two", path).path, "one");
}

static void an_image_that_nobody_has(void **state)
{
    struct error err = ERROR_INIT;
    const struct guest_info vda = {.disk_target = "vda"}, vdb = {.disk_target = "vdb"};
    (void)state;
    json_t *images =
        json_pack("{s:{s:s, s:s}}", "vda", "path", "/nowhere/image", "format", "qcow2");
    assert_int_equal(earlier_image_check(images, &vda, "monday", &err), -ENOENT);
    assert_non_null(strstr(err.message, "/nowhere/image"));
    err = (struct error)ERROR_INIT;
    assert_int_equal(earlier_image_check(images, &vdb, "monday", &err), -ENOENT);
    assert_non_null(strstr(err.message, "vdb at checkpoint monday"));
    json_decref(images);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_sense),
        cmocka_unit_test(what_does_not),
        cmocka_unit_test(a_chain_in_one_folder_can_be_moved),
        cmocka_unit_test(an_image_that_nobody_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
