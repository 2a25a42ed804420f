/* SPDX-License-Identifier: Apache-2.0 */
/* domain/branch_plan.c, branch_need.c, branch_relink.c: which files go with a branch, and who is in
 * the way. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/branch_need.h"
#include "domain/branch_plan.h"
#include "domain/branch_relink.h"
#include "domain/layer_age.h"
#include "domain/layer_map_int.h"
#include "domain/merge_chain.h"
#include "tests/unit/driver/temp_folder.h"

/*
 * Checkpoints a and b were made: disk <- disk.a <- disk.b. Then the guest went back to a: what it
 * left is checkpoint left, of disk.b, with the layer disk.left; it goes on in disk.a-1, on disk.
 */
enum { DISK, A, B, LEFT, NOW, MORE, FILES };

static const char *const file_names[] = {"disk",      "disk.a",   "disk.b",
                                         "disk.left", "disk.a-1", "more"};
static const char *paths[FILES];
static struct layer_map map;
static struct error err;
static json_t *branch;
static int spoilt; /* the file that was written to since */

int __wrap_merge_chain_look(const char *path, const char *format, json_t **ret_file,
                            struct error *error);
int __wrap_merge_chain_look(const char *path, const char *format, json_t **ret_file,
                            struct error *error)
{
    (void)error;
    *ret_file = json_pack("{s:s, s:s}", "path", path, "format", format);
    return 0;
}

bool __wrap_layer_age_is_unwritten(const struct stat *st, const char *above);
bool __wrap_layer_age_is_unwritten(const struct stat *st, const char *above)
{
    (void)above;
    return spoilt == FILES || st->st_ino != map.files[spoilt].st.st_ino;
}

static void add_name(int which, enum layer_name_kind kind, const char *snapshot, const char *domain)
{
    char of_domain[32], of_snapshot[32];
    (void)snprintf(of_domain, sizeof(of_domain), "%s", domain);
    (void)snprintf(of_snapshot, sizeof(of_snapshot), "%s", snapshot ? snapshot : "");
    const struct layer_name name = {.kind = kind,
                                    .is_own = strcmp(domain, "web") == 0,
                                    .domain = of_domain,
                                    .snapshot = snapshot ? of_snapshot : NULL};
    assert_int_equal(layer_map_add_name(&map, &name, paths[which], "qcow2", &err), 0);
}

static void add_checkpoint(const char *name, int state, int layer)
{
    add_name(state, LAYER_NAME_STATE, name, "web");
    add_name(layer, LAYER_NAME_OVERLAY, name, "web");
}

