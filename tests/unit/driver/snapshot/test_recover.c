/* SPDX-License-Identifier: Apache-2.0 */
/* driver/snapshot/recover.c: from wherever a process died, the guest comes back as it was. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "driver/libvirt/domain.h"
#include "tests/unit/driver/scripted_death.h"
#include "tests/unit/driver/snapshot/fixture.h"

#define ALL 1000

static struct image_source *image;
static const struct driver_owner *owner;

static void set_up_method(enum snapshot_method method)
{
    owner = NULL;
    world_reset();
    keep_nothing();
    plan = (struct snapshot_plan){
        .method = method, .image_format = "qcow2", .quiesce = true, .journal = &journal};
    fill_info();
    info.domain_id = world.id;
    for (size_t i = 0; method == SNAPSHOT_METHOD_COLD && i < DEVICES; i++)
        world.attached[i] = true;
}

static int set_up_live(void **state)
{
    (void)state;
    set_up_method(SNAPSHOT_METHOD_BLOCKREBASE);
    return 0;
}

static int set_up_cold(void **state)
{
    (void)state;
    set_up_method(SNAPSHOT_METHOD_COLD);
    return 0;
}

static void take(void)
{
    if (plan.method == SNAPSHOT_METHOD_BLOCKREBASE)
        (void)libvirt_live_snapshot(&driver, &info, &plan, &result, &err);
    else
        (void)libvirt_cold_snapshot(&driver, &info, &plan, &result, &err);
}

/* How many calls the whole snapshot makes. */
static int calls_of_all(void)
{
    run_until_death(ALL, take);
    return kept->world.call_count;
}

static int recover_entries(const json_t *entries, bool host_rebooted)
{
    image = NULL;
    err = (struct error)ERROR_INIT;
    const struct driver_recovery recovery = {UUID, entries, host_rebooted, owner};
    return libvirt_recover(&driver, &recovery, &image, &err);
}

static int recover(bool host_rebooted)
{
    json_t *entries = read_journal();
    int r = recover_entries(entries, host_rebooted);
    json_decref(entries);
    return r;
}

static bool image_was_written_down(void)
{
    return strstr(kept->journal, "\"step\":\"image\"") != NULL;
}

static void assert_defined(void)
{
    assert_true(world.exists);
    assert_true(world.persistent);
    assert_string_equal(world.definition, DEFINITION);
    assert_true(world.autostart);
}

static void assert_guest_as_before(void)
{
    assert_defined();
    assert_true(world.active);
    assert_int_equal(world.state, VIR_DOMAIN_RUNNING);
    assert_false(world.saved);
    assert_false(world.frozen);
    assert_false(world.mirror);
    assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
    for (size_t i = 0; plan.method == SNAPSHOT_METHOD_COLD && i < DEVICES; i++)
        assert_true(world.attached[i]);
}

static void assert_image(bool expected)
{
    char text[16] = "";
    assert_int_equal(image != NULL, expected);
    if (image) {
        assert_true(image->size_bytes == 5);
        assert_int_equal(image->ops->read(image, text, sizeof(text), &err), 5);
        assert_string_equal(text, "image");
        assert_int_equal(files_left(), 1);
        image_source_close(image);
    }
    assert_int_equal(files_left(), 0);
}

static void assert_recovers_with(bool has_image)
{
    if (recover(false) < 0)
        fail_msg("%s", err.message);
    assert_guest_as_before();
    assert_image(has_image);
}

static void assert_recovers(void)
{
    assert_recovers_with(image_was_written_down());
}

/* Nor by the next process. */
static void a_copy_that_cannot_be_shown_is_converted(void **state)
{
    set_up_live(state);
    (void)calls_of_all();
    assert_true(image_was_written_down());
    world.fail_name = "stream file";
    assert_recovers();
    assert_true(was_called("qemu-img convert"));
}

/* At most three writes, each of which is waited for by the disk. */
static void entries_are_few_and_first(void **state)
{
    static const char *const effects[] = {"qemu-img create", "Undefine-keep-all", "BlockRebase",
                                          "DetachDeviceFlags", "ManagedSave"};
    int (*const set_ups[])(void **) = {set_up_live, set_up_cold};
    for (size_t method = 0; method < 2; method++) {
        set_ups[method](state);
        result = (struct snapshot_result){0};
        take();
        assert_non_null(result.image);
        assert_in_range(kept->writes, 2, 3);
        for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++)
            assert_true(!was_called(effects[i]) ||
                        place_of("journal-write") < place_of(effects[i]));
        if (method == 0)
            assert_int_equal(place_of("FSFreeze"), place_of("journal-frozen") + 1);
        assert_false(kept->frozen);
        image_source_close(result.image);
    }
}

