/* SPDX-License-Identifier: Apache-2.0 */
/* agent/disk_image.c: what becomes of a snapshot that is streamed, or whose method is refused. */
#include "agent/dispatch.h"
#include "world.h"

static char stream[] = "stream";

static struct fake_script next; /* from the call of `change_at` on */
static enum fake_call change_at;
static bool upload_works_then;

static void change(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid, (void)userdata;
    if (call != change_at)
        return;
    if (upload_works_then)
        world.fail_upload = (struct error)ERROR_INIT;
    fake_driver_set_script(agent.driver, &next);
}

#define RECOVERIES 3

static void recover_at_last(enum fake_call call, const char *uuid, void *userdata)
{
    struct fake_record record;
    (void)uuid, (void)userdata;
    fake_driver_get_record(agent.driver, &record);
    if (call != FAKE_RECOVER || record.calls[FAKE_RECOVER] < RECOVERIES - 1)
        return;
    next.errors[FAKE_RECOVER] = (struct error)ERROR_INIT;
    fake_driver_set_script(agent.driver, &next);
}

static struct fake_record snapshot_as_configured(void)
{
    struct fake_record record;
    struct rpc_request *request = fixture_request();
    fake_driver_set_script(agent.driver, &script);
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
    fake_driver_get_record(agent.driver, &record);
    return record;
}

static struct fake_record snapshot(void)
{
    take_options();
    return snapshot_as_configured();
}

static const char *note(const char *name)
{
    return json_string_value(json_object_get(world.attributes, name));
}

static const char *method_note(void)
{
    return note("snapshot_method");
}

static int set_up_stream(void **state)
{
    if (setup(state) < 0)
        return -1;
    conf.snapshot_agent.live_snapshot_method = stream;
    conf.snapshot_agent.image_provenance = true;
    script.shows_disk = true;
    script.entries = json_pack("[{s:s}]", "step", "begin");
    script.on_call = change;
    change_at = FAKE_CALL_MAX;
    upload_works_then = false;
    next = script;
    return 0;
}

static int tear_down_stream(void **state)
{
    json_decref((json_t *)(uintptr_t)script.entries);
    return teardown(state);
}

static void a_streamed_guest_is_brought_back(void **state)
{
    (void)state;
    struct fake_record record = snapshot();
    assert_int_equal(record.plan.method, SNAPSHOT_METHOD_STREAM);
    assert_string_equal(record.root_device_name, "/dev/vda");
    assert_int_equal(record.calls[FAKE_RECOVER], 1);
    assert_int_equal(record.recovered_entries, 1);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(method_note(), "stream");
    /* Before anybody may do anything else with the server. */
    assert_non_null(strstr(world.story, "put:5 state: "));
}

static void a_guest_that_is_back_is_left_alone(void **state)
{
    (void)state;
    script.shows_disk = false;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_RECOVER], 0);
    assert_int_equal(world.image, ACTIVE);
}

static void bringing_it_back_is_tried_again(void **state)
{
    (void)state;
    script.errors[FAKE_RECOVER] = failure(EIO, EXC_INTERNAL_ERROR);
    change_at = FAKE_RECOVER;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_RECOVER], 2);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.fault, "");
    assert_non_null(strstr(world.story, "event_success"));
}

static void a_failed_upload_brings_it_back_too(void **state)
{
    (void)state;
    world.fail_upload = failure(EIO, EXC_IMAGE_UPLOAD_FAILED);
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 1); /* it runs: why should it work now? */
    assert_int_equal(record.calls[FAKE_RECOVER], 1);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.fault, "told to fail");
}

static void a_guest_that_stops_is_read_stopped(void **state)
{
    (void)state;
    world.fail_upload = failure(EIO, EXC_INTERNAL_ERROR);
    change_at = FAKE_RECOVER; /* of the stream that broke off */
    upload_works_then = true;
    next.info.power_state = POWER_STATE_SHUTDOWN;
    next.shows_disk = false;
    next.on_call = NULL;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 2);
    assert_int_equal(record.calls[FAKE_RECOVER], 1);
    assert_int_equal(record.plan.method, SNAPSHOT_METHOD_STREAM);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
}

/* Who stopped it has set the state as well: there is no second copy to make. */
static void a_guest_its_user_stopped_is_not_read_again(void **state)
{
    (void)state;
    world.when_saving = "image_uploading";
    world.state_before_save = "powering-off";
    change_at = FAKE_RECOVER;
    next.info.power_state = POWER_STATE_SHUTDOWN;
    next.shows_disk = false;
    next.on_call = NULL;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 1);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "powering-off");
}

