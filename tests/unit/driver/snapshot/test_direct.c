/* SPDX-License-Identifier: Apache-2.0 */
/* driver/snapshot/direct.c, rbd.c: whatever fails, nothing is left in the cluster and the guest
 * runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/driver/scripted_librbd.h"

#define LOCATION "rbd://" FSID "/images/" IMAGE_ID "/snap"

static struct libvirt_driver driver;
static struct guest_info info;
static struct direct_snapshot direct;
static char *location;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    world_reset();
    ceph_reset();
    driver.freeze_timeout_s = 5;
    driver.rbd = (struct rbd_options){.ceph_conf = "/etc/ceph.conf",
                                      .user = "nova",
                                      .connect_timeout_s = 7,
                                      .op_timeout_s = 300,
                                      .destroy_retries = 3};
    info = (struct guest_info){.uuid = UUID,
                               .power_state = POWER_STATE_RUNNING,
                               .source_type = DISK_SOURCE_RBD,
                               .disk_path = "rbd:vms/u_disk",
                               .disk_format = "raw"};
    direct = (struct direct_snapshot){.image_id = IMAGE_ID, .quiesce = true};
    return 0;
}

static int take(void)
{
    location = NULL;
    err = (struct error)ERROR_INIT;
    return libvirt_direct_snapshot(&driver, &info, &direct, &location, &err);
}

static int undo(const char *text)
{
    err = (struct error)ERROR_INIT;
    return libvirt_direct_undo(&driver, text, NULL, &err);
}

static void assert_all_closed(void)
{
    assert_int_equal(ceph.disk.opened, 0);
    assert_int_equal(ceph.copy.opened, 0);
    assert_int_equal(ceph.pools, 0);
    assert_int_equal(ceph.clusters, 0);
}

static void assert_guest_runs(void)
{
    assert_false(world.frozen);
    assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
}

static void assert_no_snaps(const struct scripted_image *image)
{
    for (int i = 0; i < SNAPS_MAX; i++)
        assert_string_equal(image->snaps[i].name, "");
}

static void assert_nothing_left(void)
{
    assert_no_snaps(&ceph.disk);
    assert_true(ceph.disk.exists);
    assert_no_snaps(&ceph.copy);
    assert_false(ceph.copy.exists);
    assert_all_closed();
    assert_guest_runs();
    assert_null(location);
}

static void assert_error(const char *exc, const char *text)
{
    assert_string_equal(err.exc, exc);
    if (!strstr(err.message, text))
        fail_msg("\"%s\" does not say \"%s\"", err.message, text);
}

static void assert_complete(void)
{
    assert_string_equal(location, LOCATION);
    free(location);
    location = NULL;
    assert_true(ceph.copy.exists);
    assert_false(ceph.copy.has_parent);
    assert_true(snap_is_protected(&ceph.copy, "snap"));
    assert_no_snaps(&ceph.disk);
    assert_all_closed();
    assert_guest_runs();
}

static void good_snapshot_in_order(void **state)
{
    static const char *const order[] = {"rados_connect",    "FSFreeze",
                                        "rbd_snap_create",  "FSThaw",
                                        "rbd_snap_protect", "rbd_clone",
                                        "rbd_flatten",      "rbd_snap_unprotect",
                                        "rbd_snap_remove",  "rbd_snap_create-copy"};
    (void)state;
    assert_int_equal(take(), 0);
    for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++) {
        assert_true(was_called(order[i]));
        assert_true(place_of(order[i - 1]) < place_of(order[i]));
    }
    assert_true(ceph.frozen_at_snap);
    assert_string_equal(ceph.user, "nova");
    assert_string_equal(ceph.ceph_conf, "/etc/ceph.conf");
    assert_string_equal(ceph.mount_timeout, "7");
    assert_string_equal(ceph.op_timeout, "300");
    assert_int_equal(ceph.clone_features, 5);
    assert_complete();
}

static void defaults_are_cephs(void **state)
{
    (void)state;
    driver.rbd.user = driver.rbd.ceph_conf = "";
    driver.rbd.connect_timeout_s = -1;
    ceph.default_features = "no,such,features";
    assert_int_equal(take(), 0);
    assert_string_equal(ceph.user, "NULL");
    assert_string_equal(ceph.ceph_conf, "NULL");
    assert_string_equal(ceph.mount_timeout, "");
    assert_int_equal(ceph.clone_features, RBD_FEATURE_LAYERING);
    assert_complete();
}

/* Failures of these are not the snapshot's. */
static bool is_needed(const char *name)
{
    return strcmp(name, "rados_conf_get") != 0 && strcmp(name, "rbd_features_from_string") != 0 &&
           (direct.require_quiesce ||
            (strcmp(name, "AgentSetResponseTimeout") != 0 && strcmp(name, "FSFreeze") != 0));
}