static void journal_that_fails_stops_everything(void **state)
{
    int (*const set_ups[])(void **) = {set_up_live, set_up_cold};
    for (size_t method = 0; method < 2; method++) {
        set_ups[method](state);
        world.fail_name = "journal-write";
        result = (struct snapshot_result){0};
        take();
        assert_null(result.image);
        assert_string_equal(err.message, "injected in journal-write");
        assert_false(was_called("qemu-img create"));
        assert_false(was_called("DetachDeviceFlags"));
        assert_guest_as_before();
        assert_int_equal(files_left(), 0);
    }
}

/* Without a word in the journal the guest is not frozen. */
static void freeze_is_told_first(void **state)
{
    for (int required = 0; required <= 1; required++) {
        set_up_live(state);
        plan.require_quiesce = required;
        world.fail_name = "journal-frozen";
        result = (struct snapshot_result){0};
        take();
        assert_int_equal(result.image != NULL, !required);
        assert_false(result.quiesced);
        assert_false(was_called("FSFreeze"));
        image_source_close(result.image);
    }
}

static void recovers_from_everywhere(void **state)
{
    int (*const set_ups[])(void **) = {set_up_live, set_up_cold};
    for (size_t method = 0; method < 2; method++) {
        set_ups[method](state);
        int calls = calls_of_all();
        assert_recovers();
        assert_true(calls > 15);
        for (int index = 0; index < calls; index++) {
            set_ups[method](state);
            run_until_death(index, take);
            assert_recovers();
            assert_int_equal(recover(false), 0); /* once more is harmless, the image has gone */
            assert_guest_as_before();
            assert_image(false);
        }
    }
}

static void recovers_after_a_failure(void **state)
{
    int (*const set_ups[])(void **) = {set_up_live, set_up_cold};
    for (size_t method = 0; method < 2; method++) {
        set_ups[method](state);
        int calls = calls_of_all();
        assert_recovers();
        for (int index = 0; index < calls; index += 6) {
            for (int failing = 0;; failing++) {
                set_ups[method](state);
                run_until_death(index, take);
                world.fail_index = failing;
                int r = recover(false);
                bool was_the_last = world.call_count <= failing;
                image_source_close(r == 0 ? image : NULL);
                world.fail_index = -1;
                if (r < 0)
                    assert_recovers();
                assert_guest_as_before();
                assert_int_equal(files_left(), 0);
                if (was_the_last)
                    break;
            }
        }
    }
}

static void recovers_after_a_reboot(void **state)
{
    int (*const set_ups[])(void **) = {set_up_live, set_up_cold};
    for (size_t method = 0; method < 2; method++) {
        set_ups[method](state);
        int calls = calls_of_all();
        for (int index = 0; index <= calls; index += 2) {
            if (index > 0) {
                set_ups[method](state);
                run_until_death(index, take);
            }
            reboot_host();
            bool saved = world.saved;
            assert_int_equal(recover(true), 0);
            assert_defined();
            assert_int_equal(world.active, saved); /* as it was when the host went down */
            assert_false(was_called("FSThaw"));
            assert_false(was_called("BlockJobAbort"));
            assert_image(false);
        }
    }
}

/* Dies when all but the end of the copy has been done. */
static void die_in_copy(void **state)
{
    set_up_live(state);
    world.course = COPY_READY;
    take();
    int place = place_of("FSFreeze");
    image_source_close(result.image);
    set_up_live(state);
    assert_true(place > 0);
    run_until_death(place, take);
    assert_true(world.mirror);
    assert_false(world.persistent);
}

static void frozen_guest_is_thawed(void **state)
{
    die_in_copy(state);
    world.frozen = true; /* it died before it heard of it */
    assert_int_equal(recover(false), 0);
    assert_true(was_called("FSThaw"));
    assert_guest_as_before();
    assert_image(false);

    die_in_copy(state); /* an agent that says nothing is no thawed guest */
    world.frozen = true;
    world.fail_name = "FSThaw";
    world.fail_code = VIR_ERR_AGENT_UNRESPONSIVE;
    assert_int_equal(recover(false), -EIO);
    assert_non_null(strstr(err.message, "cannot thaw"));
    assert_defined();
    assert_int_equal(files_left(), 1); /* for the next attempt */
    world.fail_name = NULL;
    assert_recovers();
}

