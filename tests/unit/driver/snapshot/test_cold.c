/* SPDX-License-Identifier: Apache-2.0 */
/* driver/snapshot/cold.c, host_devices.c: whatever fails, the guest is back with its devices. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/driver/snapshot/fixture.h"

static int set_up(void **state)
{
    (void)state;
    world_reset();
    for (size_t i = 0; i < DEVICES; i++)
        world.attached[i] = true;
    plan = (struct snapshot_plan){.method = SNAPSHOT_METHOD_COLD, .image_format = "raw"};
    info = (struct guest_info){.uuid = UUID,
                               .power_state = POWER_STATE_RUNNING,
                               .domain_id = 7,
                               .disk_path = "/i/disk",
                               .disk_target = "vda",
                               .disk_format = "qcow2"};
    return 0;
}

static int take(void)
{
    result = (struct snapshot_result){0};
    err = (struct error)ERROR_INIT;
    return libvirt_cold_snapshot(&driver, &info, &plan, &result, &err);
}

static void assert_guest_as_before(int state)
{
    assert_int_equal(world.state, state);
    assert_true(world.active);
    assert_false(world.saved);
    for (size_t i = 0; i < DEVICES; i++)
        assert_true(world.attached[i]);
}

static void assert_image(void)
{
    assert_non_null(result.image);
    assert_true(result.image->size_bytes == 5);
    image_source_close(result.image);
    assert_int_equal(files_left(), 0);
}

static void good_snapshot_in_order(void **state)
{
    (void)state;
    static const char *const order[] = {"find_domain",     "DetachDeviceFlags",
                                        "ManagedSave",     "qemu-img convert",
                                        "CreateWithFlags", "AttachDeviceFlags"};
    plan.observer = listen_to_it();
    assert_int_equal(take(), 0);
    assert_int_equal(told.n_instants, 1);
    assert_in_range(told.instant_place, place_of("ManagedSave") + 1, place_of("qemu-img convert"));
    for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++)
        assert_true(place_of(order[i - 1]) < place_of(order[i]));
    assert_guest_as_before(VIR_DOMAIN_RUNNING);
    assert_image();
}

/* As inspect finds it. */
static void guest_is(int state, enum power_state power_state, bool active)
{
    world.state = state;
    world.active = active;
    info.power_state = power_state;
    info.domain_id = active ? world.id : -1;
}

static void paused_guest_is_read_as_it_stands(void **state)
{
    set_up(state);
    guest_is(VIR_DOMAIN_PAUSED, POWER_STATE_PAUSED, true);
    assert_int_equal(take(), 0);
    assert_guest_as_before(VIR_DOMAIN_PAUSED);
    assert_image();
    assert_true(world.source_shared);
    assert_int_equal(result.guest_paused_ms, 0);
    assert_false(was_called("DetachDeviceFlags"));
    assert_false(was_called("ManagedSave"));
}

/* The limit is for copies that nobody waits for. */
static void a_guest_is_down_for_no_limit(void **state)
{
    (void)state;
    driver.disk_bytes_per_s = 1000;
    assert_int_equal(take(), 0);
    assert_true(world.source_bytes_per_s == 0);
    assert_image();
    set_up(state);
    guest_is(VIR_DOMAIN_PAUSED, POWER_STATE_PAUSED, true);
    assert_int_equal(take(), 0);
    assert_true(world.source_bytes_per_s == 1000);
    driver.disk_bytes_per_s = 0;
    assert_image();
}

/* By somebody else, while its disk is read. */
static void resume_guest(void)
{
    world.state = VIR_DOMAIN_RUNNING;
    domain_watches_resumed(world.watches, UUID);
}

static void resume_and_pause_guest(void)
{
    domain_watches_resumed(world.watches, UUID);
}

static void start_guest(void)
{
    world.active = true;
    world.saved = false;
    world.id++;
    world.state = VIR_DOMAIN_RUNNING;
    domain_watches_started(world.watches, UUID);
}

static void stop_guest(void)
{
    end_guest();
}

static void start_and_stop_guest(void)
{
    start_guest();
    stop_guest();
}

static void lose_libvirt(void)
{
    domain_watches_disconnected(world.watches);
}

/* Whether a guest was started is told by the watch of this connection, not of the one before. */
static void a_connection_that_is_opened_again_is_watched(void **state)
{
    set_up(state);
    world.reopens_behind_save = true;
    assert_int_equal(take(), 0);
    assert_false(world.reopens_behind_save);
    assert_guest_as_before(VIR_DOMAIN_RUNNING);
    assert_image();
}