/* Putting the guest right. */
static bool is_tried_again(const char *name, int index)
{
    return strcmp(name, "GetTime") == 0 || strcmp(name, "FSThaw") == 0 ||
           (strcmp(name, "AgentSetResponseTimeout") == 0 && index > place_of("FSThaw"));
}

static void each_call_fails(bool require_quiesce, bool with_effect)
{
    int index = 0;
    for (;; index++) {
        (void)set_up(NULL);
        direct.require_quiesce = require_quiesce;
        world.fail_index = index;
        world.fail_with_effect = with_effect;
        int r = take();
        if (world.call_count <= index) { /* none was left to fail */
            assert_int_equal(r, 0);
            assert_complete();
            break;
        }
        const char *name = world.calls[index];
        if (strcmp(name, "AgentSetResponseTimeout") == 0) /* what it had was not known */
            world.agent_timeout_s = VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK;
        if (r == 0) {
            assert_complete();
            if (is_needed(name) && !is_tried_again(name, index))
                fail_msg("call %d, %s, failed unnoticed", index, name);
            continue;
        }
        assert_nothing_left();
        assert_int_equal(err.errnum, EIO);
        assert_null(strstr(err.message, "then:")); /* undone without another failure */
    }
    assert_true(index > 25);
}

static void each_call_fails_in_turn(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        each_call_fails(i & 1, i & 2);
}

/* What is undone may fail as well, once. */
static void two_calls_fail(void **state)
{
    static const char *const first[] = {"rbd_snap_create", "rbd_snap_protect", "rbd_clone",
                                        "rbd_flatten", "rbd_snap_protect-copy"};
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        for (int later = 1;; later++) {
            (void)set_up(state);
            world.fail_with_effect = true;
            world.fail_name = first[i];
            assert_int_equal(take(), -EIO);
            int place = place_of(first[i]);
            (void)set_up(state);
            world.fail_with_effect = true;
            world.fail_name = first[i];
            world.fail_index = place + later;
            assert_int_equal(take(), -EIO);
            if (world.call_count <= place + later)
                break;
            assert_nothing_left();
        }
    }
}

static void first_error_is_kept(void **state)
{
    (void)state;
    world.fail_name = "rbd_snap_create-copy";
    ceph.error = -ENOSPC;
    assert_int_equal(take(), -ENOSPC);
    assert_nothing_left();
    assert_error(EXC_OS_ERROR,
                 "cannot take a snapshot of RBD image images/" IMAGE_ID ": No space left");

    (void)set_up(state);
    world.fail_name = "rbd_flatten";
    ceph.busy = -1;
    assert_int_equal(take(), -EIO);
    assert_error(EXC_OS_ERROR, "cannot flatten RBD image images/" IMAGE_ID);
    assert_non_null(strstr(err.message, "; then: cannot remove RBD image images/" IMAGE_ID));
    assert_non_null(strstr(err.message, "; then: cannot unprotect the snapshot of RBD image vms/"));
    assert_all_closed();
    assert_guest_runs();
}

/* Also where librbd has to come to its own end first. */
static void cancelled_at_each_call(void **state)
{
    int cancelled = 0, calls = 1;
    for (int index = 0; index < calls; index++) {
        struct canceller canceller;
        (void)set_up(state);
        canceller_enter(&canceller);
        world.canceller = &canceller;
        world.cancel_index = index;
        int r = take();
        calls = world.call_count;
        canceller_leave(&canceller);
        if (r == 0) {
            assert_complete();
            continue;
        }
        assert_cancelled(r, &err);
        assert_nothing_left();
        assert_guest_runs();
        cancelled++;
    }
    assert_true(cancelled > 5 && calls > cancelled);
}

static void snapshot_in_use_is_waited_for(void **state)
{
    (void)state;
    ceph.busy = 3;
    assert_int_equal(take(), 0);
    assert_int_equal(ceph.attempts, 4);
    assert_complete();

    (void)set_up(state);
    ceph.busy = 4; /* once more than is tried */
    assert_int_equal(take(), -EBUSY);
    assert_error(EXC_OS_ERROR, "cannot unprotect the snapshot of RBD image vms/u_disk");
    assert_nothing_left();
}