/* Started while its disk was read, as it were. */
static void script_start_meanwhile(void)
{
    script.info.power_state = POWER_STATE_SHUTDOWN;
    script.errors[FAKE_EXTRACT] = failure(ESTALE, EXC_INTERNAL_ERROR);
    next = script;
    next.info.power_state = POWER_STATE_RUNNING;
    next.shows_disk = false;
    next.errors[FAKE_EXTRACT] = (struct error)ERROR_INIT;
    change_at = FAKE_EXTRACT;
}

static void a_guest_that_starts_is_read_running(void **state)
{
    static char blockcopy_name[] = "blockcopy";
    (void)state;
    conf.snapshot_agent.live_snapshot_method = blockcopy_name;
    script_start_meanwhile();
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 2);
    assert_int_equal(record.plan.method, SNAPSHOT_METHOD_BLOCKCOPY);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(method_note(),
                        "blockcopy"); /* "cold, not blockcopy" was the first plan's */
}

static void a_guest_that_ran_for_a_moment_is_read_again(void **state)
{
    (void)state;
    script_start_meanwhile();
    next.info.power_state = POWER_STATE_SHUTDOWN;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 2);
    assert_int_equal(world.image, ACTIVE);
}

static void a_guest_that_never_rests_makes_it_fail(void **state)
{
    (void)state;
    script.errors[FAKE_EXTRACT] = failure(ESTALE, EXC_INTERNAL_ERROR);
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 3);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.fault, "told to fail");
}

/* Whichever method it was, and whatever it said of it. */
static void a_guest_that_ends_is_read_stopped_by_every_method(void **state)
{
    static char blockrebase_name[] = "blockrebase";
    (void)state;
    conf.snapshot_agent.live_snapshot_method = blockrebase_name;
    script.errors[FAKE_EXTRACT] = failure(ENOENT, EXC_INSTANCE_NOT_FOUND);
    next = script;
    next.info.power_state = POWER_STATE_SHUTDOWN;
    next.shows_disk = false;
    next.errors[FAKE_EXTRACT] = (struct error)ERROR_INIT;
    change_at = FAKE_EXTRACT;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 2);
    assert_int_equal(record.plan.method, SNAPSHOT_METHOD_COLD);
    assert_int_equal(world.image, ACTIVE);
}

static void nothing_begins_before_the_guest_is_back(void **state)
{
    (void)state;
    world.fail_upload = failure(EIO, EXC_INTERNAL_ERROR);
    script.errors[FAKE_RECOVER] = failure(EIO, EXC_INTERNAL_ERROR);
    next = script;
    next.info.power_state = POWER_STATE_SHUTDOWN;
    next.on_call = recover_at_last;
    change_at = FAKE_EXTRACT;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 1);
    assert_int_equal(record.calls[FAKE_RECOVER], RECOVERIES);
    assert_int_equal(world.image, DELETED);
}

static void a_refused_method_gives_way_and_is_told(void **state)
{
    (void)state;
    script.errors[FAKE_EXTRACT] = failure(EOPNOTSUPP, EXC_INTERNAL_ERROR);
    change_at = FAKE_EXTRACT;
    next.shows_disk = false;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 2);
    assert_int_equal(record.plan.method, SNAPSHOT_METHOD_BLOCKCOPY);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(method_note(), "blockcopy, not stream: told to fail");
}

/* The default one as well: what it would lose is no rule of nova's. */
static void blockrebase_gives_way_to_blockcopy(void **state)
{
    static char blockrebase_name[] = "blockrebase";
    (void)state;
    conf.snapshot_agent.live_snapshot_method = blockrebase_name;
    script.errors[FAKE_EXTRACT] = failure(EOPNOTSUPP, EXC_INTERNAL_ERROR);
    script.shows_disk = false;
    change_at = FAKE_EXTRACT;
    next.shows_disk = false;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 2);
    assert_int_equal(record.plan.method, SNAPSHOT_METHOD_BLOCKCOPY);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(method_note(), "blockcopy, not blockrebase: told to fail");
}

/* SIGHUP may have changed what nova.conf said at the start. */
static void the_method_of_the_reload_is_told(void **state)
{
    static char blockrebase_name[] = "blockrebase";
    (void)state;
    conf.snapshot_agent.live_snapshot_method = blockrebase_name;
    take_options();
    conf.snapshot_agent.live_snapshot_method = stream;
    script.errors[FAKE_EXTRACT] = failure(EOPNOTSUPP, EXC_INTERNAL_ERROR);
    script.shows_disk = false;
    change_at = FAKE_EXTRACT;
    next.shows_disk = false;
    (void)snapshot_as_configured();
    assert_string_equal(method_note(), "blockcopy, not blockrebase: told to fail");
}

static void when_all_are_refused_it_fails(void **state)
{
    (void)state;
    script.errors[FAKE_EXTRACT] = failure(EOPNOTSUPP, EXC_INTERNAL_ERROR);
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 4);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.fault, "told to fail");
}