static void late_copy_is_ended(void **state)
{
    char overlay[DRIVER_PATH_MAX];
    die_in_copy(state);
    (void)snprintf(overlay, sizeof(overlay), "%s", world.mirror_path);
    world.mirror = false;
    world.late_copy = overlay; /* libvirtd gets round to it after the first look */
    assert_int_equal(recover(false), 0);
    assert_true(was_called("BlockJobAbort"));
    assert_guest_as_before();
    assert_image(false);
}

static void copy_of_somebody_else_goes_on(void **state)
{
    die_in_copy(state);
    (void)snprintf(world.mirror_path, sizeof(world.mirror_path), "/backup/delta");
    assert_int_equal(recover(false), 0);
    assert_false(was_called("BlockJobAbort"));
    assert_true(world.mirror);
    assert_defined();
    assert_image(false);
}

static void definition_of_somebody_else_stays(void **state)
{
    die_in_copy(state);
    world.persistent = true;
    (void)snprintf(world.definition, sizeof(world.definition), "nova's newer one");
    assert_int_equal(recover(false), 0);
    assert_false(was_called("DefineXML"));
    assert_string_equal(world.definition, "nova's newer one");
    assert_image(false);
}

static void guest_that_ended_is_defined_and_stays_off(void **state)
{
    die_in_copy(state);
    end_guest();
    assert_int_equal(recover(false), 0);
    assert_defined();
    assert_false(world.active);
    assert_false(was_called("CreateWithFlags"));
    assert_image(false);
}

/* It may end at any time, also while it is looked after. */
static void guest_ends_in_the_middle_of_recovery(void **state)
{
    for (int index = 0;; index++) {
        die_in_copy(state);
        world.event = end_guest;
        world.event_index = index;
        if (recover(false) < 0)
            fail_msg("%d: %s", index, err.message);
        assert_defined();
        assert_image(false);
        if (world.call_count <= index)
            break;
        assert_false(world.active);
    }
}

static void deleted_guest_stays_deleted(void **state)
{
    die_in_copy(state);
    end_guest();
    assert_int_equal(unlink(info.disk_path), 0);
    assert_int_equal(recover(false), 0);
    assert_false(world.exists);
    assert_image(false);
}

/* What nova says of the instance when it is asked. */
static struct {
    int r;
    bool has;
    int times;
} nova;

static int ask_nova(void *arg, bool *ret_has, struct error *failure)
{
    (void)arg;
    nova.times++;
    if (nova.r < 0)
        return error_set(failure, -nova.r, EXC_INTERNAL_ERROR, "cannot be asked yet");
    *ret_has = nova.has;
    return 0;
}

static const struct driver_owner the_owner = {.has_instance = ask_nova};

static int recover_gone_guest(void **state, int r, bool has)
{
    die_in_copy(state);
    end_guest();
    owner = &the_owner;
    nova.r = r;
    nova.has = has;
    nova.times = 0;
    return recover(false);
}

/* Its disk may be there yet: nova-compute removes it last, or could not. */
static void deleted_guest_that_left_its_disk_stays_deleted(void **state)
{
    assert_int_equal(recover_gone_guest(state, 0, false), 0);
    assert_int_equal(nova.times, 1);
    assert_false(world.exists);
    assert_false(was_called("DefineXML"));
    assert_image(false);

    assert_int_equal(recover_gone_guest(state, 0, true), 0);
    assert_defined();
    assert_image(false);

    /* Not before that is known, and then with all that was put off. */
    assert_int_equal(recover_gone_guest(state, -EAGAIN, true), -EAGAIN);
    assert_false(world.exists);
    assert_false(was_called("SetAutostart"));
    nova.r = 0;
    assert_int_equal(recover(false), 0);
    assert_defined();
    assert_image(false);

    die_in_copy(state); /* one that runs is not asked about */
    owner = &the_owner;
    nova.times = 0;
    nova.has = false;
    assert_recovers();
    assert_int_equal(nova.times, 0);
}

/* The lock of a QEMU on another host, as the shared file system shows it. */
static void guest_on_another_host_is_not_defined(void **state)
{
    die_in_copy(state);
    end_guest();
    int fd = open(info.disk_path, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 101, .l_len = 1};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_int_equal(recover(false), 0);
    assert_false(world.exists);
    assert_image(false);
    close(fd);
}

