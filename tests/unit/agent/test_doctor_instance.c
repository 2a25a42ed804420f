/* SPDX-License-Identifier: Apache-2.0 */
/* agent/doctor_instance.c, doctor_method.c: which method is foretold, and what is said of the rest.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/conductor.h"
#include "agent/doctor.h"
#include "agent/live_options.h"
#include "common/json.h"
#include "tests/unit/fake_driver.h"

#define UUID "2e0af6cc-8dab-4d5d-b039-8bb41cec430e"

static char host[] = "cmp1", kvm[] = "kvm", tmp[] = "/tmp", blockrebase[] = "blockrebase",
            stream[] = "stream";
static struct conf conf;
static struct agent agent;
static struct fake_script script;
static struct error err, conductor_fails;
static struct instance_states states;
static const char *properties; /* system_metadata, as JSON */
static bool from_volume;

int __wrap_conductor_instance_states(struct bus *bus, const struct request_context *context,
                                     const char *uuid, struct instance_states *ret_states,
                                     struct error *ret_err);
int __wrap_conductor_instance_states(struct bus *bus, const struct request_context *context,
                                     const char *uuid, struct instance_states *ret_states,
                                     struct error *ret_err)
{
    (void)bus, (void)context;
    assert_string_equal(uuid, UUID);
    if (conductor_fails.errnum != 0) {
        *ret_err = conductor_fails;
        return -conductor_fails.errnum;
    }
    *ret_states = states;
    return 0;
}

int __wrap_conductor_instance_load(struct bus *bus, const struct request_context *context,
                                   struct instance *instance, const char *const *attributes,
                                   struct error *ret_err);
int __wrap_conductor_instance_load(struct bus *bus, const struct request_context *context,
                                   struct instance *instance, const char *const *attributes,
                                   struct error *ret_err)
{
    (void)bus, (void)context, (void)attributes, (void)ret_err;
    (void)json_object_set_new(instance->data, "system_metadata", json_loads(properties, 0, NULL));
    (void)json_object_set_new(instance->data, "root_device_name", json_string("/dev/vda"));
    (void)json_object_set_new(instance->data, "image_ref", json_string(from_volume ? "" : "i"));
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    err = conductor_fails = (struct error)ERROR_INIT;
    states = (struct instance_states){.vm_state = "active", .host = "cmp1"};
    properties = "{}";
    from_volume = false;
    conf = (struct conf){.DEFAULT = {.host = host},
                         .libvirt = {.virt_type = kvm, .snapshots_directory = tmp},
                         .snapshot_agent = {.live_snapshot_method = blockrebase}};
    script = (struct fake_script){.info = {.uuid = UUID,
                                           .power_state = POWER_STATE_RUNNING,
                                           .connection_is_qemu = true,
                                           .disk_target = "vda",
                                           .disk_path = "/i/disk",
                                           .disk_format = "qcow2",
                                           .backing_path = "/i/_base/1",
                                           .backing_format = "raw",
                                           .virtual_size_bytes = 1 << 30},
                                  .plan_bytes = 70 << 20};
    agent = (struct agent){.conf = &conf};
    assert_int_equal(live_options_new(&conf, &agent.live_options, &err), 0);
    return fake_driver_new(&script, &agent.driver, &err);
}

static int tear_down(void **state)
{
    (void)state;
    driver_free(agent.driver);
    live_options_free(agent.live_options);
    return 0;
}

static json_t *look(const char *name)
{
    struct doctor *doctor = NULL;
    const struct live_values live = live_options_of(&conf);
    live_options_set(agent.live_options, &live);
    fake_driver_set_script(agent.driver, &script);
    assert_int_equal(doctor_new(&agent, NULL, true, &doctor, &err), 0);
    json_t *report = doctor_look(doctor, name);
    doctor_free(doctor);
    assert_string_equal(json_string_member(report, "instance"), name);
    return report;
}

static void assert_told(const json_t *report, const char *check, const char *status,
                        const char *text)
{
    size_t i;
    const json_t *finding;
    json_array_foreach (json_object_get(report, "findings"), i, finding) {
        if (strcmp(json_string_member(finding, "check"), check) != 0)
            continue;
        const char *told = json_string_member(finding, "text");
        if (!strstr(told, text) || strcmp(json_string_member(finding, "status"), status) != 0)
            fail_msg("%s: %s: \"%s\"", check, json_string_member(finding, "status"), told);
        return;
    }
    fail_msg("nothing is told of %s", check);
}