static void other_failures_are_none_of_the_method(void **state)
{
    (void)state;
    script.errors[FAKE_EXTRACT] = failure(ENOSPC, EXC_INTERNAL_ERROR);
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 1);
    assert_int_equal(world.image, DELETED);
}

static void encrypted_disks_are_not_touched(void **state)
{
    (void)state;
    struct fake_record record;
    struct rpc_request *request = fixture_request();
    json_t *instance = json_object_get(request->args, "instance");
    json_object_set_new(json_object_get(instance, "nova_object.data"), "ephemeral_key_uuid",
                        json_string("0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11"));
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
    fake_driver_get_record(agent.driver, &record);
    assert_int_equal(record.calls[FAKE_INSPECT] + record.calls[FAKE_EXTRACT], 0);
    assert_int_equal(world.image, DELETED);
    assert_non_null(strstr(world.fault, "are encrypted: it has an ephemeral_key_uuid"));
}

static void what_was_not_wanted_is_told_with_its_reason(void **state)
{
    (void)state;
    conf.workarounds.disable_libvirt_livesnapshot = true;
    script.shows_disk = false;
    (void)snapshot();
    assert_string_equal(method_note(),
                        "cold, not stream: [workarounds]disable_libvirt_livesnapshot is set");
}

/* Glance may have a protection of properties (403), or a quota of them that is full (413). */
static void what_needs_not_be_told_fails_nothing(void **state)
{
    static const struct {
        int errnum;
        const char *exc;
    } refusals[] = {{EACCES, EXC_IMAGE_NOT_AUTHORIZED}, {EDQUOT, EXC_IMAGE_QUOTA_EXCEEDED}};
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        conf.workarounds.disable_libvirt_livesnapshot = true;
        script.shows_disk = false;
        world.fail_note = failure(refusals[i].errnum, refusals[i].exc);
        (void)snapshot();
        assert_int_equal(world.image, ACTIVE);
        assert_string_equal(world.fault, "");
        assert_non_null(strstr(world.story, "patch note put:5 state: "));
        assert_string_equal(json_string_value(json_object_get(world.attributes, "disk_format")),
                            "qcow2");
        assert_null(method_note());
        assert_int_equal(tear_down_stream(state), 0);
        assert_int_equal(set_up_stream(state), 0);
    }
}

static void novas_own_choice_needs_no_reason(void **state)
{
    static char blockrebase_name[] = "blockrebase";
    (void)state;
    conf.snapshot_agent.live_snapshot_method = blockrebase_name;
    script.info.power_state = POWER_STATE_SHUTDOWN;
    script.shows_disk = false;
    struct fake_record record = snapshot();
    assert_int_equal(record.plan.method, SNAPSHOT_METHOD_COLD);
    assert_string_equal(method_note(), "cold");
}

static void the_record_tells_the_instant_and_who_took_it(void **state)
{
    (void)state;
    struct tm utc = {0};
    time_t before = time(NULL);
    script.quiesced = true;
    (void)snapshot();
    assert_string_equal(note("snapshot_quiesced"), "yes");
    assert_string_equal(note("snapshot_agent"), "nova-snapshot-agent " VERSION);
    assert_non_null(note("snapshot_instant"));
    const char *end = strptime(note("snapshot_instant"), "%Y-%m-%dT%H:%M:%S", &utc);
    assert_non_null(end);
    assert_string_equal(end, "Z");
    time_t instant = timegm(&utc);
    assert_true(instant >= before && instant <= time(NULL));
}

static void the_record_has_a_mark_that_fits_no_other(void **state)
{
    (void)state;
    agent.key = (struct host_key){.known = true, .bytes = "a secret"};
    (void)snapshot();
    assert_true(host_key_is_mark(&agent.key, FIXTURE_IMAGE, note("snapshot_mark")));
    assert_false(host_key_is_mark(&agent.key, FIXTURE_INSTANCE, note("snapshot_mark")));
}

static void why_it_was_not_frozen_is_told(void **state)
{
    (void)state;
    (void)snapshot();
    assert_string_equal(note("snapshot_quiesced"), "no: QEMU guest agent is not enabled");
}

static const char *const inherited[] = {"snapshot_method", "snapshot_instant", "snapshot_mark"};

static void snapshot_of_a_snapshot(void)
{
    struct rpc_request *request = fixture_request();
    json_t *data = json_object_get(json_object_get(request->args, "instance"), "nova_object.data");
    json_t *properties = json_object_get(data, "system_metadata");
    for (size_t i = 0; i < ARRAY_SIZE(inherited); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "image_%s", inherited[i]);
        (void)json_object_set_new(properties, name, json_string("of the parent"));
    }
    take_options();
    fake_driver_set_script(agent.driver, &script);
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
}

