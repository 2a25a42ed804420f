/* SPDX-License-Identifier: Apache-2.0 */
/* driver/snapshot/live.c: whatever fails, the guest is thawed, its copy ended, its domain defined.
 */
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
    plan = (struct snapshot_plan){
        .method = SNAPSHOT_METHOD_BLOCKREBASE, .image_format = "qcow2", .quiesce = true};
    fill_info();
    return 0;
}

static int take(void)
{
    result = (struct snapshot_result){0};
    err = (struct error)ERROR_INIT;
    return libvirt_live_snapshot(&driver, &info, &plan, &result, &err);
}

static void assert_guest_as_before(void)
{
    assert_false(world.frozen);
    assert_false(world.mirror);
    assert_true(world.exists);
    assert_true(world.persistent);
    assert_string_equal(world.definition, DEFINITION);
    assert_true(world.autostart);
}

static void assert_image(void)
{
    char text[16] = "";
    assert_non_null(result.image);
    assert_true(result.image->size_bytes == 5);
    assert_int_equal(result.image->ops->read(result.image, text, sizeof(text), &err), 5);
    assert_string_equal(text, "image");
    assert_int_equal(files_left(), 1);
    image_source_close(result.image);
    assert_int_equal(files_left(), 0);
}

static void good_snapshot_in_order(void **state)
{
    (void)state;
    static const char *const order[] = {
        "find_domain",       "GetBlockJobInfo", "GetXMLDesc-inactive", "qemu-img create",
        "Undefine-keep-all", "watch",           "BlockRebase",         "FSFreeze",
        "BlockJobAbort",     "FSThaw",          "SetAutostart",        "stream file"};
    plan.observer = listen_to_it();
    assert_int_equal(take(), 0);
    assert_int_equal(told.n_instants, 1);
    assert_int_equal(told.instant_place, place_of("FSThaw"));
    assert_guest_as_before();
    assert_true(result.quiesced);
    for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++)
        assert_true(place_of(order[i - 1]) < place_of(order[i]));
    assert_true(place_of("GetXMLDesc-inactive") < place_of("DefineXML") && /* to see it taken */
                place_of("DefineXML") < place_of("qemu-img create"));
    assert_true(place_of("FSThaw") < last_place_of("DefineXML") &&
                last_place_of("DefineXML") < place_of("SetAutostart"));
    /* Nothing comes between: the guest stands still. */
    assert_string_equal(world.calls[place_of("FSFreeze") + 1], "GetTime"); /* is it frozen? */
    assert_int_equal(place_of("BlockJobAbort"), place_of("FSFreeze") + 2);
    assert_int_equal(place_of("FSThaw"), place_of("BlockJobAbort") + 1);
    assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
    assert_image();
}

static void agent_is_left_alone_without_quiesce(void **state)
{
    (void)state;
    plan.quiesce = false;
    assert_int_equal(take(), 0);
    assert_false(result.quiesced);
    assert_false(was_called("FSFreeze"));
    assert_false(was_called("AgentSetResponseTimeout"));
    assert_image();
}

static void transient_domain_stays_transient(void **state)
{
    (void)state;
    world.persistent = false;
    world.autostart = false;
    assert_int_equal(take(), 0);
    assert_false(world.persistent);
    assert_false(was_called("Undefine-keep-all"));
    assert_false(was_called("DefineXML"));
    assert_image();
}

static const char *class_of_failure(const char *name)
{
    if (strcmp(name, "qemu-img create") == 0)
        return EXC_PROCESS_EXECUTION_ERROR;
    return strcmp(name, "qemu-img convert") == 0 ? EXC_IMAGE_UNACCEPTABLE : EXC_LIBVIRT_ERROR;
}

/*
 * Every call fails once, with and without its effect: the guest is as before, the error is that
 * one, nothing is left. Calls that may fail without harm lead to an image.
 */
