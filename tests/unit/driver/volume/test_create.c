/* SPDX-License-Identifier: Apache-2.0 */
/* driver/volume/create.c, volume_overlay.c: a new layer, or everything as before. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/driver/scripted_volume.h"

static struct libvirt_driver driver = {.stall_timeout_s = 1, .freeze_timeout_s = 5};
static struct volume_overlay overlay;
static struct error err;

static const char *const before[] = {"vol.b", "vol.a", "vol"};
static const char *const after[] = {"vol.c", "vol.b", "vol.a", "vol"};

static int set_up(void **state)
{
    (void)state;
    volume_reset();
    overlay = (struct volume_overlay){.volume_id = VOLUME_ID, .new_file = "vol.c", .quiesce = true};
    return 0;
}

static int create(void)
{
    err = (struct error)ERROR_INIT;
    return libvirt_volume_create(&driver, UUID, &overlay, &err);
}

static void assert_guest_is_free(void)
{
    assert_false(world.frozen);
    assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
}

static void assert_refused(int r, const char *exc, const char *text)
{
    assert_int_equal(create(), r);
    assert_string_equal(err.exc, exc);
    if (!strstr(err.message, text))
        fail_msg("\"%s\" does not say \"%s\"", err.message, text);
    assert_false(was_called("SnapshotCreateXML"));
    assert_false(was_called("FSFreeze"));
    assert_layers(3, before);
}

static void good_snapshot_in_order(void **state)
{
    (void)state;
    assert_int_equal(create(), 0);
    assert_layers(4, after);
    assert_guest_is_free();
    assert_string_equal(world.calls[place_of("FSFreeze") + 1], "GetTime"); /* is it frozen? */
    assert_int_equal(place_of("SnapshotCreateXML"), place_of("FSFreeze") + 2);
    assert_int_equal(place_of("FSThaw"), place_of("SnapshotCreateXML") + 1);
    assert_int_equal(volume.flags, VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA |
                                       VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY |
                                       VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT);
    assert_non_null(strstr(volume.snapshot_xml, "<disk name=\"vda\" snapshot=\"no\"/>"));
    assert_non_null(strstr(volume.snapshot_xml, "<disk name=\"vdb\" snapshot=\"external\""));
}

/* The outcome is what libvirt has in the end; the guest is never left frozen. */
static void each_call_fails_in_turn(void **state)
{
    for (int with_effect = 0; with_effect <= 1; with_effect++) {
        for (int index = 0;; index++) {
            set_up(state);
            overlay.require_quiesce = index % 2;
            world.fail_index = index;
            world.fail_with_effect = with_effect;
            int r = create();
            if (world.call_count <= index) {
                assert_int_equal(r, 0);
                break;
            }
            const char *name = world.calls[index];
            assert_false(world.frozen);
            if (strcmp(name, "AgentSetResponseTimeout") != 0)
                assert_guest_is_free();
            assert_int_equal(volume.count, r == 0 ? 4 : 3);
            char text[64];
            (void)snprintf(text, sizeof(text), "injected in %s", name);
            if (r < 0 && (!strstr(err.message, text) || strcmp(err.exc, EXC_INTERNAL_ERROR) != 0))
                fail_msg("%s %s", err.exc, err.message);
        }
        assert_true(world.call_count >= 12);
    }
}

static void lost_answer_is_looked_up(void **state)
{
    (void)state;
    world.fail_name = "SnapshotCreateXML";
    world.fail_with_effect = true;
    assert_int_equal(create(), 0);
    assert_layers(4, after);
    assert_guest_is_free();

    set_up(state);
    world.fail_name = "SnapshotCreateXML";
    assert_int_equal(create(), -EIO);
    assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
    assert_non_null(strstr(err.message, "injected in SnapshotCreateXML"));
    assert_layers(3, before);
    assert_guest_is_free();
}

/* The agent that asked first died before it could tell Cinder. */
static void layer_of_an_earlier_call_counts(void **state)
{
    (void)state;
    assert_int_equal(create(), 0);
    world.call_count = 0;
    assert_int_equal(create(), 0);
    assert_false(was_called("FSFreeze"));
    assert_false(was_called("SnapshotCreateXML"));
    assert_layers(4, after);
}

static void thaw_that_fails_hides_no_snapshot(void **state)
{
    (void)state;
    world.fail_name = "FSThaw";
    assert_int_equal(create(), 0); /* Cinder has to know which file the guest writes to */
    assert_layers(4, after);
    assert_true(place_of("FSThaw") > place_of("SnapshotCreateXML"));
    assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
}

static void freeze_that_fails_is_borne_unless_required(void **state)
{
    static const int codes[] = {VIR_ERR_INTERNAL_ERROR, VIR_ERR_AGENT_UNRESPONSIVE};
    for (size_t i = 0; i < 4; i++) {
        set_up(state);
        overlay.require_quiesce = i % 2;
        world.fail_name = "FSFreeze";
        world.fail_code = codes[i / 2];
        world.fail_with_effect = true;
        assert_int_equal(create(), overlay.require_quiesce ? -EIO : 0);
        assert_int_equal(volume.count, overlay.require_quiesce ? 3 : 4);
        assert_guest_is_free();
    }
    assert_non_null(strstr(err.message, "\"os_require_quiesce\" is set"));
}

static void agent_is_left_alone_without_quiesce(void **state)
{
    (void)state;
    overlay.quiesce = false;
    assert_int_equal(create(), 0);
    assert_false(was_called("FSFreeze"));
    assert_false(was_called("AgentSetResponseTimeout"));

    set_up(state);
    world.state = VIR_DOMAIN_PAUSED;
    assert_int_equal(create(), 0);
    assert_false(was_called("FSFreeze"));
    assert_layers(4, after);
}

