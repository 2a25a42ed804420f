/* SPDX-License-Identifier: Apache-2.0 */
/* agent/conductor.c against the calls nova-compute made, with rpc_call() answered here. */
#include <errno.h>

#include "agent/conductor.h"
#include "amqp/rpc.h"
#include "fixture.h"

#define CALLS_MAX 8

static struct {
    json_t *args[CALLS_MAX];
    char method[CALLS_MAX][64];
    unsigned n;
    json_t *result;    /* given to every call ... */
    json_t *second;    /* ... but the second, if there is one for it; both owned */
    unsigned timeouts; /* that many calls get no answer first */
    const char *exc;   /* then this failure, if any */
} conductor;

int __wrap_rpc_call(struct bus *bus, const struct rpc_call *call, json_t **ret_result,
                    struct error *err);

int __wrap_rpc_call(struct bus *bus, const struct rpc_call *call, json_t **ret_result,
                    struct error *err)
{
    (void)bus;
    assert_string_equal(call->topic, "conductor");
    assert_string_equal(call->version, "3.0");
    assert_true(conductor.n < CALLS_MAX);
    (void)snprintf(conductor.method[conductor.n], 64, "%s", call->method);
    conductor.args[conductor.n++] = call->args;
    if (conductor.n <= conductor.timeouts)
        return error_set(err, ETIMEDOUT, EXC_MESSAGING_TIMEOUT, "no answer");
    if (conductor.exc)
        return error_set(err, EBUSY, conductor.exc, "as told");
    *ret_result =
        json_incref(conductor.n == 2 && conductor.second ? conductor.second : conductor.result);
    return 0;
}

static int reset(void **state)
{
    (void)state;
    for (unsigned i = 0; i < conductor.n; i++)
        json_decref(conductor.args[i]);
    json_decref(conductor.result);
    json_decref(conductor.second);
    memset(&conductor, 0, sizeof(conductor));
    conductor.result = json_null();
    return 0;
}

static void event_start_is_what_nova_sends(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(conductor_event_start(NULL, NULL, FIXTURE_INSTANCE,
                                           "compute_snapshot_instance", "cmp1", &err),
                     0);
    json_t *expected = fixture_load("event_start");
    assert_string_equal(conductor.method[0], "object_class_action_versions");
    assert_json_equal(conductor.args[0], expected);
    json_decref(expected);
}

static void successful_event_finish_is_what_nova_sends(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(conductor_event_finish(NULL, NULL, FIXTURE_INSTANCE,
                                            "compute_snapshot_instance", NULL, &err),
                     0);
    json_t *expected = fixture_load("event_finish");
    assert_json_equal(conductor.args[0], expected);
    json_decref(expected);
}

static void failed_event_finish_carries_a_traceback(void **state)
{
    (void)state;
    struct error err = ERROR_INIT, failure = ERROR_INIT;
    (void)error_set(&failure, EIO, EXC_IMAGE_UNACCEPTABLE, "bad disk");
    assert_int_equal(conductor_event_finish(NULL, NULL, FIXTURE_INSTANCE, "e", &failure, &err), 0);
    const json_t *kwargs = json_object_get(conductor.args[0], "kwargs");
    assert_string_equal(json_string_value(json_object_get(kwargs, "exc_val")), "bad disk");
    /* Without exc_tb conductor would record a success. */
    assert_string_equal(json_string_value(json_object_get(kwargs, "exc_tb")),
                        "ImageUnacceptable: bad disk\n");
}

static json_t *list_of(const char *name, json_t *objects)
{
    return json_pack("{s:s, s:s, s:{s:o}}", "nova_object.name", name, "nova_object.version", "1.1",
                     "nova_object.data", "objects", objects);
}

