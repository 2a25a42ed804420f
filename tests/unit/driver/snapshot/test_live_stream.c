/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver/snapshot/live_stream.c: the guest stands still for the beginning of the job alone,
 * whatever fails it is as before, and once the image is closed recover ends what is left.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "driver/image/extent_map.h"
#include "tests/unit/driver/scripted_backup.h"
#include "tests/unit/driver/scripted_death.h"
#include "tests/unit/driver/snapshot/fixture.h"

#define ALL 1000

static int set_up(void **state)
{
    (void)state;
    world_reset();
    keep_nothing();
    memset(&backup_script, 0, sizeof(backup_script));
    world.labels = 2;
    plan = (struct snapshot_plan){.method = SNAPSHOT_METHOD_STREAM,
                                  .image_format = "qcow2",
                                  .quiesce = true,
                                  .journal = &journal};
    fill_info();
    return 0;
}

static int take(void)
{
    result = (struct snapshot_result){0};
    err = (struct error)ERROR_INIT;
    return libvirt_live_stream(&driver, &info, &plan, &result, &err);
}

static void take_until_death(void)
{
    (void)take();
}

static int recover(bool host_rebooted)
{
    struct image_source *image = NULL;
    json_t *entries = read_journal();
    err = (struct error)ERROR_INIT;
    const struct driver_recovery recovery = {UUID, entries, host_rebooted, NULL};
    int r = libvirt_recover(&driver, &recovery, &image, &err);
    json_decref(entries);
    assert_null(image); /* what was shown is shown no more */
    return r;
}

static void assert_guest_as_before(void)
{
    assert_true(world.exists && world.persistent && world.active && world.autostart);
    assert_string_equal(world.definition, DEFINITION);
    assert_false(world.frozen || world.backup || world.mirror);
    assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
    assert_int_equal(files_left(), 0);
}

/*
 * The image can be read for as long as it is open, the job ends before its reader closes, and
 * recover brings back the rest.
 */
static void assert_image(void)
{
    char text[16] = "";
    assert_non_null(result.image);
    assert_false(result.guest_is_back);
    assert_true(world.backup);
    assert_false(world.frozen);
    assert_int_equal(result.image->size_bytes, 5);
    assert_int_equal(result.image->ops->read(result.image, text, sizeof(text), &err), 5);
    assert_string_equal(text, "image");
    assert_int_equal(result.image->ops->rewind(result.image, &err), 0);
    assert_int_equal(files_left(), 1);
    image_source_close(result.image);
    assert_false(world.backup);
    assert_int_equal(backup_script.closed_early, 0);
    assert_int_equal(recover(false), 0);
    assert_guest_as_before();
}

static void good_snapshot_in_order(void **state)
{
    (void)state;
    static const char *const order[] = {
        "find_domain",    "GetBlockJobInfo", "GetJobInfo",  "journal-write", "qemu-img create",
        "journal-frozen", "FSFreeze",        "BackupBegin", "FSThaw",        "journal-thawed",
        "nbd new",        "nbd connect",     "stream"};
    plan.observer = listen_to_it();
    assert_int_equal(take(), 0);
    assert_int_equal(told.n_instants, 1);
    assert_int_equal(told.instant_place, place_of("BackupBegin"));
    assert_true(result.quiesced);
    for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++)
        assert_true(place_of(order[i - 1]) < place_of(order[i]));
    /* Nothing comes between: the guest stands still. */
    assert_int_equal(place_of("BackupBegin"), place_of("FSFreeze") + 2);
    assert_int_equal(place_of("FSThaw"), place_of("BackupBegin") + 1);
    assert_false(was_called("Undefine-keep-all"));
    assert_false(was_called("BlockRebase"));
    assert_image();
}

/* Somebody else may have frozen the guest by the time it is brought back. */
static void bringing_it_back_thaws_nothing(void **state)
{
    (void)state;
    assert_int_equal(take(), 0);
    image_source_close(result.image);
    world.frozen = true;
    world.call_count = 0;
    assert_int_equal(recover(false), 0);
    assert_false(was_called("FSThaw"));
    assert_false(world.backup);
}