/* A libvirtd that was away for long: without a look at the guest an older definition could come. */
static void guest_that_was_not_seen_is_not_defined(void **state)
{
    die_in_copy(state);
    world.fail_name = "find_domain";
    assert_true(recover(false) < 0);
    assert_false(was_called("DefineXML"));
    assert_false(world.persistent);
    world.fail_name = NULL;
    assert_recovers();
}

/* Dies when the guest is about to be saved: libvirtd may have heard of it. */
static void die_before_save(void **state)
{
    set_up_cold(state);
    take();
    int place = place_of("ManagedSave");
    image_source_close(result.image);
    set_up_cold(state);
    run_until_death(place, take);
    assert_true(world.active);
}

static void save_that_goes_on_is_waited_for(void **state)
{
    die_before_save(state);
    world.save_lasts = 3;
    world.save_is_good = true;
    assert_int_equal(recover(false), 0);
    assert_true(was_called("CreateWithFlags"));
    assert_false(was_called("AbortJob"));
    assert_guest_as_before();
    assert_image(false);

    die_before_save(state);
    world.save_lasts = 3;
    world.state = VIR_DOMAIN_PAUSED;
    world.pause_reason = VIR_DOMAIN_PAUSED_SAVE;
    assert_int_equal(recover(false), 0);
    assert_true(was_called("Resume"));
    assert_guest_as_before();
    assert_image(false);

    die_before_save(state);
    world.save_lasts = -1; /* it does not move */
    assert_int_equal(recover(false), 0);
    assert_true(was_called("AbortJob"));
    assert_guest_as_before();
    assert_image(false);
}

/* Nor could libvirt let it run again, when the save had failed. */
static void guest_that_libvirt_left_paused_runs(void **state)
{
    die_before_save(state);
    world.state = VIR_DOMAIN_PAUSED;
    world.pause_reason = LIBVIRT_PAUSED_API_ERROR;
    assert_int_equal(recover(false), 0);
    assert_true(was_called("Resume"));
    assert_guest_as_before();
    assert_image(false);
}

static void pause_of_the_user_stays(void **state)
{
    die_before_save(state);
    world.state = VIR_DOMAIN_PAUSED;
    world.pause_reason = VIR_DOMAIN_PAUSED_USER;
    assert_int_equal(recover(false), 0);
    assert_false(was_called("Resume"));
    assert_int_equal(world.state, VIR_DOMAIN_PAUSED);
    assert_image(false);
}

static bool is_not_to_run(void *arg)
{
    (void)arg;
    return false;
}

/* nova found it off since, and is content. */
static void guest_stopped_by_its_user_stays_off(void **state)
{
    static const struct driver_owner user = {.guest_is_to_run = is_not_to_run};
    set_up_cold(state);
    take();
    int place = place_of("qemu-img convert");
    image_source_close(result.image);
    set_up_cold(state);
    run_until_death(place, take);
    assert_false(world.active);
    owner = &user;
    assert_int_equal(recover(false), 0);
    assert_false(world.active);
    assert_false(was_called("CreateWithFlags"));
    assert_false(was_called("AttachDeviceFlags"));
    assert_image(false);
}

static bool is_to_run(void *arg)
{
    (void)arg;
    return true;
}

/* Its disk, on storage that hosts share, would have two writers. */
static void evacuated_guest_is_not_started(void **state)
{
    static const struct driver_owner with_answers = {.has_instance = ask_nova,
                                                     .guest_is_to_run = is_to_run};
    set_up_cold(state);
    take();
    int place = place_of("qemu-img convert");
    image_source_close(result.image);
    set_up_cold(state);
    run_until_death(place, take);
    owner = &with_answers;
    nova.r = -EAGAIN;
    assert_int_equal(recover(true), -EAGAIN);
    assert_false(was_called("CreateWithFlags"));
    nova.r = 0;
    nova.has = false;
    assert_int_equal(recover(true), 0);
    assert_false(world.active);
    assert_false(was_called("CreateWithFlags"));
    assert_image(false);

    set_up_cold(state);
    run_until_death(place, take);
    owner = &with_answers;
    nova.has = true;
    assert_int_equal(recover(true), 0);
    assert_true(world.active);
    assert_image(false);

    set_up_cold(state);
    run_until_death(place, take);
    owner = &with_answers;
    nova.times = 0;
    assert_int_equal(recover(false), 0); /* of a host that was up all the time it is here */
    assert_int_equal(nova.times, 0);
    assert_guest_as_before();
    assert_image(false);
}