static void each_call_fails_in_turn(void **state)
{
    for (int with_effect = 0; with_effect <= 3; with_effect++) {
        for (int index = 0;; index++) {
            set_up(state);
            plan.compress = with_effect > 1; /* which takes a conversion */
            plan.require_quiesce = index % 2;
            world.fail_index = index;
            world.fail_with_effect = with_effect % 2;
            int r = take();
            if (world.call_count <= index) { /* none was left to fail */
                assert_int_equal(r, 0);
                assert_image();
                break;
            }
            const char *name = world.calls[index];
            assert_guest_as_before();
            if (r == 0) {
                assert_image();
                continue;
            }
            char text[64];
            (void)snprintf(text, sizeof(text), "injected in %s", name);
            assert_error(class_of_failure(name), text);
            assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
        }
        assert_true(world.call_count > 20);
    }
}

/* A step of the rollback that fails for good stops none of the others and is told second. */
/* The copy is there: it is not lost because no server can show it. */
static void a_copy_that_cannot_be_shown_is_converted(void **state)
{
    (void)state;
    world.fail_name = "stream file";
    assert_int_equal(take(), 0);
    assert_true(place_of("SetAutostart") < place_of("qemu-img convert"));
    assert_string_equal(world.source_format, "qcow2");
    assert_non_null(strstr(world.source_path, ".delta"));
    assert_guest_as_before();
    assert_image();
}

static void each_call_fails_for_good(void **state)
{
    static const char *const names[] = {"FSThaw",      "BlockJobAbort", "DefineXML",
                                        "GetXMLDesc",  "IsActive",      "IsPersistent",
                                        "find_domain", "get_connection"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        set_up(state);
        world.fail_name = names[i];
        if (take() == 0) {
            assert_guest_as_before();
            assert_image();
            continue;
        }
        char text[64];
        (void)snprintf(text, sizeof(text), "injected in %s", names[i]);
        assert_error(EXC_LIBVIRT_ERROR, text);
        if (strcmp(names[i], "FSThaw") != 0)
            assert_false(world.frozen);
        if (strcmp(names[i], "BlockJobAbort") != 0 && strcmp(names[i], "GetXMLDesc") != 0)
            assert_false(world.mirror);
        if (strcmp(names[i], "DefineXML") != 0 && strcmp(names[i], "get_connection") != 0)
            assert_true(world.persistent);
    }
}