/* The report of a look by which `method` is foretold, NULL: none. Owned. */
static json_t *foretell(const char *method)
{
    json_t *report = look(UUID);
    const char *told = json_string_member(report, "method");
    assert_string_equal(told ? told : "none", method ? method : "none");
    return report;
}

static void all_is_told_of_a_running_guest(void **state)
{
    (void)state;
    json_t *report = foretell("blockrebase");
    assert_string_equal(json_string_member(report, "status"), "ok");
    assert_told(report, "guest", "ok", UUID " runs");
    assert_told(report, "Nova", "ok", "active on host cmp1, no task is under way");
    assert_told(report, "root disk", "ok", "vda: /i/disk (qcow2), 1024 MiB, on /i/_base/1 (raw)");
    assert_told(report, "method", "ok", "blockrebase, as a qcow2 image");
    assert_told(report, "room", "ok", "up to 70 MiB are written, ");
    assert_told(report, "not stream", "ok", "is not what is tried first");
    assert_told(report, "not cold", "ok", "is not what is tried first");
    assert_told(report, "freeze", "ok", "it is not frozen: QEMU guest agent is not enabled");
    assert_int_equal(json_integer_value(json_object_get(report, "bytes")), 70 << 20);
    json_decref(report);
    struct fake_record record;
    fake_driver_get_record(agent.driver, &record);
    assert_string_equal(record.root_device_name, "/dev/vda");
    assert_int_equal(record.calls[FAKE_EXTRACT] + record.calls[FAKE_FREEZE], 0);
}

static void a_guest_may_be_named_as_libvirt_does(void **state)
{
    (void)state;
    json_t *report = look("instance-0000001a");
    assert_told(report, "guest", "ok", UUID " runs");
    json_decref(report);
    script.errors[FAKE_FIND_GUEST].errnum = ENOENT;
    (void)strcpy(script.errors[FAKE_FIND_GUEST].message, "no domain instance-0000001b");
    report = look("instance-0000001b");
    assert_told(report, "guest", "fail", "no domain instance-0000001b");
    json_decref(report);
    script.info.power_state = POWER_STATE_NOSTATE;
    report = foretell(NULL);
    assert_told(report, "guest", "fail", "libvirt knows no domain of instance " UUID);
    json_decref(report);
}

static void cannot(enum snapshot_method method, int errnum, const char *why)
{
    (void)error_set(&script.plan_errors[method], errnum, EXC_INTERNAL_ERROR, "%s", why);
}

/* What gives way to what: as disk_image.c has it. */
static void a_method_that_cannot_be_used_gives_way(void **state)
{
    (void)state;
    conf.snapshot_agent.live_snapshot_method = stream;
    cannot(SNAPSHOT_METHOD_STREAM, EOPNOTSUPP, "disk vda has an iothread");
    json_t *report = foretell("blockcopy");
    assert_string_equal(json_string_member(report, "status"), "warn");
    assert_told(report, "not stream", "warn", "disk vda has an iothread");
    assert_told(report, "not blockrebase", "ok", "is not what is tried first");
    json_decref(report);
    cannot(SNAPSHOT_METHOD_BLOCKCOPY, EOPNOTSUPP, "no");
    cannot(SNAPSHOT_METHOD_BLOCKREBASE, EOPNOTSUPP, "its TPM would lose its keys");
    report = foretell("cold");
    assert_told(report, "not blockrebase", "ok", "its TPM would lose its keys");
    json_decref(report);
}

static void without_room_it_is_streamed(void **state)
{
    (void)state;
    cannot(SNAPSHOT_METHOD_BLOCKREBASE, ENOSPC, "not enough space");
    json_t *report = foretell("stream");
    assert_told(report, "not blockrebase", "warn", "not enough space");
    json_decref(report);
    cannot(SNAPSHOT_METHOD_STREAM, ENOSPC, "not even for that");
    report = foretell(NULL);
    assert_string_equal(json_string_member(report, "status"), "fail");
    assert_told(report, "method", "fail", "a snapshot would fail");
    assert_told(report, "not stream", "ok", "not even for that");
    json_decref(report);
    conf.snapshot_agent.live_snapshot_method = stream; /* what is tried first gives way to none */
    json_decref(foretell(NULL));
}