static void each_call_fails(void **state, bool with_effect, bool require_quiesce)
{
    for (int index = 0;; index++) {
        set_up(state);
        plan.require_quiesce = require_quiesce;
        world.fail_index = index;
        world.fail_with_effect = with_effect;
        int r = take();
        bool was_the_last = world.call_count <= index;
        const char *name = world.calls[index];
        world.fail_index = -1;
        if (r < 0) {
            assert_null(result.image);
            assert_non_null(strstr(err.message, name));
            assert_guest_as_before();
            continue;
        }
        assert_image();
        if (was_the_last)
            break;
    }
}

static void each_call_fails_in_turn(void **state)
{
    for (unsigned kind = 0; kind < 4; kind++)
        each_call_fails(state, kind & 1, kind & 2);
}

/* Of the calls of a snapshot that succeeds; the next one begins anew. */
static int place_of_begin(void **state)
{
    set_up(state);
    assert_int_equal(take(), 0);
    int place = place_of("BackupBegin");
    image_source_close(result.image);
    assert_int_equal(recover(false), 0);
    set_up(state);
    return place;
}

static void what_libvirt_refuses_another_method_may_do(void **state)
{
    static const char *const names[] = {"BackupBegin", "GetJobInfo"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        set_up(state);
        world.fail_name = names[i];
        assert_int_equal(take(), -EOPNOTSUPP);
        assert_guest_as_before();
    }
    set_up(state);
    backup_script.job_of_others = true;
    assert_int_equal(take(), -EOPNOTSUPP);
    assert_non_null(strstr(err.message, "another job"));
    assert_false(was_called("AbortJob"));
    assert_guest_as_before();

    world.fail_index = place_of_begin(state); /* before the guest is back no other may begin */
    world.fail_with_effect = true;
    world.fail_name = "BackupGetXMLDesc";
    assert_int_equal(take(), -EIO);
    assert_non_null(strstr(err.message, "then: cannot read the backup job"));
    world.fail_name = NULL;
    world.fail_index = -1;
    assert_int_equal(recover(false), 0);
    assert_true(world.exists);

    int place = place_of_begin(state); /* of a guest that ends nobody can make one */
    world.event = end_guest;
    world.event_index = world.fail_index = place;
    assert_int_equal(take(), -EIO);
    assert_false(world.active);
    assert_int_equal(files_left(), 0);
}

/* What cannot be read another method may copy. A QEMU may not bear a reader that goes first. */
static void a_disk_that_cannot_be_read(void **state)
{
    static const char *const names[] = {"nbd new", "nbd connect", "stream"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        set_up(state);
        world.fail_name = names[i];
        assert_int_equal(take(), -EOPNOTSUPP);
        assert_int_equal(backup_script.closed_early, 0);
        assert_guest_as_before();
    }
    set_up(state);
    info.virtual_size_bytes = EXTENT_MAP_MAX_BYTES + 1;
    assert_int_equal(take(), -EOPNOTSUPP);
    assert_non_null(strstr(err.message, "too large to be mapped"));
    assert_false(was_called("BackupBegin"));
    assert_guest_as_before();
}

/* Its live definition is read, before anything is done. */
static char *definition_with_iothread(void)
{
    return strdup("<domain><devices><disk><driver iothread='1'/><target dev='vda'/></disk>"
                  "</devices></domain>");
}

static void a_disk_that_an_iothread_serves(void **state)
{
    (void)state;
    world.make_xml = definition_with_iothread;
    for (unsigned compress = 0; compress <= 1; compress++) {
        plan.compress = compress;
        assert_int_equal(take(), -EOPNOTSUPP);
        assert_non_null(strstr(err.message, "disk vda has an iothread"));
        assert_false(was_called("BackupBegin"));
        assert_guest_as_before();
    }
}

/* The connection is lost, or libvirt refuses: the reader closes, and recover ends the job. */
static void a_job_that_cannot_be_ended_at_once(void **state)
{
    static const char *const names[] = {"find_domain", "BackupGetXMLDesc", "AbortJob"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        set_up(state);
        assert_int_equal(take(), 0);
        world.fail_name = names[i];
        image_source_close(result.image);
        assert_true(world.backup);
        assert_int_equal(backup_script.closed_early, 1);
        world.fail_name = NULL;
        assert_int_equal(recover(false), 0);
        assert_guest_as_before();
    }
}

/* Another method may do, unless the guest is not back. */
static void guest_is_not_touched_without_room(void **state)
{
    (void)state;
    world.layer_bytes = UINT64_C(1) << 60;
    assert_int_equal(take(), -ENOSPC);
    assert_false(was_called("qemu-img create"));
    assert_guest_as_before();
    world.fail_name = "GetState";
    assert_int_equal(take(), -EIO);
    assert_non_null(strstr(err.message, "; then: cannot read whether the guest was stopped"));
}