/* As conductor answers for a request whose `n_events` events have started; takes `actions`. */
static bool is_begun_once(json_t *actions, unsigned n_events)
{
    static const char name[] = "compute_snapshot_instance";
    struct error err = ERROR_INIT;
    const struct request_context context = {.request_id = "req-1"};
    bool once = false;
    (void)reset(NULL);
    json_t *events = json_array();
    for (unsigned i = 0; i < n_events + 1; i++) /* nova-api's own, too */
        (void)json_array_append_new(events, json_pack("{s:{s:s}}", "nova_object.data", "event",
                                                      i == 0 ? "api_snapshot_instance" : name));
    json_decref(conductor.result);
    conductor.result = list_of("InstanceActionList", actions);
    conductor.second = list_of("InstanceActionEventList", events);
    assert_int_equal(conductor_event_is_only(NULL, &context, FIXTURE_INSTANCE, name, &once, &err),
                     0);
    return once;
}

static json_t *action(int id, const char *name, const char *request_id)
{
    return json_pack("{s:{s:i, s:s, s:s}}", "nova_object.data", "id", id, "action", name,
                     "request_id", request_id);
}

static json_t *ours(void)
{
    return action(7, "createImage", "req-1");
}

static void the_action_tells_who_has_begun(void **state)
{
    (void)state;
    assert_true(is_begun_once(json_pack("[o]", ours()), 1));
    json_t *wanted = json_pack(
        "[{s:s, s:s, s:{s:s, s:s}, s:[s], s:{s:i}}, {s:s, s:s, s:{s:s, s:s}, s:[i], s:{}}]",
        "objname", "InstanceActionList", "objmethod", "get_by_instance_uuid", "object_versions",
        "InstanceActionList", "1.1", "InstanceAction", "1.2", "args", FIXTURE_INSTANCE, "kwargs",
        "limit", 100, "objname", "InstanceActionEventList", "objmethod", "get_by_action",
        "object_versions", "InstanceActionEventList", "1.1", "InstanceActionEvent", "1.4", "args",
        7, "kwargs");
    for (unsigned i = 0; i < 2; i++)
        assert_json_equal(conductor.args[i], json_array_get(wanted, i));
    json_decref(wanted);
    assert_false(is_begun_once(json_pack("[o]", ours()), 0));
    assert_false(is_begun_once(json_pack("[o]", ours()), 2)); /* nova-compute as well */
    assert_false(is_begun_once(json_array(), 1));
}

/* nova-api records what needs no task state beside a snapshot, and each of them has its clock. */
static void the_last_snapshot_is_told_from_other_actions(void **state)
{
    static const char *const snapshots[] = {"createImage", "createBackup"};
    (void)state;
    assert_true(is_begun_once(
        json_pack("[o, o, o]", action(9, "unlock", "req-3"), action(8, "lock", "req-2"), ours()),
        1));
    for (size_t i = 0; i < 2; i++) {
        assert_true(
            is_begun_once(json_pack("[o, o]", action(6, snapshots[i], "req-0"), ours()), 1));
        assert_false(
            is_begun_once(json_pack("[o, o]", action(8, snapshots[i], "req-2"), ours()), 1));
        assert_false(
            is_begun_once(json_pack("[o, o]", ours(), action(8, snapshots[i], "req-2")), 1));
    }
    assert_false(is_begun_once(json_pack("[o]", action(8, "lock", "req-1")), 1));
}

static void who_has_begun_is_not_known_without_an_answer(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    const struct request_context context = {.request_id = "req-1"};
    bool once = false;
    conductor.timeouts = 1;
    assert_true(conductor_event_is_only(NULL, &context, FIXTURE_INSTANCE, "e", &once, &err) < 0);
    assert_string_equal(err.exc, EXC_MESSAGING_TIMEOUT);
    (void)reset(NULL); /* null: no list */
    err = (struct error)ERROR_INIT;
    assert_int_equal(conductor_event_is_only(NULL, &context, FIXTURE_INSTANCE, "e", &once, &err),
                     -EPROTONOSUPPORT);
    assert_false(once);
}

