/* SPDX-License-Identifier: Apache-2.0 */
/* driver/snapshot/direct_copy.c: from wherever a process died, nothing is left in the cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/driver/scripted_death.h"
#include "tests/unit/driver/scripted_librbd.h"

#define ALL 1000

static struct libvirt_driver driver = {.freeze_timeout_s = 5};
static struct guest_info info;
static struct direct_snapshot direct;
static struct image_source *image;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    world_reset();
    ceph_reset();
    keep_nothing();
    driver.rbd = (struct rbd_options){.op_timeout_s = 300};
    info = (struct guest_info){.uuid = UUID,
                               .power_state = POWER_STATE_RUNNING,
                               .source_type = DISK_SOURCE_RBD,
                               .disk_path = "rbd:vms/u_disk",
                               .disk_format = "raw"};
    direct = (struct direct_snapshot){.image_id = IMAGE_ID, .quiesce = true, .journal = &journal};
    return 0;
}

static void take(void)
{
    char *location = NULL;
    (void)libvirt_direct_snapshot(&driver, &info, &direct, &location, &err);
}

/* What the process had open went with it. */
static void run(int index)
{
    run_until_death(index, take);
    ceph.disk.opened = ceph.copy.opened = ceph.pools = ceph.clusters = 0;
}

static int recover_entries(const json_t *entries, bool host_rebooted)
{
    image = NULL;
    err = (struct error)ERROR_INIT;
    const struct driver_recovery recovery = {UUID, entries, host_rebooted, NULL};
    return libvirt_recover(&driver, &recovery, &image, &err);
}

static int recover(bool host_rebooted)
{
    json_t *entries = read_journal();
    int r = recover_entries(entries, host_rebooted);
    json_decref(entries);
    return r;
}

static void assert_no_snaps(const struct scripted_image *rbd)
{
    for (int i = 0; i < SNAPS_MAX; i++)
        assert_string_equal(rbd->snaps[i].name, "");
}

static void assert_all_as_before(void)
{
    assert_null(image);
    assert_true(ceph.disk.exists);
    assert_no_snaps(&ceph.disk);
    assert_false(ceph.copy.exists);
    assert_no_snaps(&ceph.copy);
    assert_int_equal(ceph.disk.opened + ceph.copy.opened + ceph.pools + ceph.clusters, 0);
    assert_false(world.frozen);
    assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
}

static void recovers_from_everywhere(void **state)
{
    set_up(state);
    run(ALL);
    int calls = kept->world.call_count;
    assert_true(calls > 20);
    assert_true(kept->writes == 2);
    assert_true(ceph.copy.exists);
    assert_int_equal(recover(false), 0);
    assert_all_as_before();
    for (int index = 0; index < calls; index++) {
        for (int rebooted = 0; rebooted <= 1; rebooted++) {
            set_up(state);
            run(index);
            if (rebooted)
                reboot_host();
            if (recover(rebooted) < 0)
                fail_msg("%d: %s", index, err.message);
            assert_all_as_before();
            assert_int_equal(recover(rebooted), 0);
        }
    }
}

static void recovers_after_a_failure(void **state)
{
    set_up(state);
    run(ALL);
    int calls = kept->world.call_count;
    for (int index = 0; index < calls; index += 3) {
        for (int failing = 0;; failing++) {
            set_up(state);
            run(index);
            world.fail_index = failing;
            int r = recover(false);
            bool was_the_last = world.call_count <= failing;
            world.fail_index = -1;
            if (r < 0)
                assert_int_equal(recover(false), 0);
            assert_all_as_before();
            if (was_the_last)
                break;
        }
    }
}

/* What the dead process had open is in use for a while, longer than nova's options may say. */
static void image_in_use_is_waited_for(void **state)
{
    set_up(state);
    driver.rbd.destroy_retries = 0;
    driver.rbd.destroy_retry_interval_s = 0;
    run(ALL);
    ceph.busy = 2;
    assert_int_equal(recover(false), 0);
    assert_all_as_before();
}

static void deleted_disk_has_no_snapshot(void **state)
{
    set_up(state);
    run(12);
    ceph.disk.exists = false;
    world.exists = false;
    assert_int_equal(recover(false), 0);
    assert_false(ceph.copy.exists);
}

