/* SPDX-License-Identifier: Apache-2.0 */
/* domain/backing_name.c: a name is a file, or on the network, or nobody can tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "domain/backing_name.h"

static void told(const char *name, const char *expected)
{
    struct error err = ERROR_INIT;
    char path[DRIVER_PATH_MAX] = "untouched";
    if (backing_name_path(name, "/srv/top", path, &err) < 0)
        fail_msg("%s: %s", name, err.message);
    assert_string_equal(path, expected);
}

static void files(void **state)
{
    (void)state;
    told("/srv/a:b", "/srv/a:b");
    told("file:/srv/a", "/srv/a");
    told("host_device:/dev/vg/a", "/dev/vg/a");
    told("json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"/srv/a\"}}",
         "/srv/a");
    told("json:{\"file.driver\":\"file\",\"file.filename\":\"/srv/a\",\"driver\":\"qcow2\"}",
         "/srv/a");
    told("json:{\"driver\":\"raw\",\"offset\":512,\"file\":{\"driver\":\"file\","
         "\"filename\":\"/srv/a\"}}",
         "/srv/a");
}

static void on_the_network(void **state)
{
    (void)state;
    told("nbd://host/x", "");
    told("nbd+unix:///x?socket=/run/x", "");
    told("rbd:pool/x", "");
    told("json:{\"driver\":\"raw\",\"file\":{\"driver\":\"rbd\",\"pool\":\"p\",\"image\":\"i\","
         "\"server\":[{\"host\":\"h\",\"port\":\"1\"}]}}",
         "");
    told("json:{\"file.driver\":\"nbd\",\"file.host\":\"h\"}", "");
}

static void nobody_can_tell(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        "a",
        "../a",
        "file:a",
        "blkdebug::/srv/a",
        "json:{",
        "json:[]",
        "json:{\"driver\":\"quorum\",\"children\":[{\"filename\":\"/srv/a\"}]}",
        "json:{\"file\":{\"filename\":\"/srv/a\"},\"backing\":{\"filename\":\"/srv/b\"}}",
        "json:{\"file.file.filename\":\"/srv/a\"}",
        "json:{\"driver\":\"file\"}",
        "json:{\"file\":\"node\"}"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct error err = ERROR_INIT;
        char path[DRIVER_PATH_MAX] = "untouched";
        if (backing_name_path(names[i], "/srv/top", path, &err) == 0)
            fail_msg("%s is taken for '%s'", names[i], path);
        assert_string_equal(path, "untouched");
        assert_non_null(strstr(err.message, "/srv/top"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(on_the_network),
        cmocka_unit_test(nobody_can_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