static void save_sends_only_what_changes(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance instance;
    fixture_instance(&instance);
    json_decref(conductor.result);
    conductor.result = fixture_load("save_answer");
    json_t *changes = json_pack("{s:s}", "task_state", "image_snapshot");
    json_t *expected = json_string("image_snapshot_pending");
    assert_int_equal(conductor_instance_save(NULL, NULL, &instance, changes, expected, &err), 0);
    json_t *wanted =
        json_pack("{s:{s:s, s:s, s:s, s:{s:s, s:s}, s:[s]}, s:s, s:[], s:{s:s}}", "objinst",
                  "nova_object.name", "Instance", "nova_object.namespace", "nova",
                  "nova_object.version", "2.0", "nova_object.data", "uuid", FIXTURE_INSTANCE,
                  "task_state", "image_snapshot", "nova_object.changes", "task_state", "objmethod",
                  "save", "args", "kwargs", "expected_task_state", "image_snapshot_pending");
    assert_json_equal(conductor.args[0], wanted);
    assert_string_equal(instance_string(&instance, "updated_at"), "2026-11-22T23:49:39Z");
    json_decref(wanted);
    json_decref(changes);
    json_decref(expected);
    instance_done(&instance);
}

static void save_without_answer_is_repeated(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance instance;
    fixture_instance(&instance);
    json_decref(conductor.result);
    conductor.result = fixture_load("save_answer");
    conductor.timeouts = 2;
    json_t *changes = json_pack("{s:s}", "task_state", "image_snapshot");
    json_t *expected = json_pack("[s]", "image_snapshot_pending");
    assert_int_equal(conductor_instance_save(NULL, NULL, &instance, changes, expected, &err), 0);
    assert_int_equal(conductor.n, 3);
    for (int i = 1; i < 3; i++)
        assert_json_equal(conductor.args[i], conductor.args[0]);
    json_decref(changes);
    json_decref(expected);
    instance_done(&instance);
}

static void save_gives_up_after_three_silences_and_at_once_on_conflict(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance instance;
    fixture_instance(&instance);
    json_t *changes = json_pack("{s:n}", "task_state");
    conductor.timeouts = 99;
    assert_true(conductor_instance_save(NULL, NULL, &instance, changes, NULL, &err) < 0);
    assert_int_equal(conductor.n, 3);
    assert_string_equal(err.exc, EXC_MESSAGING_TIMEOUT);
    (void)reset(NULL);
    conductor.exc = EXC_UNEXPECTED_DELETING;
    assert_true(conductor_instance_save(NULL, NULL, &instance, changes, NULL, &err) < 0);
    assert_int_equal(conductor.n, 1);
    assert_string_equal(err.exc, EXC_UNEXPECTED_DELETING);
    json_decref(changes);
    instance_done(&instance);
}

static void save_refuses_an_answer_of_another_shape(void **state)
{
    (void)state;
    static const char *const answers[] = {"null", "[]", "{}", "[[], null]", "7", "\"x\""};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct error err = ERROR_INIT;
        struct instance instance;
        fixture_instance(&instance);
        json_decref(conductor.result);
        conductor.result = json_loads(answers[i], JSON_DECODE_ANY, NULL);
        json_t *changes = json_pack("{s:i}", "power_state", 1);
        assert_int_equal(conductor_instance_save(NULL, NULL, &instance, changes, NULL, &err),
                         -EPROTO);
        json_decref(changes);
        instance_done(&instance);
    }
}