/* The work is cancelled while each call is under way: the guest is as before, nothing is left. */
static void cancelled_at_each_call(void **state)
{
    int cancelled = 0, calls = 1;
    for (int index = 0; index < calls; index++) {
        set_up(state);
        int r = take_cancelled_at(index, take);
        calls = world.call_count;
        assert_guest_as_before();
        assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
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

static void cancelled_copy_is_ended(void **state)
{
    struct canceller canceller;
    canceller_enter(&canceller);
    set_up(state);
    driver.stall_timeout_s = 3600;
    world.course = COPY_STALLS;
    canceller_start(&canceller, -1);
    assert_cancelled(take(), &err);
    driver.stall_timeout_s = 1;
    canceller_join(&canceller);
    canceller_leave(&canceller);
    assert_guest_as_before();
    assert_false(was_called("FSFreeze"));
    assert_false(was_called("stream file"));
    assert_int_equal(files_left(), 0);
}

static int take_deleted(enum copy_course course, int event_index)
{
    struct canceller canceller;
    struct error deleting = ERROR_INIT;
    (void)error_set(&deleting, EIO, EXC_UNEXPECTED_DELETING, "deleted");
    (void)set_up(NULL);
    canceller_enter(&canceller);
    cancel_request(canceller.cancel, &deleting);
    world.course = course;
    world.event = end_guest;
    world.event_index = event_index;
    int r = take();
    canceller_leave(&canceller);
    return r;
}

static void assert_deleted(bool defined)
{
    assert_string_equal(err.exc, EXC_UNEXPECTED_DELETING);
    assert_int_equal(times_called("DefineXML") - was_called("Undefine-keep-all"), defined);
    assert_false(world.exists);
    assert_int_equal(files_left(), 0);
}

/* nova-compute is faster, or at the same place at the same time: nothing is defined afterwards. */
static void guest_deleted_meanwhile_is_not_defined_again(void **state)
{
    (void)state;
    assert_int_equal(take_deleted(GUEST_ENDS, -1), -ECANCELED);
    assert_deleted(false);

    /* One that is still there is as before: nova-compute undefines it. */
    assert_int_equal(take_deleted(COPY_STALLS, -1), -ECANCELED);
    int abort_place = place_of("BlockJobAbort"), define_place = last_place_of("DefineXML");
    assert_true(world.exists && world.persistent && world.active);
    assert_false(world.mirror);

    assert_int_equal(take_deleted(COPY_STALLS, abort_place), -ECANCELED);
    assert_deleted(false);
    assert_int_equal(take_deleted(COPY_STALLS, define_place), -ECANCELED);
    assert_deleted(true);
}

static void first_error_is_kept(void **state)
{
    world.course = COPY_FAILS;
    assert_int_equal(take(), -EIO);
    int define_place = last_place_of("DefineXML");
    set_up(state);
    world.course = COPY_FAILS;
    world.fail_name = "DefineXML";
    world.fail_from = define_place;
    assert_int_equal(take(), -EIO);
    assert_error(EXC_INTERNAL_ERROR, "ended before it was complete");
    assert_non_null(strstr(err.message, "; then: cannot define the domain"));
}

static void failed_copies_are_no_images(void **state)
{
    static const struct {
        enum copy_course course;
        int r;
        const char *text;
    } cases[] = {
        {COPY_FAILS, -EIO, "ended before it was complete (block job status 1)"},
        {COPY_VANISHES, -EIO, "has vanished"},
        {COPY_STALLS, -ETIMEDOUT, "made no progress for 1 s"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_up(state);
        world.course = cases[i].course;
        assert_int_equal(take(), cases[i].r);
        assert_error(EXC_INTERNAL_ERROR, cases[i].text);
        assert_guest_as_before();
        assert_false(was_called("FSFreeze"));
    }
}

/* A guest that writes 800 bytes while 1000 are copied, or as much as is copied. */
static uint64_t written_per_look, copied;

static uint64_t rate_when_copied_3000; /* 0: as it was */

static int read_busy_job(virDomainBlockJobInfoPtr job)
{
    if (!was_called("BlockRebase"))
        return 0;
    copied += 1000;
    if (copied == 3000 && rate_when_copied_3000 > 0)
        driver.disk_bytes_per_s = rate_when_copied_3000;
    job->cur = copied;
    job->end = 10000 + copied / 1000 * written_per_look;
    if (!world.limited || copied >= 10000)
        job->end = written_per_look == 1000 ? copied + 10000 : job->cur;
    if (job->end == job->cur)
        tell_job(VIR_DOMAIN_BLOCK_JOB_READY);
    return 1;
}

static int take_limited(uint64_t written_bytes)
{
    world.course = COPY_STALLS; /* until the job tells otherwise */
    world.limit_bytes_per_s = 1000;
    driver.disk_bytes_per_s = 1000;
    world.read_job = read_busy_job;
    written_per_look = written_bytes;
    copied = 0;
    int r = take();
    driver.disk_bytes_per_s = 0;
    return r;
}

static void limit_that_a_busy_guest_outruns_is_lifted(void **state)
{
    (void)state;
    assert_int_equal(take_limited(800), 0);
    assert_true(place_of("BlockJobSetSpeed") < place_of("FSFreeze"));
    assert_false(world.limited);
    assert_guest_as_before();
    assert_image();
}

/* To end it takes the last writes: the guest does not stand still for a limit. */
static void limit_that_can_be_kept_is_lifted_at_the_end(void **state)
{
    (void)state;
    plan.observer = listen_to_it();
    assert_int_equal(take_limited(100), 0);
    assert_int_equal(told.n_copied, 10);
    assert_int_equal(told.copied_bytes, 10000);
    assert_int_equal(told.total_bytes, 10000);
    assert_int_equal(times_called("GetBlockJobInfo"), 11); /* one before, ten to the end */
    assert_true(place_of("BlockJobSetSpeed") < place_of("FSFreeze"));
    assert_image();

    (void)set_up(state);
    world.fail_name = "BlockJobSetSpeed";
    assert_int_equal(take_limited(100), 0);
    assert_image();
}

static void a_limit_that_changes_holds_for_a_copy_that_runs(void **state)
{
    (void)state;
    rate_when_copied_3000 = 500;
    int r = take_limited(100);
    rate_when_copied_3000 = 0;
    assert_int_equal(r, 0);
    assert_int_equal(world.changed_bytes_per_s, 500);
    assert_int_equal(times_called("BlockJobSetSpeed"), 2); /* once more at the end: it is lifted */
    assert_false(world.limited);
    assert_image();
}

static uint64_t wish_of_copy(void *arg, uint64_t usual)
{
    (void)arg;
    assert_int_equal(usual, 1000);
    return copied < 3000 ? usual : 700;
}

/* Who watches it knows of this one what the host's limit does not say. */
static void a_copy_has_a_limit_of_its_own(void **state)
{
    static const struct driver_observer observer = {
        .instant = hear_instant, .copied = hear_copied, .copy_rate = wish_of_copy};
    (void)state;
    plan.observer = &observer;
    int r = take_limited(100);
    plan.observer = NULL;
    assert_int_equal(r, 0);
    assert_int_equal(world.changed_bytes_per_s, 700);
    assert_image();
}

static uint64_t told_done, told_total;
static unsigned n_told, n_instants;

static void note_instant(void *arg)
{
    (void)arg;
    assert_int_equal(n_told, 10); /* when it has been copied */
    n_instants++;
}

static void note_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    (void)arg;
    told_done = done_bytes;
    told_total = total_bytes;
    n_told++;
}

static void who_wants_to_know_is_told_how_far_it_is(void **state)
{
    static const struct driver_observer observer = {.instant = note_instant,
                                                    .copied = note_progress};
    (void)state;
    n_told = n_instants = 0;
    plan.observer = &observer;
    int r = take_limited(100);
    plan.observer = NULL;
    assert_int_equal(r, 0);
    assert_int_equal(n_told, 10);
    assert_int_equal(n_instants, 1);
    assert_true(told_done == 10000 && told_total == 10000);
    assert_image();
}

static void copy_that_a_busy_guest_outruns_fails(void **state)
{
    (void)state;
    assert_int_equal(take_limited(1000), -ETIMEDOUT);
    assert_error(EXC_INTERNAL_ERROR, "writes to disk vda as fast as it can be copied");
    assert_true(was_called("BlockJobSetSpeed"));
    assert_guest_as_before();
    assert_false(was_called("FSFreeze"));
}

static void guest_that_ends_is_defined_again(void **state)
{
    (void)state;
    world.course = GUEST_ENDS;
    assert_int_equal(take(), -ESTALE);
    assert_error(EXC_INSTANCE_NOT_FOUND, "ended while its disk was copied");
    assert_guest_as_before();
    assert_false(world.active);
    assert_false(was_called("BlockJobAbort"));
    assert_false(was_called("FSFreeze"));
}

static void deleted_guest_is_not_defined_again(void **state)
{
    (void)state;
    world.course = GUEST_DELETED;
    assert_int_equal(take(), -ESTALE);
    assert_error(EXC_INSTANCE_NOT_FOUND, "ended while its disk was copied");
    assert_false(world.exists);
    assert_int_equal(times_called("DefineXML"), 1); /* when it was seen to be taken */
}

static int instance_was_deleted(void *arg, bool *ret_has, struct error *failure)
{
    (void)failure;
    *ret_has = false;
    (*(int *)arg)++;
    return 0;
}

/* Nobody has told the agent, and the disk is not removed yet. */
static void guest_is_not_defined_that_nova_has_deleted(void **state)
{
    int times = 0;
    const struct driver_owner owner = {.has_instance = instance_was_deleted, .arg = &times};
    (void)state;
    plan.owner = &owner;
    world.course = GUEST_ENDS;
    assert_int_equal(take(), -ESTALE);
    assert_error(EXC_INSTANCE_NOT_FOUND, "ended while its disk was copied");
    assert_false(world.exists);
    assert_int_equal(times_called("DefineXML"), 1); /* when it was seen to be taken */
    assert_int_equal(times, 1);
}

static void foreign_block_job_is_left_alone(void **state)
{
    (void)state;
    world.foreign_job = true;
    assert_int_equal(take(), -EBUSY);
    assert_error(EXC_INTERNAL_ERROR, "another block job is running on disk vda");
    assert_guest_as_before();
    assert_false(was_called("BlockJobAbort"));
    assert_false(was_called("Undefine-keep-all"));
    assert_false(was_called("qemu-img create"));
}

static void guest_is_not_touched_without_room(void **state)
{
    (void)state;
    plan.compress = true;
    world.image_bytes = UINT64_C(1) << 60;
    assert_int_equal(take(), -ENOSPC);
    assert_error(EXC_INTERNAL_ERROR, "up to 1152921504673955840 bytes are needed");
    assert_guest_as_before();
    assert_false(was_called("GetXMLDesc-inactive"));
    assert_false(was_called("qemu-img create"));
}

/* What would be lost with the definition is known before anything is done: another method does. */
static void assert_gives_way(const char *text)
{
    assert_int_equal(take(), -EOPNOTSUPP);
    assert_error(strstr(text, "injected") ? EXC_LIBVIRT_ERROR : EXC_INTERNAL_ERROR, text);
    assert_false(was_called("qemu-img create"));
    assert_true(world.exists && world.persistent && world.autostart && world.active);
}

static void domain_that_would_lose_is_not_undefined(void **state)
{
    static const char tpm[] =
        "<domain><devices><tpm><backend type='%s' version='2.0'/></tpm></devices></domain>";
    (void)state;
    (void)snprintf(world.definition, sizeof(world.definition), tpm, "emulator");
    assert_gives_way("the domain is not undefined: its TPM");
    assert_false(was_called("DefineXML"));

    set_up(state);
    (void)snprintf(world.definition, sizeof(world.definition), tpm, "passthrough");
    assert_int_equal(take(), 0);
    assert_image();

    set_up(state); /* the next start has none, this run has */
    world.volume = "<tpm><backend type='emulator'/></tpm>";
    assert_gives_way("its TPM");

    set_up(state);
    world.checkpoints = 1;
    assert_gives_way("it has checkpoints");
    set_up(state);
    world.snapshots = 2;
    assert_gives_way("it has snapshots");
    set_up(state);
    world.saved = true;
    assert_gives_way("it has a saved memory image");
    assert_false(was_called("Undefine-keep-all"));

    set_up(state); /* libvirt before 5.6 */
    world.fail_name = "ListAllCheckpoints";
    world.fail_code = VIR_ERR_NO_SUPPORT;
    assert_int_equal(take(), 0);
    assert_image();
}

static void definition_that_is_not_taken_is_kept(void **state)
{
    (void)state;
    world.fail_name = "DefineXML";
    world.fail_code = VIR_ERR_CONFIG_UNSUPPORTED;
    assert_gives_way("libvirt would not define it again: injected in DefineXML");
    assert_guest_as_before();

    set_up(state);
    world.normalises = true;
    assert_gives_way("its definition changes when it is defined again");
    assert_false(was_called("Undefine-keep-all"));

    set_up(state);
    world.fail_name = "Undefine-keep-all";
    assert_int_equal(take(), -EOPNOTSUPP);
    assert_error(EXC_LIBVIRT_ERROR, "cannot undefine the domain");
    assert_guest_as_before();
}

#define VOLUME(file)                                                                               \
    "<disk type='file'><driver type='qcow2'/><source file='" file "'/><target dev='vdb'/></disk>"

static void attach_volume(void)
{
    world.volume = VOLUME("/v");
}

static int take_with_volume_attached_at(int place, const char *refused)
{
    (void)set_up(NULL);
    world.event = attach_volume;
    world.event_index = place;
    world.refused_text = refused;
    return take();
}

/* Meanwhile libvirt knows of it from the guest alone. */
static void what_is_attached_meanwhile_is_defined(void **state)
{
    (void)state;
    assert_int_equal(take(), 0);
    assert_image();
    int place = place_of("FSFreeze");
    assert_int_equal(take_with_volume_attached_at(place, NULL), 0);
    assert_true(world.persistent && world.autostart);
    assert_string_equal(world.definition,
                        "<domain><secret/><devices><disk type=\"file\"><driver "
                        "type=\"qcow2\"/><source file=\"/v\"/><target dev=\"vdb\"/></disk>"
                        "</devices></domain>");
    assert_image();

    /* Where libvirt does not take that, it is what the guest has. */
    assert_int_equal(take_with_volume_attached_at(place, "<secret/><devices><disk"), 0);
    assert_true(world.persistent && world.autostart);
    assert_non_null(strstr(world.definition, "/i/disk"));
    assert_non_null(strstr(world.definition, VOLUME("/v")));
    assert_image();

    /* Never one without the volume. */
    assert_int_equal(take_with_volume_attached_at(place, "<disk"), -EIO);
    assert_error(EXC_LIBVIRT_ERROR, "cannot define the domain again");
    assert_false(world.persistent);
}

static void room_is_for_the_copy_of_the_layer(void **state)
{
    (void)state;
    world.layer_bytes = UINT64_C(1) << 60;
    assert_int_equal(take(), -ENOSPC);
    assert_error(EXC_INTERNAL_ERROR, "up to 1297036692749811712 bytes are needed"); /* 1/8 more */
    assert_guest_as_before();
    assert_false(was_called("qemu-img create"));
}

static void older_libvirt_knows_fewer_flags(void **state)
{
    (void)state;
    world.fail_name = "Undefine-keep-all";
    world.fail_code = VIR_ERR_INVALID_ARG;
    assert_int_equal(take(), 0);
    assert_true(was_called(LIBVIR_VERSION_NUMBER >= 8009000 ? "Undefine-keep-nvram" : "Undefine"));
    assert_guest_as_before();
    assert_image();
}

static void silent_agent_is_not_asked_to_freeze(void **state)
{
    (void)state;
    world.fail_name = "GetTime";
    world.fail_code = VIR_ERR_AGENT_UNRESPONSIVE;
    assert_int_equal(take(), 0);
    assert_false(result.quiesced);
    assert_false(was_called("FSFreeze"));
    assert_false(was_called("FSThaw"));
    assert_guest_as_before();
    assert_image();

    set_up(state);
    plan.require_quiesce = true;
    world.fail_name = "GetTime";
    world.fail_code = VIR_ERR_AGENT_UNRESPONSIVE;
    assert_int_equal(take(), -EIO);
    assert_error(EXC_LIBVIRT_ERROR, "\"os_require_quiesce\" is set: the guest agent");
    assert_guest_as_before();
}

static void late_freeze_is_thawed(void **state)
{
    for (int require = 0; require <= 1; require++) {
        set_up(state);
        plan.require_quiesce = require;
        world.fail_name = "FSFreeze";
        world.fail_code = VIR_ERR_AGENT_UNRESPONSIVE;
        world.fail_with_effect = true;
        assert_int_equal(take(), require ? -EIO : 0);
        assert_true(was_called("FSThaw"));
        assert_guest_as_before();
        assert_false(result.quiesced);
        if (!require)
            assert_image();
    }
}

/* os_require_quiesce: a freeze that fails when it comes to it is no image. */
static void required_freeze_that_fails_is_told(void **state)
{
    for (int lies = 0; lies <= 1; lies++) {
        set_up(state);
        plan.require_quiesce = true;
        if (lies)
            world.freezes_nothing = true;
        else
            world.fail_name = "FSFreeze";
        assert_int_equal(take(), -EIO);
        assert_error(lies ? EXC_INTERNAL_ERROR : EXC_LIBVIRT_ERROR,
                     "\"os_require_quiesce\" is set");
        assert_true(was_called("FSFreeze"));
        assert_guest_as_before();
    }
}

/* What the agent does then counts more than what it says of its deed. */
static void frozen_state_is_read_back(void **state)
{
    (void)state;
    world.freezes_nothing = true;
    assert_int_equal(take(), 0);
    assert_false(result.quiesced);
    assert_image();

    set_up(state);
    world.has_nothing = true; /* a success to nova, and what the agent holds still is let go */
    plan.require_quiesce = true;
    assert_int_equal(take(), 0);
    assert_true(result.quiesced);
    assert_true(was_called("FSThaw"));
    assert_image();

    set_up(state);
    world.thaws_nothing = true;
    assert_int_equal(take(), -EIO);
    assert_error(EXC_LIBVIRT_ERROR, "still as in a frozen guest after it has thawed one");
    assert_true(world.frozen); /* nothing more can be done here: the caller knows */

    set_up(state);
    world.fail_name = "GetTime"; /* it knows no such question */
    assert_int_equal(take(), 0);
    assert_true(result.quiesced);
    assert_image();

    set_up(state);
    assert_int_equal(take(), 0);
    assert_image();
    int place = place_of("FSFreeze");
    set_up(state);
    world.fail_name = "GetTime"; /* it has died since the freeze */
    world.fail_from = place;
    world.fail_code = VIR_ERR_AGENT_UNRESPONSIVE;
    assert_int_equal(take(), 0);
    assert_false(result.quiesced);
    assert_guest_as_before();
    assert_image();

    set_up(state);
    assert_int_equal(take(), 0);
    assert_image();
    place = place_of("FSThaw");
    set_up(state);
    world.fail_name = "GetTime"; /* it has gone since the thaw */
    world.fail_from = place;
    world.fail_code = VIR_ERR_AGENT_UNSYNCED;
    assert_int_equal(take(), 0);
    assert_true(result.quiesced);
    assert_int_equal(times_called("FSThaw"), 1);
    assert_image();
}

/* The image is good: it is only not known whether the guest stood still for all of its instant. */
static void thaw_is_tried_again(void **state)
{
    for (int required = 0; required <= 1; required++) {
        set_up(state);
        plan.require_quiesce = required;
        world.thaw_failures = 2;
        assert_int_equal(take(), required ? -EIO : 0);
        assert_guest_as_before();
        assert_int_equal(times_called("FSThaw"), 3);
        if (required) {
            assert_error(EXC_LIBVIRT_ERROR, "cannot thaw the guest's filesystems");
            continue;
        }
        assert_false(result.quiesced);
        assert_image();
    }
    set_up(state);
    world.thaw_failures = 4; /* nothing is left undone for it */
    assert_int_equal(take(), -EIO);
    assert_error(EXC_LIBVIRT_ERROR, "cannot thaw the guest's filesystems");
    assert_guest_as_before();
}

static void freeze_of_somebody_else_is_kept(void **state)
{
    (void)state;
    world.frozen_by_other = true;
    assert_int_equal(take(), 0);
    assert_false(was_called("FSThaw"));
    assert_false(result.quiesced);
    assert_image();
}

static void required_quiesce_is_checked_first(void **state)
{
    (void)state;
    plan.require_quiesce = true;
    plan.quiesce = false;
    assert_int_equal(take(), -EINVAL);
    assert_error(EXC_QEMU_GUEST_AGENT_NOT_ENABLED, "not enabled");
    assert_false(was_called("qemu-img create"));

    set_up(state);
    plan.require_quiesce = true;
    info.power_state = POWER_STATE_PAUSED;
    assert_int_equal(take(), -EINVAL);
    assert_error(EXC_INTERNAL_ERROR, "cannot be frozen");
    assert_false(was_called("BlockRebase"));
}

static void paused_guest_is_not_asked(void **state)
{
    (void)state;
    info.power_state = POWER_STATE_PAUSED;
    world.state = VIR_DOMAIN_PAUSED;
    assert_int_equal(take(), 0);
    assert_false(was_called("GetTime"));
    assert_false(result.quiesced);
    assert_image();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(good_snapshot_in_order, set_up),
        cmocka_unit_test_setup(agent_is_left_alone_without_quiesce, set_up),
        cmocka_unit_test_setup(transient_domain_stays_transient, set_up),
        cmocka_unit_test(each_call_fails_in_turn),
        cmocka_unit_test_setup(a_copy_that_cannot_be_shown_is_converted, set_up),
        cmocka_unit_test(each_call_fails_for_good),
        cmocka_unit_test_setup(first_error_is_kept, set_up),
        cmocka_unit_test(failed_copies_are_no_images),
        cmocka_unit_test_setup(limit_that_a_busy_guest_outruns_is_lifted, set_up),
        cmocka_unit_test_setup(limit_that_can_be_kept_is_lifted_at_the_end, set_up),
        cmocka_unit_test_setup(a_limit_that_changes_holds_for_a_copy_that_runs, set_up),
        cmocka_unit_test_setup(a_copy_has_a_limit_of_its_own, set_up),
        cmocka_unit_test_setup(copy_that_a_busy_guest_outruns_fails, set_up),
        cmocka_unit_test_setup(who_wants_to_know_is_told_how_far_it_is, set_up),
        cmocka_unit_test_setup(guest_that_ends_is_defined_again, set_up),
        cmocka_unit_test_setup(deleted_guest_is_not_defined_again, set_up),
        cmocka_unit_test_setup(guest_is_not_defined_that_nova_has_deleted, set_up),
        cmocka_unit_test_setup(foreign_block_job_is_left_alone, set_up),
        cmocka_unit_test_setup(guest_is_not_touched_without_room, set_up),
        cmocka_unit_test_setup(domain_that_would_lose_is_not_undefined, set_up),
        cmocka_unit_test_setup(definition_that_is_not_taken_is_kept, set_up),
        cmocka_unit_test_setup(what_is_attached_meanwhile_is_defined, set_up),
        cmocka_unit_test_setup(room_is_for_the_copy_of_the_layer, set_up),
        cmocka_unit_test_setup(older_libvirt_knows_fewer_flags, set_up),
        cmocka_unit_test_setup(silent_agent_is_not_asked_to_freeze, set_up),
        cmocka_unit_test(late_freeze_is_thawed),
        cmocka_unit_test(required_freeze_that_fails_is_told),
        cmocka_unit_test_setup(frozen_state_is_read_back, set_up),
        cmocka_unit_test(thaw_is_tried_again),
        cmocka_unit_test_setup(freeze_of_somebody_else_is_kept, set_up),
        cmocka_unit_test_setup(required_quiesce_is_checked_first, set_up),
        cmocka_unit_test_setup(paused_guest_is_not_asked, set_up),
        cmocka_unit_test(cancelled_at_each_call),
        cmocka_unit_test(cancelled_copy_is_ended),
        cmocka_unit_test(guest_deleted_meanwhile_is_not_defined_again),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_finish);
}