static void any_other_trouble_is_the_snapshots(void **state)
{
    (void)state;
    cannot(SNAPSHOT_METHOD_BLOCKREBASE, EBUSY, "another block job is running on disk vda");
    json_t *report = foretell(NULL);
    assert_told(report, "not blockrebase", "warn", "another block job");
    json_decref(report);
}

/* Where nova takes a cold one too, nothing is to be done. */
static void what_nova_rules_is_no_warning(void **state)
{
    (void)state;
    script.info.power_state = POWER_STATE_SHUTDOWN;
    json_t *report = foretell("cold");
    assert_string_equal(json_string_member(report, "status"), "ok");
    assert_told(report, "not blockrebase", "ok", "the guest is not running");
    assert_told(report, "freeze", "ok", "it is not frozen: the guest does not run");
    json_decref(report);
    script.info.power_state = POWER_STATE_RUNNING;
    conf.workarounds.disable_libvirt_livesnapshot = true;
    report = foretell("cold");
    assert_told(report, "freeze", "ok", "the guest is saved for a cold snapshot");
    json_decref(report);
}

static void the_guests_agent_is_asked_for(void **state)
{
    (void)state;
    properties = "{\"image_hw_qemu_guest_agent\": \"yes\"}";
    script.agent = GUEST_AGENT_CONNECTED;
    json_t *report = foretell("blockrebase");
    assert_told(report, "freeze", "ok", "the guest's agent is connected");
    json_decref(report);
    script.agent = GUEST_AGENT_AWAY;
    report = foretell("blockrebase");
    assert_told(report, "freeze", "warn", "the guest's agent is not connected");
    json_decref(report);
    properties = "{\"image_hw_qemu_guest_agent\": \"yes\", \"image_os_require_quiesce\": \"yes\"}";
    script.agent = GUEST_AGENT_NO_CHANNEL;
    report = foretell("blockrebase");
    assert_told(report, "freeze", "fail", "no channel for the guest's agent");
    json_decref(report);
    properties = "{\"image_os_require_quiesce\": \"yes\"}";
    report = foretell(NULL);
    assert_told(report, "freeze", "fail", "QEMU guest agent is not enabled");
    json_decref(report);
}

static void what_nova_knows_counts(void **state)
{
    (void)state;
    (void)strcpy(states.host, "cmp2");
    json_t *report = foretell("blockrebase");
    assert_told(report, "Nova", "warn", "active on host cmp2");
    json_decref(report);
    (void)strcpy(states.host, "cmp1");
    (void)strcpy(states.task_state, "image_uploading");
    report = foretell("blockrebase");
    assert_told(report, "Nova", "warn", "task state image_uploading");
    json_decref(report);
    (void)error_set(&conductor_fails, ETIMEDOUT, EXC_MESSAGING_TIMEOUT, "no answer");
    report = foretell("blockrebase");
    assert_told(report, "Nova", "warn", "is not known, nor whether it is to be frozen: no answer");
    json_decref(report);
    (void)error_set(&conductor_fails, ENOENT, EXC_INSTANCE_NOT_FOUND, "Instance not found");
    report = foretell(NULL);
    assert_told(report, "Nova", "fail", "Instance not found");
    json_decref(report);
}

static void what_is_not_ours_is_told(void **state)
{
    (void)state;
    properties = "{\"image_hw_ephemeral_encryption\": \"yes\"}";
    json_t *report = foretell("nova-compute");
    assert_told(report, "encryption", "warn", "its image has hw_ephemeral_encryption");
    json_decref(report);
    properties = "{}";
    from_volume = true;
    report = foretell("volumes");
    assert_told(report, "method", "ok", "Cinder snapshots its volumes");
    assert_told(report, "freeze", "ok", "QEMU guest agent is not enabled");
    json_decref(report);
    from_volume = false;
    (void)error_set(&script.errors[FAKE_INSPECT], EINVAL, EXC_INVALID_DISK_INFO,
                    "/i/disk has a backing file the definition does not name");
    report = foretell(NULL);
    assert_told(report, "root disk", "fail", "a backing file the definition does not name");
    json_decref(report);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(all_is_told_of_a_running_guest),
        TEST(a_guest_may_be_named_as_libvirt_does),
        TEST(a_method_that_cannot_be_used_gives_way),
        TEST(without_room_it_is_streamed),
        TEST(any_other_trouble_is_the_snapshots),
        TEST(what_nova_rules_is_no_warning),
        TEST(the_guests_agent_is_asked_for),
        TEST(what_nova_knows_counts),
        TEST(what_is_not_ours_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