static void suspended_guest_stays_suspended(void **state)
{
    set_up_cold(state);
    world.active = false;
    world.saved = true;
    world.state = VIR_DOMAIN_SHUTOFF;
    info.power_state = POWER_STATE_SHUTDOWN;
    info.domain_id = -1;
    run_until_death(ALL, take);
    assert_int_equal(recover(false), 0);
    assert_true(world.saved);
    assert_false(was_called("CreateWithFlags"));
    assert_image(true);
}

/* The image counts only as it was written down. */
static void changed_image_is_none(void **state)
{
    for (int change = 0; change < 4; change++) {
        set_up_live(state);
        run_until_death(ALL, take);
        json_t *entries = read_journal();
        const char *path = json_string_value(
            json_object_get(json_array_get(entries, json_array_size(entries) - 1), "path"));
        assert_non_null(path);
        if (change == 0)
            assert_int_equal(unlink(path), 0);
        if (change == 1)
            assert_int_equal(truncate(path, 4), 0);
        if (change >= 2) {
            struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
            assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        }
        if (change == 3) {
            assert_int_equal(unlink(path), 0);
            assert_int_equal(symlink("/etc/passwd", path), 0);
        }
        assert_int_equal(recover_entries(entries, false), 0);
        assert_image(false);
        json_decref(entries);
    }
    assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static int (*const methods[])(void **state) = {set_up_live, set_up_cold};

/* An agent that ends in order while it uploads: the next one finds the guest and the image. */
static void an_image_that_is_left_is_found(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        (void)methods[i](state);
        err = (struct error)ERROR_INIT;
        take();
        assert_int_equal(err.errnum, 0);
        assert_guest_as_before();
        image_source_leave(result.image);
        assert_recovers_with(true);
    }
}

/* One that ends while it copies: the guest is back before it does, and what was noted harms nobody.
 */
static void a_copy_that_is_interrupted_leaves_the_guest_as_it_was(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        struct cancel *cancel = NULL;
        struct error ends = ERROR_INIT;
        (void)methods[i](state);
        err = (struct error)ERROR_INIT;
        assert_int_equal(cancel_new(&cancel, &err), 0);
        (void)error_set(&ends, ECANCELED, EXC_INTERNAL_ERROR, "it ends");
        cancel_request(cancel, &ends);
        (void)cancel_enter(cancel);
        take();
        (void)cancel_enter(NULL);
        cancel_free(cancel);
        assert_int_equal(err.errnum, ECANCELED);
        assert_guest_as_before();
        assert_int_equal(files_left(), 0);
        assert_recovers_with(false);
    }
}

/* What is no entry of ours touches nothing. */
static void assert_refused(json_t *entries, const char *what)
{
    world.call_count = 0;
    int r = recover_entries(entries, false);
    if (r != -EINVAL || strcmp(err.exc, EXC_INTERNAL_ERROR) != 0)
        fail_msg("%s: %d %s", what, r, err.message);
    assert_null(image);
    assert_int_equal(world.call_count, 0);
    assert_int_equal(files_left(), 1);
    json_decref(entries);
}