/* The event comes with the reading, which begins to fail for it or not. */
static void guest_that_runs_while_it_is_read_makes_no_image(void **state)
{
    static const struct {
        int found;
        enum power_state power_state;
        bool active;
        void (*event)(void);
        const char *text;
        int left;
    } rows[] = {
        {VIR_DOMAIN_PAUSED, 3, true, resume_guest, "resumed", VIR_DOMAIN_RUNNING},
        {VIR_DOMAIN_PAUSED, 3, true, resume_and_pause_guest, "was resumed", VIR_DOMAIN_PAUSED},
        {VIR_DOMAIN_PAUSED, 3, true, stop_guest, "stopped", VIR_DOMAIN_SHUTOFF},
        {VIR_DOMAIN_PAUSED, 3, true, lose_libvirt, "libvirt was lost", VIR_DOMAIN_PAUSED},
        {VIR_DOMAIN_SHUTOFF, 4, false, start_guest, "started", VIR_DOMAIN_RUNNING},
        {VIR_DOMAIN_SHUTOFF, 4, false, start_and_stop_guest, "was started", VIR_DOMAIN_SHUTOFF},
        {VIR_DOMAIN_SHUTOFF, 4, false, lose_libvirt, "libvirt was lost", VIR_DOMAIN_SHUTOFF},
        {VIR_DOMAIN_SHUTDOWN, 4, true, stop_guest, "stopped", VIR_DOMAIN_SHUTOFF},
        {VIR_DOMAIN_CRASHED, 6, false, start_guest, "started", VIR_DOMAIN_RUNNING},
        {VIR_DOMAIN_PMSUSPENDED, 7, true, start_guest, "started", VIR_DOMAIN_RUNNING},
        {VIR_DOMAIN_RUNNING, 1, true, start_guest, "started", VIR_DOMAIN_RUNNING},
    };
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        set_up(state);
        guest_is(rows[i / 2].found, rows[i / 2].power_state, rows[i / 2].active);
        assert_int_equal(take(), 0);
        image_source_close(result.image);
        const int index = place_of("qemu-img convert");
        set_up(state);
        world.event_index = index;
        world.fail_index = i % 2 == 1 ? index : -1;
        guest_is(rows[i / 2].found, rows[i / 2].power_state, rows[i / 2].active);
        world.event = rows[i / 2].event;
        assert_int_equal(take(), -ESTALE);
        assert_error(EXC_INTERNAL_ERROR, rows[i / 2].text);
        assert_int_equal(world.state, rows[i / 2].left);
    }
}

/* Between inspect and the beginning. */
static void guest_that_is_not_as_found_is_not_touched(void **state)
{
    (void)state;
    guest_is(VIR_DOMAIN_SHUTOFF, POWER_STATE_SHUTDOWN, false);
    start_guest();
    assert_int_equal(take(), -ESTALE);
    assert_error(EXC_INTERNAL_ERROR, "power state 1 of domain 8, not 4 of -1");
    assert_false(was_called("ManagedSave"));
    assert_false(was_called("qemu-img convert"));
    world.id++; /* a reboot */
    guest_is(VIR_DOMAIN_RUNNING, POWER_STATE_RUNNING, true);
    world.id++;
    assert_int_equal(take(), -ESTALE);
    assert_false(was_called("DetachDeviceFlags"));
}