static void what_is_not_to_be_told_is_not_inherited_either(void **state)
{
    (void)state;
    conf.snapshot_agent.image_provenance = false;
    snapshot_of_a_snapshot();
    for (size_t i = 0; i < ARRAY_SIZE(inherited); i++)
        assert_string_equal(note(inherited[i]), "");
    assert_null(note("snapshot_agent"));
    assert_null(note("snapshot_quiesced"));
}

/* By default as well: stream writes next to nothing. */
static void without_room_it_is_streamed(void **state)
{
    static char blockrebase_name[] = "blockrebase";
    (void)state;
    conf.snapshot_agent.live_snapshot_method = blockrebase_name;
    script.errors[FAKE_EXTRACT] = failure(ENOSPC, EXC_INTERNAL_ERROR);
    change_at = FAKE_EXTRACT;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 2);
    assert_int_equal(record.plan.method, SNAPSHOT_METHOD_STREAM);
    assert_int_equal(record.calls[FAKE_RECOVER], 1);
    assert_int_equal(world.image, ACTIVE);
}

static void a_stopped_guest_is_streamed_without_room(void **state)
{
    static char blockrebase_name[] = "blockrebase";
    (void)state;
    conf.snapshot_agent.live_snapshot_method = blockrebase_name;
    script.info.power_state = next.info.power_state = POWER_STATE_SHUTDOWN;
    script.errors[FAKE_EXTRACT] = failure(ENOSPC, EXC_INTERNAL_ERROR);
    change_at = FAKE_EXTRACT;
    next.shows_disk = false;
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 2);
    assert_int_equal(record.plan.method, SNAPSHOT_METHOD_STREAM);
    assert_int_equal(world.image, ACTIVE);
}

/* A guest is not put to rest because a disk is full: what is told is what was wanting. */
static void without_room_and_stream_it_fails(void **state)
{
    static char blockrebase_name[] = "blockrebase";
    (void)state;
    conf.snapshot_agent.live_snapshot_method = blockrebase_name;
    script.errors[FAKE_EXTRACT] = failure(ENOSPC, EXC_INTERNAL_ERROR);
    change_at = FAKE_EXTRACT;
    next.errors[FAKE_EXTRACT] = failure(EOPNOTSUPP, EXC_INTERNAL_ERROR);
    (void)snprintf(next.errors[FAKE_EXTRACT].message, sizeof(next.errors[FAKE_EXTRACT].message),
                   "no stream here");
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 2);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.fault, "told to fail");
}

static void what_was_refused_is_not_streamed_for_want_of_room(void **state)
{
    (void)state;
    script.errors[FAKE_EXTRACT] = failure(EOPNOTSUPP, EXC_INTERNAL_ERROR);
    change_at = FAKE_EXTRACT;
    next.errors[FAKE_EXTRACT] = failure(ENOSPC, EXC_INTERNAL_ERROR);
    struct fake_record record = snapshot();
    assert_int_equal(record.calls[FAKE_EXTRACT], 2);
    assert_int_equal(record.plan.method, SNAPSHOT_METHOD_BLOCKCOPY);
    assert_int_equal(world.image, DELETED);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_stream, tear_down_stream)
    const struct CMUnitTest tests[] = {
        TEST(a_streamed_guest_is_brought_back),
        TEST(a_guest_that_is_back_is_left_alone),
        TEST(bringing_it_back_is_tried_again),
        TEST(a_failed_upload_brings_it_back_too),
        TEST(a_guest_that_stops_is_read_stopped),
        TEST(a_guest_its_user_stopped_is_not_read_again),
        TEST(a_guest_that_starts_is_read_running),
        TEST(a_guest_that_ran_for_a_moment_is_read_again),
        TEST(a_guest_that_never_rests_makes_it_fail),
        TEST(a_guest_that_ends_is_read_stopped_by_every_method),
        TEST(nothing_begins_before_the_guest_is_back),
        TEST(a_refused_method_gives_way_and_is_told),
        TEST(blockrebase_gives_way_to_blockcopy),
        TEST(the_method_of_the_reload_is_told),
        TEST(when_all_are_refused_it_fails),
        TEST(other_failures_are_none_of_the_method),
        TEST(encrypted_disks_are_not_touched),
        TEST(what_was_not_wanted_is_told_with_its_reason),
        TEST(novas_own_choice_needs_no_reason),
        TEST(the_record_tells_the_instant_and_who_took_it),
        TEST(the_record_has_a_mark_that_fits_no_other),
        TEST(why_it_was_not_frozen_is_told),
        TEST(what_is_not_to_be_told_is_not_inherited_either),
        TEST(what_needs_not_be_told_fails_nothing),
        TEST(without_room_it_is_streamed),
        TEST(a_stopped_guest_is_streamed_without_room),
        TEST(without_room_and_stream_it_fails),
        TEST(what_was_refused_is_not_streamed_for_want_of_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