static void a_path_too_long_for_a_socket(void **state)
{
    static char deep[256];
    (void)state;
    char *before = driver.snapshots_directory;
    (void)snprintf(deep, sizeof(deep), "%s/%0*d", temp_path("long"), 60, 0);
    driver.snapshots_directory = deep;
    assert_int_equal(take(), -EOPNOTSUPP);
    assert_non_null(strstr(err.message, "too long a path"));
    assert_guest_as_before();
    driver.snapshots_directory = before;
}

static void cancelled_at_each_call(void **state)
{
    int cancelled = 0, calls = 1;
    for (int index = 0; index < calls; index++) {
        set_up(state);
        int r = take_cancelled_at(index, take);
        calls = world.call_count;
        if (r == 0) {
            assert_image();
            continue;
        }
        assert_cancelled(r, &err);
        assert_guest_as_before();
        assert_int_equal(backup_script.closed_early, 0);
        cancelled++;
    }
    assert_true(calls > cancelled);
}

/* The size of a compressed image is known only when it is made. */
static void what_has_to_be_staged_is_converted(void **state)
{
    for (int index = 0;; index++) {
        char text[16] = "";
        set_up(state);
        plan.compress = true;
        world.fail_index = index;
        int r = take();
        bool was_the_last = world.call_count <= index;
        const char *name = world.calls[index];
        world.fail_index = -1;
        if (r < 0) {
            assert_non_null(strstr(err.message, name));
            assert_guest_as_before();
            continue;
        }
        assert_true(result.guest_is_back);
        assert_false(world.backup || world.frozen);
        assert_true(place_of("BackupBegin") < place_of("qemu-img convert"));
        assert_true(place_of("qemu-img convert") < place_of("AbortJob"));
        assert_non_null(strstr(world.source_path, "/nbd/s:exportname=vda"));
        assert_int_equal(result.image->ops->read(result.image, text, sizeof(text), &err), 5);
        assert_string_equal(text, "image");
        image_source_close(result.image);
        assert_guest_as_before();
        if (was_the_last)
            break;
    }
    assert_false(was_called("nbd connect"));
}

static void recovers_from_everywhere(void **state)
{
    set_up(state);
    run_until_death(ALL, take_until_death);
    int calls = kept->world.call_count;
    assert_true(calls > 15);
    assert_int_equal(recover(false), 0);
    assert_guest_as_before();
    for (int index = 0; index < calls; index++) {
        set_up(state);
        run_until_death(index, take_until_death);
        assert_int_equal(recover(false), 0);
        assert_guest_as_before();
        assert_int_equal(recover(false), 0); /* once more is harmless */
        assert_guest_as_before();
    }
}

static void recovers_after_a_failure(void **state)
{
    set_up(state);
    run_until_death(ALL, take_until_death);
    int calls = kept->world.call_count;
    assert_int_equal(recover(false), 0);
    for (int index = 0; index < calls; index += 3) {
        for (int failing = 0;; failing++) {
            set_up(state);
            run_until_death(index, take_until_death);
            world.fail_index = failing;
            int r = recover(false);
            bool was_the_last = world.call_count <= failing;
            world.fail_index = -1;
            if (r < 0)
                assert_int_equal(recover(false), 0);
            assert_guest_as_before();
            if (was_the_last)
                break;
        }
    }
}

static void a_job_that_begins_late_is_ended(void **state)
{
    char scratch[DRIVER_PATH_MAX];
    set_up(state);
    assert_int_equal(take(), 0);
    int place = place_of("BackupBegin");
    (void)snprintf(scratch, sizeof(scratch), "%s", world.scratch_path);
    image_source_close(result.image);
    assert_int_equal(recover(false), 0);

    set_up(state);
    run_until_death(place, take_until_death);
    json_t *entries = read_journal();
    const json_t *begin = json_array_get(entries, 0);
    (void)snprintf(scratch, sizeof(scratch), "%s/%s.delta",
                   json_string_value(json_object_get(begin, "directory")),
                   json_string_value(json_object_get(begin, "file")));
    json_decref(entries);
    backup_script.late = scratch;
    assert_int_equal(recover(false), 0);
    assert_guest_as_before();
    assert_true(was_called("AbortJob"));
    assert_false(begin_backup(scratch)); /* and any later cannot begin */
}

