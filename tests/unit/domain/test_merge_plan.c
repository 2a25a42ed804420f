/* SPDX-License-Identifier: Apache-2.0 */
/* domain/merge_plan.c: what goes where, and who is in the way. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/layer_map_int.h"
#include "domain/merge_chain.h"
#include "domain/merge_plan.h"
#include "tests/unit/driver/temp_folder.h"

/* base <- o1 <- o2 <- o3, which the guest writes to; and a file beside them. */
enum { BASE, O1, O2, O3, BESIDE, FILES };

static const char *paths[FILES];
static json_t *chain;
static struct layer_map map;
static struct error err;

static json_t *file_of(int which, const char *format)
{
    struct stat st;
    assert_int_equal(stat(paths[which], &st), 0);
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "path", paths[which], "format", format,
                     "dev", (json_int_t)st.st_dev, "ino", (json_int_t)st.st_ino, "size_bytes",
                     (json_int_t)1 << 20, "allocated_bytes", (json_int_t)4096);
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

static int set_up(void **state)
{
    static const char *const names[] = {"base", "o1", "o2", "o3", "beside"};
    (void)state;
    err = (struct error)ERROR_INIT;
    map = (struct layer_map){0};
    chain = json_array();
    for (int i = 0; i < FILES; i++) {
        size_t place;
        paths[i] = temp_path(names[i]);
        int fd = open(paths[i], O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0 && close(fd) == 0);
        assert_int_equal(layer_map_add_file(&map, paths[i], "qcow2", &place, &err), 0);
        assert_int_equal(place, i);
        map.files[i].below = i == BASE || i == BESIDE ? LAYER_MAP_NONE : (size_t)i - 1;
    }
    for (int i = O3; i >= BASE; i--)
        (void)json_array_append_new(chain, file_of(i, i == BASE ? "raw" : "qcow2"));
    add_name(O3, LAYER_NAME_DISK, NULL, "web");
    for (int i = BASE; i < O3; i++) {
        const char *const snapshots[] = {"a", "b", "c"};
        add_name(i, LAYER_NAME_STATE, snapshots[i], "web");
        add_name(i + 1, LAYER_NAME_OVERLAY, snapshots[i], "web");
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(chain);
    layer_map_done(&map);
    return 0;
}

static json_t *planned(int base, const char *format, bool all)
{
    const struct merge_plan_request request = {"vda", paths[base], format, all, NULL};
    json_t *disk = NULL;
    if (merge_plan_disk(chain, &request, &disk, &err) < 0)
        fail_msg("%s", err.message);
    return disk;
}

static void goes_into(int base, const char *snapshot)
{
    json_t *disk = planned(base, NULL, false);
    if (merge_plan_check_users(&map, disk, snapshot, false, &err) < 0)
        fail_msg("%s", err.message);
    json_decref(disk);
}

static void stays(int base, const char *snapshot, bool all, const char *who)
{
    json_t *disk = planned(base, NULL, all);
    assert_int_equal(merge_plan_check_users(&map, disk, snapshot, false, &err), -EINVAL);
    if (!strstr(err.message, who))
        fail_msg("%s", err.message);
    err = (struct error)ERROR_INIT;
    json_decref(disk);
}

static void what_is_above_goes_down(void **state)
{
    (void)state;
    json_t *disk = planned(O1, "qcow2", false);
    assert_string_equal(merge_chain_path(json_object_get(disk, "base")), paths[O1]);
    assert_string_equal(merge_chain_path(json_array_get(json_object_get(disk, "gone"), 0)),
                        paths[O2]);
    assert_int_equal(json_array_size(json_object_get(disk, "gone")), 1);
    assert_string_equal(merge_chain_path(json_object_get(disk, "above")), paths[O3]);
    json_decref(disk);
    disk = planned(BASE, "raw", true);
    assert_int_equal(json_array_size(json_object_get(disk, "gone")), 3);
    assert_null(json_object_get(disk, "above"));
    json_decref(disk);
    assert_null(planned(O3, NULL, true)); /* nothing stands on it */
}

static void not_planned(int base, const char *format, const char *why)
{
    const struct merge_plan_request request = {"vda", paths[base], format, false, NULL};
    json_t *disk = NULL;
    assert_true(merge_plan_disk(chain, &request, &disk, &err) < 0);
    assert_null(disk);
    if (!strstr(err.message, why))
        fail_msg("%s", err.message);
    err = (struct error)ERROR_INIT;
}

static void what_takes_no_part(void **state)
{
    (void)state;
    not_planned(BESIDE, NULL, "goes on from elsewhere");
    not_planned(BASE, "qcow2", "of another format now");
    json_t *o2 = json_array_get(chain, 1);
    (void)json_object_set_new(o2, "size_bytes", json_integer(1));
    not_planned(O1, NULL, "resized");
    (void)json_object_set_new(o2, "problem", json_string("it is called by a link"));
    not_planned(O1, NULL, "by a link");
    not_planned(O2, NULL, "by a link");
}

static void the_layer_it_was_made_with(void **state)
{
    (void)state;
    struct merge_plan_request request = {"vda", paths[O1], "qcow2", false, paths[O2]};
    json_t *disk = NULL;
    assert_int_equal(merge_plan_disk(chain, &request, &disk, &err), 0);
    json_decref(disk);
    disk = NULL;
    request.layer = paths[O3]; /* libvirt has been told of another state since */
    assert_int_equal(merge_plan_disk(chain, &request, &disk, &err), -EINVAL);
    assert_non_null(strstr(err.message, "not the layer"));
    assert_null(disk);
}

static void each_checkpoint_of_a_chain(void **state)
{
    (void)state;
    goes_into(BASE, "a");
    goes_into(O1, "b");
    goes_into(O2, "c");
}

static void nobody_elses(void **state)
{
    (void)state;
    stays(O1, "none", false, "checkpoint b of domain web"); /* whose it is not */
    add_name(O2, LAYER_NAME_STATE, "d", "web");
    goes_into(O1, "b");
    add_name(O2, LAYER_NAME_OVERLAY, "e", "web");
    stays(O1, "b", false, "checkpoint e");
    add_name(BASE, LAYER_NAME_STATE, "f", "web");
    stays(BASE, "a", false, "checkpoint f");
}

static void another_domain(void **state)
{
    (void)state;
    add_name(O3, LAYER_NAME_DISK, NULL, "other");
    stays(O2, "c", false, "domain other");
    stays(BASE, "a", false, "domain other");
}

static void a_branch(void **state)
{
    (void)state;
    map.files[BESIDE].below = O1;
    add_name(BESIDE, LAYER_NAME_STATE, "left", "web");
    stays(O1, "b", false, "checkpoint left");
    stays(BASE, "a", false, "of a branch");
    goes_into(O2, "c");
}

static void a_definition_that_names_what_is_below(void **state)
{
    (void)state;
    add_name(O2, LAYER_NAME_DISK, NULL, "web");
    stays(O1, "b", false, "domain web");
    stays(O2, "c", false, "domain web");
    json_t *disk = planned(O2, NULL, false); /* it was redefined by this very merge */
    assert_int_equal(merge_plan_check_users(&map, disk, "c", true, &err), 0);
    json_decref(disk);
}

static void one_that_is_inside(void **state)
{
    (void)state;
    add_name(O2, LAYER_NAME_STATE, "in", "web");
    map.names[map.name_count - 1].is_internal = true;
    stays(O1, "b", false, "checkpoint in");
}

static void flat_when_no_checkpoint_is_left(void **state)
{
    (void)state;
    stays(BASE, NULL, true, "checkpoint");
    for (; map.name_count > 1; map.name_count--) {
        free(map.names[map.name_count - 1].domain);
        free(map.names[map.name_count - 1].snapshot);
    }
    json_t *disk = planned(BASE, NULL, true);
    assert_int_equal(merge_plan_check_users(&map, disk, NULL, false, &err), 0);
    json_decref(disk);
}

static void headers_that_have_changed(void **state)
{
    (void)state;
    json_t *disk = planned(O1, NULL, false);
    map.files[O2].below = BASE;
    assert_int_equal(merge_plan_check_users(&map, disk, "b", false, &err), -EINVAL);
    json_decref(disk);
}

/* A chain of these files, from the top on down. */
static enum merge_plan_state state_of(const json_t *disk, const char *files, bool rebooted)
{
    json_t *now = json_array();
    for (; *files; files++)
        (void)json_array_append_new(now, file_of(*files - '0', "qcow2"));
    if (rebooted) {
        json_t *file;
        size_t i;
        json_array_foreach (now, i, file)
            (void)json_object_set_new(file, "dev", json_integer(77));
    }
    enum merge_plan_state state = merge_plan_state(disk, now, rebooted);
    json_decref(now);
    return state;
}

static void how_far_it_is(void **state)
{
    (void)state;
    json_t *middle = planned(O1, NULL, false), *top = planned(O2, NULL, false);
    assert_int_equal(state_of(middle, "3210", false), MERGE_PLAN_PENDING);
    assert_int_equal(state_of(middle, "310", false), MERGE_PLAN_DONE);
    assert_int_equal(state_of(middle, "310", true), MERGE_PLAN_DONE);
    assert_int_equal(state_of(middle, "210", false), MERGE_PLAN_OTHER);
    assert_int_equal(state_of(middle, "10", false), MERGE_PLAN_OTHER);
    assert_int_equal(state_of(middle, "", false), MERGE_PLAN_OTHER);
    assert_int_equal(state_of(top, "3210", false), MERGE_PLAN_PENDING);
    assert_int_equal(state_of(top, "210", false), MERGE_PLAN_DONE);
    assert_int_equal(state_of(top, "4210", false), MERGE_PLAN_UNDER); /* reverted to it since */
    assert_int_equal(state_of(top, "43210", false), MERGE_PLAN_BELOW);
    assert_int_equal(state_of(top, "42310", false), MERGE_PLAN_OTHER);
    assert_int_equal(state_of(middle, "410", false), MERGE_PLAN_OTHER);
    assert_int_equal(state_of(top, "431", false), MERGE_PLAN_OTHER);
    json_decref(middle);
    json_decref(top);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_above_goes_down),
        TEST(what_takes_no_part),
        TEST(the_layer_it_was_made_with),
        TEST(each_checkpoint_of_a_chain),
        TEST(nobody_elses),
        TEST(another_domain),
        TEST(a_branch),
        TEST(a_definition_that_names_what_is_below),
        TEST(one_that_is_inside),
        TEST(flat_when_no_checkpoint_is_left),
        TEST(headers_that_have_changed),
        TEST(how_far_it_is),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