static void stopped_guest_is_only_read(void **state)
{
    static const struct {
        int state;
        enum power_state power_state;
        bool active;
    } rows[] = {{VIR_DOMAIN_SHUTOFF, POWER_STATE_SHUTDOWN, false},
                {VIR_DOMAIN_CRASHED, POWER_STATE_CRASHED, false},
                {VIR_DOMAIN_CRASHED, POWER_STATE_CRASHED, true}, /* preserved */
                {VIR_DOMAIN_PMSUSPENDED, POWER_STATE_SUSPENDED, true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set_up(state);
        guest_is(rows[i].state, rows[i].power_state, rows[i].active);
        world.saved = i == 0; /* by nova's suspend */
        assert_int_equal(take(), 0);
        assert_int_equal(result.guest_paused_ms, 0);
        assert_image();
        assert_int_equal(world.saved, i == 0);
        assert_int_equal(world.state, rows[i].state);
        assert_true(world.source_shared); /* QEMU has it open, or may want to */
        assert_false(was_called("DetachDeviceFlags"));
        assert_false(was_called("ManagedSave"));
        assert_false(was_called("CreateWithFlags"));
    }
}

static void each_call_fails_in_turn(void **state)
{
    for (int with_effect = 0; with_effect <= 1; with_effect++) {
        for (int index = 0;; index++) {
            set_up(state);
            world.fail_index = index;
            world.fail_with_effect = with_effect;
            int r = take();
            if (world.call_count <= index) { /* none was left to fail */
                assert_int_equal(r, 0);
                assert_image();
                break;
            }
            if (r == 0) {
                assert_guest_as_before(VIR_DOMAIN_RUNNING);
                assert_image();
                continue;
            }
            const char *name = world.calls[index];
            char text[64];
            (void)snprintf(text, sizeof(text), "injected in %s", name);
            assert_error(strcmp(name, "qemu-img convert") == 0 ? EXC_IMAGE_UNACCEPTABLE
                                                               : EXC_LIBVIRT_ERROR,
                         text);
            assert_guest_as_before(VIR_DOMAIN_RUNNING);
        }
        assert_true(world.call_count > 20);
    }
}

static void cancelled_at_each_call(void **state)
{
    int cancelled = 0, calls = 1;
    for (int index = 0; index < calls; index++) {
        set_up(state);
        int r = take_cancelled_at(index, take);
        calls = world.call_count;
        assert_guest_as_before(VIR_DOMAIN_RUNNING);
        if (r == 0) {
            assert_image();
            continue;
        }
        assert_cancelled(r, &err);
        assert_int_equal(files_left(), 0);
        cancelled++;
    }
    assert_true(cancelled > 5 && calls > cancelled);
}

static void device_that_stays_is_not_waited_for_when_cancelled(void **state)
{
    (void)state;
    struct canceller canceller;
    canceller_enter(&canceller);
    world.device_stays = true;
    driver.detach_timeout_ms = 3600000;
    canceller_start(&canceller, -1);
    assert_cancelled(take(), &err);
    canceller_join(&canceller);
    canceller_leave(&canceller);
    assert_guest_as_before(VIR_DOMAIN_RUNNING);
    assert_false(was_called("ManagedSave"));
}

static void device_that_stays_fails_the_snapshot(void **state)
{
    (void)state;
    world.device_stays = true;
    driver.detach_timeout_ms = 100;
    assert_int_equal(take(), -ETIMEDOUT);
    assert_error(EXC_PCI_DEVICE_DETACH_FAILED, "Failed to detach PCI device 0000:06:00.1");
    assert_guest_as_before(VIR_DOMAIN_RUNNING);
    assert_false(was_called("ManagedSave"));
}

static void guest_that_cannot_be_started_is_told(void **state)
{
    (void)state;
    world.fail_name = "CreateWithFlags";
    assert_int_equal(take(), -EIO);
    assert_error(EXC_LIBVIRT_ERROR, "cannot start instance " UUID " from its saved memory");
    assert_true(world.saved); /* nothing is thrown away */
}

static void first_error_is_kept(void **state)
{
    (void)state;
    world.fail_name = "AttachDeviceFlags";
    world.device_stays = false;
    assert_int_equal(take(), -EIO);
    assert_error(EXC_LIBVIRT_ERROR, "cannot attach host device 0000:06:00.1 again");
    assert_non_null(strstr(err.message, "; then: cannot attach host device 0000:06:00.2 again"));
    assert_int_equal(world.state, VIR_DOMAIN_RUNNING);
}

static void lost_mediated_device_is_left_out(void **state)
{
    (void)state;
    world.attached[0] = world.attached[1] = false;
    world.fail_name = "AttachDeviceFlags";
    world.fail_code = VIR_ERR_DEVICE_MISSING;
    assert_int_equal(take(), 0);
    assert_false(world.attached[2]);
    assert_image();
}

static void pause_guest(void)
{
    world.state = VIR_DOMAIN_PAUSED;
}

/* libvirt leaves a guest paused for a save that failed; a user's pause looks different. */
static void guest_paused_by_its_user_stays_paused(void **state)
{
    static const int reasons[] = {VIR_DOMAIN_PAUSED_SAVE, VIR_DOMAIN_PAUSED_USER};
    for (size_t i = 0; i < 2; i++) {
        set_up(state);
        assert_int_equal(take(), 0);
        image_source_close(result.image);
        int save = place_of("ManagedSave");
        set_up(state);
        world.fail_name = "ManagedSave";
        world.event_index = save;
        world.event = pause_guest;
        world.pause_reason = reasons[i];
        assert_true(take() < 0);
        assert_guest_as_before(i == 0 ? VIR_DOMAIN_RUNNING : VIR_DOMAIN_PAUSED);
    }
}

static bool answer(void *is_to_run)
{
    assert_true(was_called("qemu-img convert"));
    return *(bool *)is_to_run;
}

/* nova found the guest off and is content: it must not run behind its user's back. */
static void guest_stopped_by_its_user_stays_off(void **state)
{
    set_up(state);
    bool is_to_run = false;
    const struct driver_owner owner = {.guest_is_to_run = answer, .arg = &is_to_run};
    plan.owner = &owner;
    assert_int_equal(take(), 0);
    assert_false(world.active);
    assert_false(was_called("CreateWithFlags"));
    assert_false(was_called("AttachDeviceFlags"));
    assert_image();
    set_up(state);
    is_to_run = true;
    plan.owner = &owner;
    assert_int_equal(take(), 0);
    assert_guest_as_before(VIR_DOMAIN_RUNNING);
    assert_image();
}

static void rbd_and_block_devices_are_read_as_raw(void **state)
{
    static char user[] = "nova", ceph_conf[] = "/etc/ceph/a:b.conf";
    (void)state;
    info.source_type = DISK_SOURCE_RBD;
    (void)strcpy(info.disk_path, "rbd:vms/u_disk");
    (void)strcpy(info.disk_format, "raw");
    driver.rbd = (struct rbd_options){.user = user, .ceph_conf = ceph_conf};
    assert_int_equal(take(), 0);
    assert_string_equal(world.source_path, "rbd:vms/u_disk:id=nova:conf=/etc/ceph/a\\:b.conf");
    assert_string_equal(world.source_format, "raw");
    assert_guest_as_before(VIR_DOMAIN_RUNNING);
    assert_image();

    (void)set_up(state);
    info.source_type = DISK_SOURCE_LVM;
    (void)strcpy(info.disk_path, "/dev/vg/u_disk");
    (void)strcpy(info.disk_format, "qcow2"); /* whatever anybody says */
    assert_int_equal(take(), 0);
    assert_string_equal(world.source_path, "/dev/vg/u_disk");
    assert_string_equal(world.source_format, "raw");
    assert_image();
}

static void other_disks_are_refused_untouched(void **state)
{
    static char ceph_conf[] = "/etc/ceph@home.conf";
    (void)state;
    info.source_type = DISK_SOURCE_PLOOP;
    assert_int_equal(take(), -ENOTSUP);
    assert_error(EXC_INTERNAL_ERROR, "neither a file, a block device nor an RBD image");
    assert_int_equal(world.call_count, 0);

    info.source_type = DISK_SOURCE_RBD;
    (void)strcpy(info.disk_path, "rbd:vms/u_disk@snap");
    assert_int_equal(take(), -EINVAL);
    assert_error(EXC_INVALID_DISK_INFO, "not the plain name of an RBD image");
    (void)strcpy(info.disk_path, "rbd:vms/u_disk");
    driver.rbd = (struct rbd_options){.ceph_conf = ceph_conf};
    assert_int_equal(take(), -EINVAL);
    assert_error(EXC_INVALID_DISK_INFO, "QEMU cannot be given");
    assert_int_equal(world.call_count, 0);
}

static void missing_domain(void **state)
{
    (void)state;
    world.exists = false;
    assert_int_equal(take(), -ENOENT);
    assert_error(EXC_INSTANCE_NOT_FOUND, UUID);
}

static int set_up_group(void **state)
{
    driver.stall_timeout_s = 60;
    driver.detach_timeout_ms = 5000;
    return fixture_start(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(good_snapshot_in_order, set_up),
        cmocka_unit_test(paused_guest_is_read_as_it_stands),
        cmocka_unit_test_setup(a_guest_is_down_for_no_limit, set_up),
        cmocka_unit_test(a_connection_that_is_opened_again_is_watched),
        cmocka_unit_test(guest_that_runs_while_it_is_read_makes_no_image),
        cmocka_unit_test_setup(guest_that_is_not_as_found_is_not_touched, set_up),
        cmocka_unit_test(stopped_guest_is_only_read),
        cmocka_unit_test(each_call_fails_in_turn),
        cmocka_unit_test_setup(device_that_stays_fails_the_snapshot, set_up),
        cmocka_unit_test_setup(guest_that_cannot_be_started_is_told, set_up),
        cmocka_unit_test_setup(first_error_is_kept, set_up),
        cmocka_unit_test_setup(lost_mediated_device_is_left_out, set_up),
        cmocka_unit_test_setup(guest_paused_by_its_user_stays_paused, set_up),
        cmocka_unit_test_setup(guest_stopped_by_its_user_stays_off, set_up),
        cmocka_unit_test_setup(rbd_and_block_devices_are_read_as_raw, set_up),
        cmocka_unit_test_setup(other_disks_are_refused_untouched, set_up),
        cmocka_unit_test_setup(missing_domain, set_up),
        cmocka_unit_test(cancelled_at_each_call),
        cmocka_unit_test_setup(device_that_stays_is_not_waited_for_when_cancelled, set_up),
    };
    return cmocka_run_group_tests(tests, set_up_group, fixture_finish);
}