/* qemu-img's last line, cut inside a character, or a path in somebody's Latin-1. */
static void whatever_the_text_it_is_recorded(void **state)
{
    (void)state;
    static const char *const texts[] = {"qemu-img: caf\xe9.qcow2", "cut \xe2\x82"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct error err = ERROR_INIT, failure = ERROR_INIT;
        (void)error_set(&failure, EIO, EXC_IMAGE_UNACCEPTABLE, "%s", texts[i]);
        failure.code = 500;
        conductor.n = 0;
        assert_int_equal(
            conductor_fault_create(NULL, NULL, FIXTURE_INSTANCE, "cmp1", &failure, &err), 0);
        assert_int_equal(conductor_event_finish(NULL, NULL, FIXTURE_INSTANCE, "e", &failure, &err),
                         0);
        const json_t *fault =
            json_object_get(json_object_get(conductor.args[0], "objinst"), "nova_object.data");
        assert_non_null(json_string_value(json_object_get(fault, "message")));
        assert_non_null(json_string_value(json_object_get(fault, "details")));
        const json_t *event = json_object_get(conductor.args[1], "kwargs");
        assert_non_null(json_string_value(json_object_get(event, "exc_val")));
        json_decref(conductor.args[0]);
        json_decref(conductor.args[1]);
        conductor.n = 0;
    }
}

/* What others say may be for the operator alone: an SQL statement, say. */
static void of_others_exceptions_only_the_class_is_shown(void **state)
{
    (void)state;
    struct error err = ERROR_INIT, failure = ERROR_INIT;
    (void)error_set_foreign(&failure, EIO, "oslo_db.exception", "DBError", "select 7");
    assert_int_equal(conductor_fault_create(NULL, NULL, FIXTURE_INSTANCE, "cmp1", &failure, &err),
                     0);
    assert_int_equal(conductor_event_finish(NULL, NULL, FIXTURE_INSTANCE, "e", &failure, &err), 0);
    const json_t *fault =
        json_object_get(json_object_get(conductor.args[0], "objinst"), "nova_object.data");
    assert_string_equal(json_string_value(json_object_get(fault, "message")), "DBError");
    assert_string_equal(json_string_value(json_object_get(fault, "details")),
                        "DBError: select 7\n");
    const json_t *event = json_object_get(conductor.args[1], "kwargs");
    assert_string_equal(json_string_value(json_object_get(event, "exc_val")), "DBError");
    assert_string_equal(json_string_value(json_object_get(event, "exc_tb")), "DBError: select 7\n");
}

static void fault_message_is_cut_at_a_character(void **state)
{
    (void)state;
    struct error err = ERROR_INIT, failure = ERROR_INIT;
    char text[400];
    memset(text, 'a', 254);
    (void)snprintf(text + 254, sizeof(text) - 254, "\xc3\xa9 and more");
    (void)error_set(&failure, EIO, EXC_INTERNAL_ERROR, "%s", text);
    assert_int_equal(conductor_fault_create(NULL, NULL, FIXTURE_INSTANCE, "cmp1", &failure, &err),
                     0);
    const json_t *data =
        json_object_get(json_object_get(conductor.args[0], "objinst"), "nova_object.data");
    assert_int_equal(json_string_length(json_object_get(data, "message")), 254);
    assert_int_equal(json_integer_value(json_object_get(data, "code")), 500);
    assert_string_equal(json_string_value(json_object_get(data, "host")), "cmp1");
}

static void loads_only_what_is_missing(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance instance;
    fixture_instance(&instance);
    static const char *const attributes[] = {"flavor", "metadata", NULL};
    assert_int_equal(conductor_instance_load(NULL, NULL, &instance, attributes, 0, &err), 0);
    assert_int_equal(conductor.n, 0);
    json_object_del(instance.data, "flavor");
    json_decref(conductor.result);
    conductor.result = json_pack("{s:{s:{}}}", "nova_object.data", "flavor");
    assert_int_equal(conductor_instance_load(NULL, NULL, &instance, attributes, 0, &err), 0);
    json_t *names = json_pack("[s]", "flavor");
    assert_json_equal(
        json_object_get(json_object_get(conductor.args[0], "kwargs"), "expected_attrs"), names);
    assert_non_null(json_object_get(instance.data, "flavor"));
    json_decref(names);
    instance_done(&instance);
}