static void required_quiesce_is_checked_first(void **state)
{
    (void)state;
    overlay.quiesce = false;
    overlay.require_quiesce = true;
    assert_refused(-EINVAL, EXC_QEMU_GUEST_AGENT_NOT_ENABLED, "not enabled");
    set_up(state);
    overlay.require_quiesce = true;
    world.state = VIR_DOMAIN_PAUSED;
    assert_refused(-EINVAL, EXC_INTERNAL_ERROR, "cannot be frozen");
}

static void guest_has_to_run(void **state)
{
    (void)state;
    world.exists = false;
    assert_refused(-ENOENT, EXC_INSTANCE_NOT_RUNNING, "Instance " UUID " is not running.");
    set_up(state);
    world.active = false;
    world.state = VIR_DOMAIN_SHUTOFF;
    assert_refused(-ENOENT, EXC_INSTANCE_NOT_RUNNING, "is not running");
}

static void wrong_volumes_are_refused(void **state)
{
    (void)state;
    overlay.volume_id = "11111111-2222-3333-4444-555555555555";
    assert_refused(-ENOENT, EXC_INTERNAL_ERROR, "not found attached to instance");
    set_up(state);
    overlay.volume_id = "";
    assert_refused(-ENOENT, EXC_INTERNAL_ERROR, "not found attached to instance");
    set_up(state);
    volume.two_volumes = true;
    assert_refused(-EINVAL, EXC_INTERNAL_ERROR, "more than one disk is this volume");
    set_up(state);
    volume.network = true;
    assert_refused(-ENOTSUP, EXC_INTERNAL_ERROR, "is no file");
    set_up(state);
    world.foreign_job = true;
    assert_refused(-EBUSY, EXC_INTERNAL_ERROR, "another block job is running on disk vdb");
}

static void assert_file_refused(const char *name, int r, const char *text)
{
    set_up(NULL);
    overlay.new_file = name;
    assert_refused(r, EXC_INTERNAL_ERROR, text);
}

static void forged_overlays_are_refused(void **state)
{
    (void)state;
    assert_file_refused("../vol.c", -EINVAL, "no file name");
    assert_file_refused("/etc/passwd", -EINVAL, "no file name");
    assert_file_refused("", -EINVAL, "no file name");
    assert_file_refused("nowhere", -ENOENT, "No disk at");
    assert_file_refused("vol.a", -EINVAL, "backing file is not what the guest writes to");
    assert_file_refused("vol", -ECANCELED, "not in qcow2 format");
    make_overlay("f", "/etc/passwd", "raw", "1M");
    assert_file_refused("f", -EINVAL, "backing file is not what the guest writes to");
    make_overlay("f", NULL, NULL, "1M");
    assert_file_refused("f", -EINVAL, "backing file is not what the guest writes to");
    make_overlay("f", "vol.b", "raw", "1M");
    assert_file_refused("f", -EINVAL, "format is not that of the running guest");
    make_overlay("f", "vol.b", "qcow2", "1M");
    forget_format("f");
    assert_file_refused("f", -EINVAL, "format is not that of the running guest");
    make_overlay("f", "vol.b", "qcow2", "512K");
    assert_file_refused("f", -EINVAL, "smaller than the volume");
    assert_int_equal(symlink(temp_path("vol.c"), temp_path("link")), 0);
    assert_file_refused("link", -EINVAL, "no regular file");
    assert_int_equal(mkdir(temp_path("folder"), 0700), 0);
    assert_file_refused("folder", -EINVAL, "no regular file");
}

static void names_with_markup_are_names(void **state)
{
    (void)state;
    make_overlay("a<b>&'c", "vol.b", "qcow2", "1M");
    overlay.new_file = "a<b>&'c";
    (void)create(); /* the scripted libvirt does not undo the escapes */
    assert_non_null(strstr(volume.snapshot_xml, "/a&lt;b&gt;&amp;'c\"/>"));
}

/* Cinder has mounted the share elsewhere; it is the same file. */
static void absolute_backing_file_may_have_another_path(void **state)
{
    (void)state;
    char other[512];
    (void)snprintf(other, sizeof(other), "%s/./vol.b", temp_folder);
    make_overlay("abs", other, "qcow2", "1M");
    overlay.new_file = "abs";
    assert_int_equal(create(), 0);
    assert_string_equal(volume.layers[0], "abs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(good_snapshot_in_order, set_up),
        cmocka_unit_test(each_call_fails_in_turn),
        cmocka_unit_test_setup(lost_answer_is_looked_up, set_up),
        cmocka_unit_test_setup(layer_of_an_earlier_call_counts, set_up),
        cmocka_unit_test_setup(thaw_that_fails_hides_no_snapshot, set_up),
        cmocka_unit_test(freeze_that_fails_is_borne_unless_required),
        cmocka_unit_test_setup(agent_is_left_alone_without_quiesce, set_up),
        cmocka_unit_test_setup(required_quiesce_is_checked_first, set_up),
        cmocka_unit_test_setup(guest_has_to_run, set_up),
        cmocka_unit_test_setup(wrong_volumes_are_refused, set_up),
        cmocka_unit_test(forged_overlays_are_refused),
        cmocka_unit_test_setup(names_with_markup_are_names, set_up),
        cmocka_unit_test_setup(absolute_backing_file_may_have_another_path, set_up),
    };
    return cmocka_run_group_tests(tests, volume_group_set_up, volume_group_tear_down);
}