/* The entries with one member of "begin" made `value`, JSON; NULL: it is missing. The caller's. */
static json_t *journal_with(const char *key, const char *value)
{
    json_t *entries = read_journal();
    json_t *begin = json_array_get(entries, 0);
    if (value)
        (void)json_object_set_new(begin, key,
                                  json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
    else
        (void)json_object_del(begin, key);
    return entries;
}

static const char *const bad_values[] = {NULL, "17", "\"\"", "[]", "{}", "\"a\\u0000b\""};
#define BAD_VALUES (sizeof(bad_values) / sizeof(bad_values[0]))

/* Whose work it was, and of what kind, has to be known. */
static void hostile_entries_are_refused(void **state)
{
    static const char *const keys[] = {"method", "uuid"};
    int (*const set_ups[])(void **) = {set_up_live, set_up_cold};
    for (size_t method = 0; method < 2; method++) {
        set_ups[method](state);
        run_until_death(ALL, take);
        for (size_t key = 0; key < 2; key++) {
            for (size_t i = 0; i < BAD_VALUES; i++)
                assert_refused(journal_with(keys[key], bad_values[i]), keys[key]);
            assert_refused(journal_with(keys[key], "\"another\""), keys[key]);
        }
        assert_recovers();
    }
}

static bool is(const char *key, const char *one, const char *two, const char *three)
{
    return strcmp(key, one) == 0 || strcmp(key, two) == 0 || strcmp(key, three) == 0;
}

/* What cannot be understood of a copy keeps nothing else from being done, and is told. */
static void each_step_needs_its_own_members_alone(void **state)
{
    static const char *const keys[] = {"disk_path", "disk_target", "directory",
                                       "file",      "definition",  "autostart"};
    for (size_t key = 0; key < sizeof(keys) / sizeof(keys[0]); key++) {
        const char *name = keys[key];
        bool names_job = is(name, "directory", "file", "disk_target");
        for (size_t i = 0; i < BAD_VALUES; i++) {
            if (strcmp(name, "definition") == 0 && bad_values[i] && bad_values[i][0] == '"')
                continue; /* one that libvirt would have to refuse */
            die_in_copy(state);
            world.frozen = true;
            json_t *entries = journal_with(name, bad_values[i]);
            if (recover_entries(entries, false) != -EINVAL)
                fail_msg("%s: %s", name, err.message);
            json_decref(entries);
            assert_null(image);
            assert_false(world.frozen);
            assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
            assert_int_equal(world.mirror, names_job);
            assert_int_equal(files_left(), names_job); /* QEMU may be writing to them */
            if (strcmp(name, "definition") != 0)
                assert_string_equal(world.definition, DEFINITION);
            if (!is(name, "definition", "autostart", ""))
                assert_defined();
            assert_int_equal(recover(false), 0);
            assert_image(false);
        }
    }
}

static void saved_guest_is_started_whatever_else_is_said(void **state)
{
    static const char *const keys[] = {"disk_target", "directory", "file", "devices"};
    set_up_cold(state);
    take();
    int place = place_of("qemu-img convert");
    image_source_close(result.image);
    for (size_t key = 0; key < sizeof(keys) / sizeof(keys[0]); key++) {
        set_up_cold(state);
        run_until_death(place, take);
        assert_true(world.saved);
        json_t *entries = journal_with(keys[key], "17");
        assert_int_equal(recover_entries(entries, false), -EINVAL);
        json_decref(entries);
        assert_true(world.active && !world.saved);
        assert_recovers();
    }
}

/* The guest's part needs no folder: only files have to be where ours are. */
static void files_elsewhere_stay_and_the_guest_comes_back(void **state)
{
    char *today = driver.snapshots_directory, elsewhere[DRIVER_PATH_MAX];
    (void)snprintf(elsewhere, sizeof(elsewhere), "%s", temp_path("elsewhere"));
    for (int whole = 0; whole <= 1; whole++) {
        if (whole) {
            set_up_live(state);
            run_until_death(ALL, take);
        } else {
            die_in_copy(state);
            world.frozen = true;
        }
        assert_int_equal(mkdir(elsewhere, 0755), 0);
        driver.snapshots_directory = elsewhere;
        int r = recover(false);
        driver.snapshots_directory = today;
        assert_int_equal(rmdir(elsewhere), 0);
        assert_int_equal(r, 0);
        assert_null(image);
        assert_guest_as_before();
        assert_int_equal(files_left(), 1);
        assert_recovers(); /* once it is as it was */
    }
}

static void folder_is_known_by_any_path(void **state)
{
    char slash[DRIVER_PATH_MAX], dots[DRIVER_PATH_MAX];
    char *today = driver.snapshots_directory;
    (void)snprintf(slash, sizeof(slash), "%s/", today);
    (void)snprintf(dots, sizeof(dots), "%s/../s//.", today);
    assert_int_equal(symlink(today, temp_path("link")), 0);
    char link[DRIVER_PATH_MAX];
    (void)snprintf(link, sizeof(link), "%s", temp_path("link"));
    char *const paths[] = {today, slash, dots, link};
    for (size_t then = 0; then < 4; then++) {
        for (size_t now = 0; now < 4; now++) {
            driver.snapshots_directory = paths[then];
            die_in_copy(state);
            driver.snapshots_directory = paths[now];
            assert_recovers();
            driver.snapshots_directory = paths[then];
            set_up_live(state);
            run_until_death(ALL, take);
            driver.snapshots_directory = paths[now];
            assert_recovers();
        }
    }
    driver.snapshots_directory = today;
    assert_int_equal(unlink(link), 0);
}

static void hostile_arrays_are_refused(void **state)
{
    static const char *const texts[] = {
        "null", "{}", "[17]", "[null]", "[{}]", "[{\"step\":17}]", "[{\"step\":\"rm\"}]",
    };
    set_up_live(state);
    run_until_death(ALL, take);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_refused(json_loads(texts[i], JSON_DECODE_ANY, NULL), texts[i]);
    json_t *many = json_array();
    for (int i = 0; i < 257; i++)
        (void)json_array_append_new(many, json_pack("{s:s}", "step", "freeze"));
    assert_refused(many, "many");
    assert_recovers();

    set_up_live(state); /* an image that cannot be ours is none, and told */
    run_until_death(ALL, take);
    json_t *entries = read_journal();
    json_t *last = json_array_get(entries, json_array_size(entries) - 1);
    (void)json_object_set_new(last, "path", json_string("/etc/passwd"));
    assert_int_equal(recover_entries(entries, false), -EINVAL);
    assert_image(false);
    assert_guest_as_before();
    json_decref(entries);

    json_t *none = json_array(); /* nothing was begun */
    assert_int_equal(recover_entries(none, false), 0);
    assert_null(image);
    json_decref(none);
    assert_int_equal(recover_entries(NULL, false), 0);
    assert_null(image);
}

/* Only the last attempt is undone: each brings its own work to an end before the next begins. */
static void last_attempt_counts(void **state)
{
    set_up_live(state);
    run_until_death(ALL, take);
    json_t *entries = read_journal();
    (void)json_array_insert_new(
        entries, 0, json_pack("{s:s, s:s}", "step", "begin", "method", "of another time"));
    (void)json_array_insert_new(entries, 1, json_pack("{s:s}", "step", "freeze"));
    assert_int_equal(recover_entries(entries, false), 0);
    assert_guest_as_before();
    assert_image(true);
    json_decref(entries);
}

static int set_up_group(void **state)
{
    return set_up_death() < 0 ? -1 : fixture_start(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_that_cannot_be_shown_is_converted),
        cmocka_unit_test(entries_are_few_and_first),
        cmocka_unit_test(journal_that_fails_stops_everything),
        cmocka_unit_test(freeze_is_told_first),
        cmocka_unit_test(recovers_from_everywhere),
        cmocka_unit_test(recovers_after_a_failure),
        cmocka_unit_test(recovers_after_a_reboot),
        cmocka_unit_test(frozen_guest_is_thawed),
        cmocka_unit_test(late_copy_is_ended),
        cmocka_unit_test(copy_of_somebody_else_goes_on),
        cmocka_unit_test(definition_of_somebody_else_stays),
        cmocka_unit_test(guest_that_ended_is_defined_and_stays_off),
        cmocka_unit_test(guest_ends_in_the_middle_of_recovery),
        cmocka_unit_test(deleted_guest_stays_deleted),
        cmocka_unit_test(deleted_guest_that_left_its_disk_stays_deleted),
        cmocka_unit_test(guest_on_another_host_is_not_defined),
        cmocka_unit_test(guest_that_was_not_seen_is_not_defined),
        cmocka_unit_test(save_that_goes_on_is_waited_for),
        cmocka_unit_test(guest_that_libvirt_left_paused_runs),
        cmocka_unit_test(pause_of_the_user_stays),
        cmocka_unit_test(guest_stopped_by_its_user_stays_off),
        cmocka_unit_test(evacuated_guest_is_not_started),
        cmocka_unit_test(suspended_guest_stays_suspended),
        cmocka_unit_test(changed_image_is_none),
        cmocka_unit_test(an_image_that_is_left_is_found),
        cmocka_unit_test(a_copy_that_is_interrupted_leaves_the_guest_as_it_was),
        cmocka_unit_test(hostile_entries_are_refused),
        cmocka_unit_test(each_step_needs_its_own_members_alone),
        cmocka_unit_test(saved_guest_is_started_whatever_else_is_said),
        cmocka_unit_test(files_elsewhere_stay_and_the_guest_comes_back),
        cmocka_unit_test(folder_is_known_by_any_path),
        cmocka_unit_test(hostile_arrays_are_refused),
        cmocka_unit_test(last_attempt_counts),
    };
    return cmocka_run_group_tests(tests, set_up_group, fixture_finish);
}