static void states_are_read_without_the_rest(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance_states states;
    json_decref(conductor.result);
    conductor.result =
        json_pack("{s:{s:s, s:n}}", "nova_object.data", "vm_state", "active", "task_state");
    assert_int_equal(conductor_instance_states(NULL, NULL, FIXTURE_INSTANCE, &states, &err), 0);
    assert_string_equal(states.vm_state, "active");
    assert_string_equal(states.task_state, "");
    json_t *expected = json_pack("{s:s, s:s, s:{s:s}, s:[s], s:{s:[]}}", "objname", "Instance",
                                 "objmethod", "get_by_uuid", "object_versions", "Instance", "2.7",
                                 "args", FIXTURE_INSTANCE, "kwargs", "expected_attrs");
    assert_json_equal(conductor.args[0], expected);
    json_decref(expected);
    json_decref(conductor.result);
    conductor.result = json_pack("{s:{s:s, s:s, s:s}}", "nova_object.data", "vm_state", "stopped",
                                 "task_state", "powering-on", "host", "cmp2");
    assert_int_equal(conductor_instance_states(NULL, NULL, FIXTURE_INSTANCE, &states, &err), 0);
    assert_string_equal(states.vm_state, "stopped");
    assert_string_equal(states.task_state, "powering-on");
    assert_string_equal(states.host, "cmp2");
    json_decref(conductor.result);
    conductor.result = json_null();
    assert_int_equal(conductor_instance_states(NULL, NULL, FIXTURE_INSTANCE, &states, &err),
                     -EINVAL);
    assert_string_equal(states.vm_state, "stopped");
}

static void shares_are_asked_for_as_nova_does(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    json_t *mappings = NULL;
    json_decref(conductor.result);
    conductor.result = json_pack("{s:s, s:s, s:{s:[{s:{s:s}}]}}", "nova_object.name",
                                 "ShareMappingList", "nova_object.version", "1.0",
                                 "nova_object.data", "objects", "nova_object.data", "tag", "t1");
    assert_int_equal(conductor_mapping_list_shares(NULL, NULL, FIXTURE_INSTANCE, &mappings, &err),
                     0);
    json_t *expected =
        json_pack("{s:s, s:s, s:{s:s, s:s}, s:[s], s:{}}", "objname", "ShareMappingList",
                  "objmethod", "get_by_instance_uuid", "object_versions", "ShareMappingList", "1.0",
                  "ShareMapping", "1.2", "args", FIXTURE_INSTANCE, "kwargs");
    assert_json_equal(conductor.args[0], expected);
    json_decref(expected);
    expected = json_pack("[{s:s}]", "tag", "t1");
    assert_json_equal(mappings, expected);
    json_decref(expected);
    json_decref(mappings);
    (void)json_object_set_new(conductor.result, "nova_object.name", json_string("Other"));
    assert_int_equal(conductor_mapping_list_shares(NULL, NULL, FIXTURE_INSTANCE, &mappings, &err),
                     -EPROTONOSUPPORT);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, reset, reset)
    const struct CMUnitTest tests[] = {
        TEST(event_start_is_what_nova_sends),
        TEST(successful_event_finish_is_what_nova_sends),
        TEST(failed_event_finish_carries_a_traceback),
        TEST(the_action_tells_who_has_begun),
        TEST(the_last_snapshot_is_told_from_other_actions),
        TEST(who_has_begun_is_not_known_without_an_answer),
        TEST(save_sends_only_what_changes),
        TEST(save_without_answer_is_repeated),
        TEST(save_gives_up_after_three_silences_and_at_once_on_conflict),
        TEST(save_refuses_an_answer_of_another_shape),
        TEST(whatever_the_text_it_is_recorded),
        TEST(of_others_exceptions_only_the_class_is_shown),
        TEST(fault_message_is_cut_at_a_character),
        TEST(loads_only_what_is_missing),
        TEST(states_are_read_without_the_rest),
        TEST(shares_are_asked_for_as_nova_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