static void no_permission_is_forbidden(void **state)
{
    (void)state;
    world.fail_name = "rbd_clone";
    ceph.error = -EPERM;
    assert_int_equal(take(), -EPERM);
    assert_error(EXC_FORBIDDEN, "cannot clone the root disk into RBD image images/" IMAGE_ID);
    assert_int_equal(err.code, 403);
    assert_nothing_left();
    assert_false(was_called("rbd_remove"));
}

/* Which would hide from recover that something is left. */
static void no_other_way_is_gone_with_something_left(void **state)
{
    (void)state;
    world.fail_name = "rbd_clone";
    ceph.error = -EPERM;
    ceph.busy = -1;
    assert_int_equal(take(), -EPERM);
    assert_error(EXC_INTERNAL_ERROR, "cannot clone the root disk into RBD image images/" IMAGE_ID);
    assert_non_null(strstr(err.message, "; then: cannot unprotect the snapshot of RBD image vms/"));
    assert_all_closed();
    assert_guest_runs();
}

static void image_of_others_is_not_touched(void **state)
{
    (void)state;
    ceph.copy.exists = true;
    add_snap(&ceph.copy, "snap");
    assert_int_equal(take(), -EEXIST);
    assert_true(ceph.copy.exists);
    assert_true(snap_index(&ceph.copy, "snap") >= 0);
    assert_no_snaps(&ceph.disk);
    assert_all_closed();
}

static void pool_of_the_image_without_a_parent(void **state)
{
    static const char *const locations[] = {
        "file:///var/lib/glance/images/u", "rbd://00000000-0000-0000-0000-000000000000/vms/u/snap",
        "rbd://" FSID "/gone/u/snap",      "rbd://" FSID "/im%61ges/u/snap",
        "rbd://" FSID "/vms/u/snap",       NULL,
    };
    const char *const no_locations[] = {locations[0], locations[1], locations[2], NULL};
    (void)state;
    ceph.parent_pool = NULL;
    direct.parent_locations = locations;
    assert_int_equal(take(), 0);
    assert_complete();

    for (int i = 0; i < 2; i++) {
        (void)set_up(state);
        ceph.parent_pool = NULL;
        direct.parent_locations = i == 0 ? no_locations : NULL;
        assert_int_equal(take(), -ENOENT);
        assert_error(EXC_IMAGE_UNACCEPTABLE,
                     "Cannot determine the parent storage pool for " IMAGE_ID);
        assert_nothing_left();
        assert_false(was_called("FSFreeze"));
        assert_false(was_called("rbd_snap_create"));
    }
}

static void parent_that_no_location_can_name(void **state)
{
    for (int i = 0; i < 2; i++) {
        (void)set_up(state);
        ceph.parent_pool = i == 0 ? "ima/ges" : "images";
        ceph.parent_namespace = i == 0 ? NULL : "tenant";
        assert_int_equal(take(), -ENOTSUP);
        assert_error(EXC_IMAGE_UNACCEPTABLE, "in a pool that a location can name");
        assert_nothing_left();
        assert_false(was_called("rbd_snap_create"));
    }
}

static void what_cannot_be_done_directly(void **state)
{
    (void)state;
    ceph.library_missing = true;
    assert_int_equal(take(), -ENOTSUP);
    assert_error(EXC_IMAGE_UNACCEPTABLE, "no librbd");
    info.source_type = DISK_SOURCE_FILE;
    assert_int_equal(take(), -ENOTSUP);
    assert_error(EXC_IMAGE_UNACCEPTABLE, "is not on RBD");
    (void)set_up(state);
    (void)strcpy(info.disk_path, "rbd:vms/u_disk@snap");
    assert_int_equal(take(), -EINVAL);
    assert_error(EXC_INVALID_DISK_INFO, "not the plain name");
    (void)strcpy(info.disk_path, "rbd:vms/nothing");
    assert_int_equal(take(), -ENOENT);
    assert_error(EXC_DISK_NOT_FOUND, "cannot open RBD image vms/nothing");
    direct.image_id = "../x";
    assert_int_equal(take(), -EINVAL);
    assert_error(EXC_INTERNAL_ERROR, "is not a uuid");
    assert_nothing_left();
}

static void only_a_running_guest_is_frozen(void **state)
{
    (void)state;
    info.power_state = POWER_STATE_SHUTDOWN;
    direct.require_quiesce = true;
    assert_int_equal(take(), 0);
    assert_false(was_called("FSFreeze"));
    assert_complete();

    (void)set_up(state);
    direct.quiesce = false;
    assert_int_equal(take(), 0);
    assert_false(was_called("find_domain"));
    assert_complete();
}