/* An image that was there before is never written down, and so never removed. */
static void image_of_somebody_else_stays(void **state)
{
    set_up(state);
    ceph.copy.exists = true;
    run(ALL);
    assert_string_equal(kept->journal, "");
    assert_int_equal(recover(false), 0);
    assert_true(ceph.copy.exists);
}

static void take_and_undo(void)
{
    char *location = NULL;
    if (libvirt_direct_snapshot(&driver, &info, &direct, &location, &err) == 0)
        (void)libvirt_direct_undo(&driver, location, &journal, &err);
}

/* Which Glance stores under the same name, once the data has gone another way. */
static void store_with_glance(void)
{
    assert_false(ceph.copy.exists);
    ceph.copy.exists = true;
    add_snap(&ceph.copy, "snap");
}

static void assert_glance_keeps_it(void)
{
    assert_int_equal(recover(false), 0);
    assert_true(ceph.copy.exists);
    assert_true(snap_index(&ceph.copy, "snap") >= 0);
    assert_no_snaps(&ceph.disk);
}

static void what_was_undone_is_not_ours_any_more(void **state)
{
    static const char *const failing[] = {"rbd_snap_create", "rbd_clone", "rbd_flatten",
                                          "rbd_snap_create-copy", "no call at all"};
    for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
        set_up(state);
        world.fail_name = failing[i];
        run_until_death(ALL, take_and_undo);
        store_with_glance();
        assert_glance_keeps_it();
    }
}

static void clean_up_that_failed_is_recovers(void **state)
{
    static const char *const failing[] = {"rbd_snap_unprotect-copy", "rbd_snap_remove-copy",
                                          "rbd_remove", "rados_connect", "journal-write"};
    for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
        set_up(state);
        run(ALL);
        world.fail_name = failing[i];
        err = (struct error)ERROR_INIT;
        assert_true(libvirt_direct_undo(&driver, "rbd://" FSID "/images/" IMAGE_ID "/snap",
                                        &journal, &err) < 0);
        world.fail_name = NULL;
        assert_int_equal(recover(false), 0);
        assert_all_as_before();
    }
}

static void hostile_entries_are_refused(void **state)
{
    static const char *const keys[] = {"uuid", "disk_path", "snap", "fsid", "pool", "image"};
    static const char *const values[] = {"null",     "17",      "\"\"",
                                         "\"../x\"", "\"a b\"", "\"other-than-ours\""};
    set_up(state);
    run(16);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
            json_t *entries = read_journal();
            (void)json_object_set_new(json_array_get(entries, 0), keys[i],
                                      json_loads(values[j], JSON_DECODE_ANY, NULL));
            bool plain = j == 5 && strcmp(keys[i], "pool") == 0; /* one that could be ours */
            if (!plain && recover_entries(entries, false) == 0)
                fail_msg("%s=%s is taken", keys[i], values[j]);
            assert_false(was_called("rbd_remove") || was_called("rbd_snap_remove"));
            world.call_count = 0;
            json_decref(entries);
        }
    }
    assert_int_equal(recover(false), 0);
    assert_all_as_before();
}

static int tear_down_group(void **state)
{
    (void)state;
    domain_watches_free(world.watches);
    return 0;
}

static int set_up_group(void **state)
{
    (void)state;
    if (set_up_death() < 0 || domain_watches_new(&world.watches, &err) < 0)
        return -1;
    kept->more = &ceph;
    kept->more_size = sizeof(ceph);
    kept->more_kept =
        mmap(NULL, sizeof(ceph), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return kept->more_kept == MAP_FAILED ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recovers_from_everywhere),
        cmocka_unit_test(recovers_after_a_failure),
        cmocka_unit_test(image_in_use_is_waited_for),
        cmocka_unit_test(deleted_disk_has_no_snapshot),
        cmocka_unit_test(image_of_somebody_else_stays),
        cmocka_unit_test(what_was_undone_is_not_ours_any_more),
        cmocka_unit_test(clean_up_that_failed_is_recovers),
        cmocka_unit_test(hostile_entries_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
