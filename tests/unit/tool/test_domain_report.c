/* SPDX-License-Identifier: Apache-2.0 */
/* tool/domain_report.c: a chain of images, as it is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tool/domain_report.h"

static struct image_layer layers[] = {
    {.path = "/b/wednesday", .format = "qcow2", .is_checked = true, .base = IMAGE_BASE_UNKNOWN},
    {.path = "/b/tuesday", .format = "qcow2", .is_checked = true, .base = IMAGE_BASE_KNOWN},
    {.path = "/b/monday", .format = "raw"},
};
static const struct image_chain chain = {layers, 3};

static void print(const struct invocation *invocation, char text[static 4096])
{
    FILE *out = fmemopen(text, 4096, "w");
    assert_non_null(out);
    domain_report_chain(invocation, &chain, out);
    (void)fclose(out);
}

static void a_chain(void **state)
{
    (void)state;
    char text[4096] = "";
    const struct invocation invocation = {.argument = "web"};
    print(&invocation, text);
    assert_non_null(strstr(text, "/b/wednesday  qcow2, 0 B on disk, qemu-img check finds no fault, "
                                 "made on the next: not known\n"));
    assert_non_null(strstr(text,
                           "on /b/tuesday  qcow2, 0 B on disk, qemu-img check finds no fault, "
                           "made on the next\n"));
    assert_non_null(
        strstr(text, "on /b/monday  raw, 0 B on disk, its format has no qemu-img check\n"));
}

static void a_chain_for_programs(void **state)
{
    (void)state;
    char text[4096] = "";
    const struct invocation invocation = {.values = {[INVOCATION_JSON] = ""}};
    print(&invocation, text);
    json_t *value = json_loads(text, 0, NULL);
    const json_t *list = json_object_get(value, "layers");
    assert_int_equal(json_array_size(list), 3);
    assert_true(json_is_false(json_object_get(json_array_get(list, 0), "base_known")));
    assert_true(json_is_true(json_object_get(json_array_get(list, 1), "base_known")));
    assert_true(json_is_null(json_object_get(json_array_get(list, 2), "base_known")));
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain),
        cmocka_unit_test(a_chain_for_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