static void the_job_of_somebody_else_goes_on(void **state)
{
    (void)state;
    assert_int_equal(take(), 0);
    (void)snprintf(world.scratch_path, sizeof(world.scratch_path), "/backup/scratch");
    image_source_close(result.image);
    assert_int_equal(recover(false), 0);
    assert_false(was_called("AbortJob"));
    assert_true(world.backup);
    assert_int_equal(files_left(), 0);
}

static void what_libvirt_tells_is_checked(void **state)
{
    static const char *const bad[] = {"", "<domainbackup>", "<domain/>"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set_up(state);
        assert_int_equal(take(), 0);
        backup_script.xml = bad[i];
        image_source_close(result.image);
        assert_true(recover(false) < 0);
        assert_int_equal(files_left(), 1); /* for the next attempt */
        backup_script.xml = NULL;
        assert_int_equal(recover(false), 0);
        assert_guest_as_before();
    }
}

static void nothing_is_left_after_a_reboot(void **state)
{
    (void)state;
    assert_int_equal(take(), 0);
    image_source_close(result.image);
    world.call_count = 0;
    reboot_host();
    assert_int_equal(recover(true), 0);
    assert_false(was_called("AbortJob"));
    assert_int_equal(files_left(), 0);
}

static void recover_stopped(int reason, bool goes_on)
{
    (void)set_up(NULL);
    assert_int_equal(take(), 0);
    image_source_close(result.image);
    world.state = VIR_DOMAIN_PAUSED;
    world.pause_reason = reason;
    assert_int_equal(recover(false), 0);
    assert_int_equal(was_called("Resume"), goes_on);
    assert_int_equal(world.state, goes_on ? VIR_DOMAIN_RUNNING : VIR_DOMAIN_PAUSED);
    assert_true(!goes_on || place_of("AbortJob") < place_of("Resume"));
    assert_int_equal(files_left(), 0);
}

/* Its write failed for want of space for what it overwrites; whom somebody has paused stays so. */
static void a_guest_that_was_stopped_goes_on(void **state)
{
    (void)state;
    recover_stopped(VIR_DOMAIN_PAUSED_IOERROR, true);
    recover_stopped(VIR_DOMAIN_PAUSED_USER, false);
}

static void guest_that_ended_is_left_off(void **state)
{
    (void)state;
    assert_int_equal(take(), 0);
    end_guest();
    image_source_close(result.image);
    assert_int_equal(recover(false), 0);
    assert_false(world.active);
    assert_true(world.persistent);
    assert_int_equal(files_left(), 0);
}

static int set_up_all(void **state)
{
    return set_up_death() < 0 ? -1 : fixture_start(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(good_snapshot_in_order, set_up),
        cmocka_unit_test_setup(bringing_it_back_thaws_nothing, set_up),
        cmocka_unit_test_setup(each_call_fails_in_turn, set_up),
        cmocka_unit_test_setup(what_libvirt_refuses_another_method_may_do, set_up),
        cmocka_unit_test_setup(a_disk_that_cannot_be_read, set_up),
        cmocka_unit_test_setup(a_disk_that_an_iothread_serves, set_up),
        cmocka_unit_test_setup(a_job_that_cannot_be_ended_at_once, set_up),
        cmocka_unit_test_setup(guest_is_not_touched_without_room, set_up),
        cmocka_unit_test_setup(a_path_too_long_for_a_socket, set_up),
        cmocka_unit_test_setup(cancelled_at_each_call, set_up),
        cmocka_unit_test_setup(what_has_to_be_staged_is_converted, set_up),
        cmocka_unit_test_setup(recovers_from_everywhere, set_up),
        cmocka_unit_test_setup(recovers_after_a_failure, set_up),
        cmocka_unit_test_setup(a_job_that_begins_late_is_ended, set_up),
        cmocka_unit_test_setup(the_job_of_somebody_else_goes_on, set_up),
        cmocka_unit_test_setup(what_libvirt_tells_is_checked, set_up),
        cmocka_unit_test_setup(nothing_is_left_after_a_reboot, set_up),
        cmocka_unit_test_setup(a_guest_that_was_stopped_goes_on, set_up),
        cmocka_unit_test_setup(guest_that_ended_is_left_off, set_up),
    };
    return cmocka_run_group_tests(tests, set_up_all, fixture_finish);
}