static int set_up(void **state)
{
    static const size_t below[] = {LAYER_MAP_NONE, DISK, A, B, DISK, LAYER_MAP_NONE};
    (void)state;
    err = (struct error)ERROR_INIT;
    map = (struct layer_map){0};
    branch = NULL;
    spoilt = FILES;
    for (int i = 0; i < FILES; i++) {
        size_t place;
        paths[i] = temp_path(file_names[i]);
        int fd = open(paths[i], O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0 && close(fd) == 0);
        assert_int_equal(layer_map_add_file(&map, paths[i], "qcow2", &place, &err), 0);
        assert_int_equal(place, i);
        map.files[i].below = below[i];
    }
    add_name(NOW, LAYER_NAME_DISK, NULL, "web");
    add_checkpoint("a", DISK, A);
    add_checkpoint("b", A, B);
    add_checkpoint("left", B, LEFT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(branch);
    layer_map_done(&map);
    return 0;
}

static int plan(const char *snapshot, int base, int layer)
{
    struct checkpoint_disk disk = {.target = "vda"};
    (void)snprintf(disk.base, sizeof(disk.base), "%s", paths[base]);
    (void)snprintf(disk.overlay, sizeof(disk.overlay), "%s", paths[layer]);
    const struct branch_plan_request request = {snapshot, &disk, 1, "2"};
    json_decref(branch);
    branch = NULL;
    return branch_plan(&map, &request, &branch, &err);
}

static const json_t *disk_of_branch(void)
{
    return json_array_get(json_object_get(branch, "disks"), 0);
}

static void goes(const char *snapshot, int base, int layer, const char *files, int stays)
{
    if (plan(snapshot, base, layer) < 0)
        fail_msg("%s", err.message);
    const json_t *gone = json_object_get(disk_of_branch(), "gone");
    assert_int_equal(json_array_size(gone), strlen(files));
    for (size_t i = 0; i < strlen(files); i++)
        assert_string_equal(merge_chain_path(json_array_get(gone, i)), paths[files[i] - '0']);
    assert_string_equal(merge_chain_path(json_object_get(disk_of_branch(), "base")), paths[stays]);
}

static void refused(const char *snapshot, int base, int layer, const char *why)
{
    assert_int_equal(plan(snapshot, base, layer), -EINVAL);
    assert_null(branch);
    if (!strstr(err.message, why))
        fail_msg("%s", err.message);
    err = (struct error)ERROR_INIT;
}

static const char *relinked(size_t i, const char *key)
{
    const json_t *relink = json_array_get(json_object_get(branch, "relink"), i);
    const char *text = json_string_value(json_object_get(relink, key));
    return text ? text : "";
}

/* What was written between b and the way back goes, and b gets an empty layer for it. */
static void down_to_what_is_kept(void **state)
{
    (void)state;
    char fresh[300];
    goes("left", B, LEFT, "32", A);
    assert_int_equal(json_array_size(json_object_get(branch, "relink")), 1);
    assert_string_equal(relinked(0, "snapshot"), "b");
    assert_string_equal(relinked(0, "from"), paths[B]);
    assert_string_equal(relinked(0, "base"), paths[A]);
    (void)snprintf(fresh, sizeof(fresh), "%s-2", paths[B]);
    assert_string_equal(relinked(0, "to"), fresh);
    assert_int_equal(branch_need_check(&map, branch, &err), 0);
}

/* The next one, when the first has gone: a's layer is what the guest goes on in. */
static void one_after_the_other(void **state)
{
    (void)state;
    goes("left", B, LEFT, "32", A);
    branch_need_apply(branch, &map);
    goes("b", A, B, "1", DISK);
    assert_int_equal(json_array_size(json_object_get(branch, "relink")), 1);
    assert_string_equal(relinked(0, "snapshot"), "a");
    assert_string_equal(relinked(0, "from"), paths[A]);
    assert_string_equal(relinked(0, "to"), paths[NOW]);
}

static void not_what_others_keep(void **state)
{
    (void)state;
    refused("b", A, B, "checkpoint left of domain web");
    add_name(LEFT, LAYER_NAME_DISK, NULL, "clone");
    refused("left", B, LEFT, "domain clone");
    map.names[map.name_count - 1].file = B;
    refused("left", B, LEFT, "domain clone");
    map.names[map.name_count - 1].file = A; /* which stays */
    goes("left", B, LEFT, "32", A);
}

static void not_what_stands_on_it(void **state)
{
    (void)state;
    map.files[MORE].below = B;
    refused("left", B, LEFT, "more, of a branch, stands on it");
    map.files[MORE].below = LEFT;
    refused("left", B, LEFT, "more, of a branch, stands on it");
}

/* Somebody went back to left, and away again: what was left then is checkpoint left2. */
static void another_way_back_keeps_it(void **state)
{
    (void)state;
    map.files[MORE].below = B;
    add_name(MORE, LAYER_NAME_STATE, "left2", "web");
    goes(NULL, B, LEFT, "3", B);
    assert_string_equal(relinked(0, "to"), paths[MORE]);
}

static void an_image_of_the_domains_own_stays(void **state)
{
    (void)state;
    map.files[B].below = MORE; /* no checkpoint's */
    goes("left", B, LEFT, "3", B);
    map.files[B].below = LAYER_MAP_NONE;
    goes("left", B, LEFT, "3", B);
}

/* The age of the layer alone tells that b was spoilt. */
static void what_tells_of_a_spoilt_one_stays(void **state)
{
    (void)state;
    spoilt = A;
    goes("left", B, LEFT, "3", B);
    assert_int_equal(json_array_size(json_object_get(branch, "relink")), 0);
}

static void as_libvirt_tells_of_it(void **state)
{
    (void)state;
    refused("left", A, LEFT, "does not stand on");
    map.files[A].is_there = false;
    assert_int_equal(unlink(paths[A]), 0);
    refused("b", A, B, "has gone");
    map.files[LEFT].is_there = false;
    map.files[LEFT].below = LAYER_MAP_NONE;
    assert_int_equal(unlink(paths[LEFT]), 0);
    goes("left", B, LEFT, "2", A); /* its own has gone: the rest goes */
}

/* Gone back to left: its own layer is nobody's, and what stands on the same file takes its place.
 */
static void a_layer_without_a_checkpoint(void **state)
{
    (void)state;
    map.files[NOW].below = B;
    goes(NULL, B, LEFT, "3", B);
    assert_string_equal(relinked(0, "snapshot"), "left");
    assert_string_equal(relinked(0, "to"), paths[NOW]);
    map.files[NOW].below = DISK;
    refused(NULL, A, B, "checkpoint left of domain web");
}

static void whoever_comes_since(void **state)
{
    (void)state;
    goes("left", B, LEFT, "32", A);
    add_name(LEFT, LAYER_NAME_DISK, NULL, "web");
    assert_int_equal(branch_need_check(&map, branch, &err), -EINVAL);
    assert_non_null(strstr(err.message, "domain web"));
}

static void layers_in_a_snapshot(void **state)
{
    (void)state;
    char *xml = NULL, snapshot[1024];
    goes("left", B, LEFT, "32", A);
    (void)snprintf(
        snapshot, sizeof(snapshot),
        "<domainsnapshot><name>b</name><disks><disk name='vda'><source file='%s'/></disk>"
        "</disks><domain><devices><disk><source file='%s'/></disk></devices></domain>"
        "</domainsnapshot>",
        paths[B], paths[B]);
    assert_int_equal(branch_relink_xml(snapshot, json_object_get(branch, "relink"), &xml, &err), 0);
    assert_non_null(xml);
    const char *made = strstr(xml, "disk.b-2\"");
    assert_non_null(made);
    assert_null(strstr(made + 1, "disk.b-2\"")); /* what the disk was then stays */
    char *again = NULL;
    assert_int_equal(branch_relink_xml(xml, json_object_get(branch, "relink"), &again, &err), 0);
    assert_null(again);
    free(xml);
    (void)snprintf(
        snapshot, sizeof(snapshot),
        "<domainsnapshot><name>a</name><disks><disk name='vda'><source file='%s'/></disk>"
        "</disks></domainsnapshot>",
        paths[A]);
    assert_int_equal(branch_relink_xml(snapshot, json_object_get(branch, "relink"), &xml, &err), 0);
    assert_null(xml);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(down_to_what_is_kept),
        TEST(one_after_the_other),
        TEST(not_what_others_keep),
        TEST(not_what_stands_on_it),
        TEST(another_way_back_keeps_it),
        TEST(an_image_of_the_domains_own_stays),
        TEST(what_tells_of_a_spoilt_one_stays),
        TEST(a_layer_without_a_checkpoint),
        TEST(whoever_comes_since),
        TEST(layers_in_a_snapshot),
        TEST(as_libvirt_tells_of_it),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
