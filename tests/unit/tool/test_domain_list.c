/* SPDX-License-Identifier: Apache-2.0 */
/* tool/domain_list.c: a domain's checkpoints, as they are printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tool/domain_list.h"

static struct checkpoint_layer there[] = {
    {.target = "vda", .path = "/d/a", .size_on_disk_bytes = 3 << 20, .is_there = true}};
static struct checkpoint_layer gone[] = {{.target = "vda", .path = "/b/gone"}};
static struct checkpoint checkpoints[] = {
    {.name = "one", .is_at_rest = true, .layers = there, .layer_count = 1},
    {.name = "two",
     .layers = there,
     .layer_count = 1,
     .parent = "one",
     .kind = CHECKPOINT_EXTERNAL,
     .is_current = true,
     .has_memory = true,
     .created_s = 1700000000},
    {.name = "branch", .parent = "one", .is_frozen = true},
    {.name = "one", .kind = CHECKPOINT_BITMAP, .layers = gone, .layer_count = 1},
    {.name = "tuesday", .parent = "one", .kind = CHECKPOINT_BITMAP},
};
static struct checkpoint_layer top[] = {
    {.target = "vda", .path = "/d/a.two", .size_on_disk_bytes = 5 << 20, .is_there = true}};
static const struct checkpoint_list list = {
    checkpoints, 5, {.kind = CHECKPOINT_PRESENT, .layers = top, .layer_count = 1}};

static void print(const struct invocation *invocation, char text[static 4096])
{
    FILE *out = fmemopen(text, 4096, "w");
    assert_non_null(out);
    domain_list_write(invocation, &list, out);
    (void)fclose(out);
}

static void a_table(void **state)
{
    (void)state;
    char text[4096] = "";
    const struct invocation invocation = {.argument = "web"};
    print(&invocation, text);
    assert_non_null(strstr(text, "\n  one                               internal  at rest      "
                                 "         -  -\n")); /* what of its files is its own? */
    assert_non_null(strstr(text, "\n* two                               external  with memory  "
                                 "   3.0 MiB  "));
    assert_non_null(strstr(text, "2023-11-14T22:13:20Z\n"));
    assert_non_null(strstr(text, "\n  tuesday                           bitmap    power cut"));
    assert_non_null(strstr(text, "\n  branch                            internal  frozen  "));
    assert_non_null(strstr(text, "vda has gone: /b/gone\n"));
    assert_null(strstr(text, "/d/a"));
    static const char last[] = "\n> (now)                             present   -            "
                               "   5.0 MiB  -\n";
    assert_true(strlen(text) > sizeof(last));
    assert_string_equal(text + strlen(text) - strlen(last), last);
}

static void a_tree(void **state)
{
    (void)state;
    char text[4096] = "";
    const struct invocation invocation = {.values = {[INVOCATION_TREE] = ""}};
    print(&invocation, text);
    const char *snapshots = strstr(text, "\n  one ");
    const char *two = strstr(text, "\n*   two ");
    const char *branch = strstr(text, "\n    branch ");
    const char *bitmaps = snapshots ? strstr(snapshots + 1, "\n  one ") : NULL;
    const char *tuesday = strstr(text, "\n    tuesday ");
    assert_true(snapshots && two && branch && bitmaps && tuesday);
    assert_true(snapshots < two && two < branch && branch < bitmaps && bitmaps < tuesday);
    const char *inside = strstr(text, "\n    vda  -  /d/a\n");
    const char *layer = strstr(text, "\n      vda  3.0 MiB  /d/a\n");
    assert_true(inside && inside > snapshots && inside < two && layer && layer > two);
    const char *now = strstr(text, "\n> (now) "), *now_layer = strstr(text, "5.0 MiB  /d/a.two\n");
    assert_true(now && now > tuesday && now_layer && now_layer > now);
}

static void for_programs(void **state)
{
    (void)state;
    char text[4096] = "";
    const struct invocation invocation = {.values = {[INVOCATION_JSON] = ""}};
    print(&invocation, text);
    json_t *root = json_loads(text, 0, NULL);
    const json_t *two = json_array_get(json_object_get(root, "checkpoints"), 1);
    assert_string_equal(json_string_value(json_object_get(two, "parent")), "one");
    assert_true(json_is_true(json_object_get(two, "is_current")));
    assert_string_equal(json_string_value(json_object_get(two, "kind")), "external");
    const json_t *now = json_object_get(json_object_get(root, "present"), "layers");
    assert_string_equal(json_string_value(json_object_get(json_array_get(now, 0), "path")),
                        "/d/a.two");
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table),
        cmocka_unit_test(a_tree),
        cmocka_unit_test(for_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