static void freeze_that_is_refused(void **state)
{
    (void)state;
    world.frozen_by_other = true;
    assert_int_equal(take(), 0);
    assert_false(ceph.frozen_at_snap);
    assert_complete();

    (void)set_up(state);
    world.frozen_by_other = true;
    direct.require_quiesce = true;
    assert_int_equal(take(), -EIO);
    assert_error(EXC_LIBVIRT_ERROR, "\"os_require_quiesce\" is set");
    assert_false(was_called("rbd_snap_create"));
    assert_nothing_left();

    (void)set_up(state);
    direct = (struct direct_snapshot){.image_id = IMAGE_ID, .require_quiesce = true};
    assert_int_equal(take(), -EINVAL);
    assert_error(EXC_QEMU_GUEST_AGENT_NOT_ENABLED, "QEMU guest agent is not enabled");
    assert_false(was_called("rbd_snap_create"));
    assert_nothing_left();
}

static void guest_that_cannot_be_thawed_is_told(void **state)
{
    (void)state;
    world.fail_name = "FSThaw";
    assert_int_equal(take(), -EIO);
    assert_error(EXC_LIBVIRT_ERROR, "cannot thaw the guest's filesystems");
    assert_no_snaps(&ceph.disk);
    assert_false(ceph.copy.exists);
    assert_false(was_called("rbd_clone"));
    assert_all_closed();
}

static void guest_that_ends_needs_no_thaw(void **state)
{
    (void)state;
    ceph.guest_ends_at_snap = true;
    assert_int_equal(take(), 0);
    assert_complete();
}

static void undo_removes_what_was_made(void **state)
{
    (void)state;
    assert_int_equal(take(), 0);
    assert_complete();
    ceph.busy = 2;
    assert_int_equal(undo(LOCATION), 0);
    assert_nothing_left();
    assert_int_equal(undo(LOCATION), 0); /* nothing is there any more */
    assert_nothing_left();
}

static void undo_that_fails_is_told(void **state)
{
    (void)state;
    assert_int_equal(take(), 0);
    assert_complete();
    ceph.busy = -1;
    assert_int_equal(undo(LOCATION), -EBUSY);
    assert_error(EXC_OS_ERROR, "cannot remove RBD image images/" IMAGE_ID);
    assert_true(ceph.copy.exists);
    assert_all_closed();
}

static void undo_touches_nothing_else(void **state)
{
    static const char *const locations[] = {
        "rbd://00000000-0000-0000-0000-000000000000/images/" IMAGE_ID "/snap",
        "rbd://" FSID "/vms/u_disk/snap",
        "rbd://" FSID "/images/" IMAGE_ID "/other",
        "rbd://" FSID "/images/" IMAGE_ID,
        "file:///etc/passwd",
    };
    (void)state;
    ceph.copy.exists = true;
    for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
        assert_int_equal(undo(locations[i]), -EINVAL);
        assert_string_equal(err.exc, EXC_IMAGE_UNACCEPTABLE);
        assert_false(was_called("rbd_open"));
        assert_false(was_called("rbd_remove"));
    }
    assert_all_closed();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(good_snapshot_in_order, set_up),
        cmocka_unit_test_setup(defaults_are_cephs, set_up),
        cmocka_unit_test_setup(each_call_fails_in_turn, set_up),
        cmocka_unit_test_setup(two_calls_fail, set_up),
        cmocka_unit_test_setup(first_error_is_kept, set_up),
        cmocka_unit_test_setup(snapshot_in_use_is_waited_for, set_up),
        cmocka_unit_test_setup(no_permission_is_forbidden, set_up),
        cmocka_unit_test_setup(no_other_way_is_gone_with_something_left, set_up),
        cmocka_unit_test_setup(image_of_others_is_not_touched, set_up),
        cmocka_unit_test_setup(pool_of_the_image_without_a_parent, set_up),
        cmocka_unit_test_setup(parent_that_no_location_can_name, set_up),
        cmocka_unit_test_setup(what_cannot_be_done_directly, set_up),
        cmocka_unit_test_setup(only_a_running_guest_is_frozen, set_up),
        cmocka_unit_test_setup(freeze_that_is_refused, set_up),
        cmocka_unit_test_setup(guest_that_cannot_be_thawed_is_told, set_up),
        cmocka_unit_test_setup(guest_that_ends_needs_no_thaw, set_up),
        cmocka_unit_test_setup(undo_removes_what_was_made, set_up),
        cmocka_unit_test_setup(undo_that_fails_is_told, set_up),
        cmocka_unit_test_setup(undo_touches_nothing_else, set_up),
        cmocka_unit_test(cancelled_at_each_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
