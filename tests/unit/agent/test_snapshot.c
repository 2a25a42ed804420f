/*
 * agent/snapshot.c: the whole operation, with a conductor that keeps a task state and compares it
 * as the database does, a Glance that keeps an image, and the fake driver.
 */
/* wrap: rpc_call */
/* wrap: notifier_notify */
/* wrap: glance_image_get */
/* wrap: glance_image_update */
/* wrap: glance_image_upload */
/* wrap: glance_image_delete */
/* wrap: glance_endpoint */
#include <errno.h>
#include <stdlib.h>

#include "agent/snapshot.h"
#include "driver/fake.h"
#include "fixture.h"

#define TEXT_MAX 4096

static char both[] = "both", kvm[] = "kvm", host[] = "cmp1", topic[] = "messagingv2";
static char *drivers[] = {topic, NULL};

static struct conf conf;
static struct agent agent;
static struct fake_script script;

/* The world as the operation left it. */
static struct {
    char task_state[64]; /* "" = None */
    bool instance_gone;
    char story[TEXT_MAX]; /* what was called, one word each */
    enum { QUEUED, ACTIVE, DELETED } image;
    char details[512]; /* of the event */
    char fault[512];
    unsigned open_events;
    struct error fail_event_start, fail_get, fail_update, fail_upload, fail_delete, fail_notify;
    unsigned silent_saves;         /* the next saves are executed without an answer */
    const char *state_before_save; /* somebody sets this ... */
    const char *when_saving;       /* ... just before that state is saved */
} world;

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
    size_t used = strlen(world.story);
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(world.story + used, sizeof(world.story) - used, format, ap);
    va_end(ap);
    (void)strncat(world.story, " ", sizeof(world.story) - strlen(world.story) - 1);
}

static int fail_with(const struct error *failure, struct error *err)
{
    *err = *failure;
    return -failure->errnum;
}

static bool state_matches(const json_t *expected)
{
    size_t i;
    json_t *state;
    if (!expected)
        return true;
    json_array_foreach (expected, i, state) {
        const char *text = json_string_value(state);
        if (strcmp(text ? text : "", world.task_state) == 0)
            return true;
    }
    return false;
}

static int save(const json_t *args, struct error *err)
{
    const json_t *data = json_object_get(json_object_get(args, "objinst"), "nova_object.data");
    const json_t *kwargs = json_object_get(args, "kwargs");
    if (!json_object_get(data, "task_state")) {
        tell("power:%lld", json_integer_value(json_object_get(data, "power_state")));
        return 0;
    }
    const char *state = json_string_value(json_object_get(data, "task_state"));
    if (!state)
        state = "";
    if (world.when_saving && strcmp(world.when_saving, state) == 0) {
        (void)snprintf(world.task_state, sizeof(world.task_state), "%s", world.state_before_save);
        world.when_saving = NULL;
    }
    if (world.instance_gone)
        return error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND, "Instance could not be found");
    if (!state_matches(json_object_get(kwargs, "expected_task_state"))) {
        tell("conflict:%s", state);
        return error_set(err, EBUSY,
                         strcmp(world.task_state, "deleting") == 0 ? EXC_UNEXPECTED_DELETING
                                                                   : EXC_UNEXPECTED_TASK_STATE,
                         "Conflict: actual %s", world.task_state);
    }
    (void)snprintf(world.task_state, sizeof(world.task_state), "%s", state);
    tell("state:%s", state);
    if (world.silent_saves > 0) {
        world.silent_saves--;
        return error_set(err, ETIMEDOUT, EXC_MESSAGING_TIMEOUT, "no answer");
    }
    return 0;
}

static int event(const char *method, const json_t *args, struct error *err)
{
    if (strcmp(method, "event_start") == 0) {
        if (world.fail_event_start.errnum != 0)
            return fail_with(&world.fail_event_start, err);
        world.open_events++;
        tell("event_start");
        return 0;
    }
    assert_string_equal(method, "event_finish_with_failure");
    const char *details =
        json_string_value(json_object_get(json_object_get(args, "kwargs"), "exc_val"));
    world.open_events--;
    (void)snprintf(world.details, sizeof(world.details), "%s", details ? details : "");
    tell(details ? "event_error" : "event_success");
    return 0;
}

static void fault(const json_t *args)
{
    const json_t *data = json_object_get(json_object_get(args, "objinst"), "nova_object.data");
    (void)snprintf(world.fault, sizeof(world.fault), "%s",
                   json_string_value(json_object_get(data, "message")));
    tell("fault");
}

int __wrap_rpc_call(struct bus *bus, const char *topic_name, const char *version,
                    const struct request_context *context, const char *method, json_t *args,
                    unsigned timeout_ms, json_t **ret_result, struct error *err);

int __wrap_rpc_call(struct bus *bus, const char *topic_name, const char *version,
                    const struct request_context *context, const char *method, json_t *args,
                    unsigned timeout_ms, json_t **ret_result, struct error *err)
{
    (void)bus, (void)topic_name, (void)version, (void)context, (void)method, (void)timeout_ms;
    const char *objmethod = json_string_value(json_object_get(args, "objmethod"));
    int r = 0;
    if (strcmp(objmethod, "save") == 0)
        r = save(args, err);
    else if (strcmp(objmethod, "create") == 0)
        fault(args);
    else
        r = event(objmethod, args, err);
    json_decref(args);
    if (r == 0)
        *ret_result = json_pack("[{s:[]}, n]", "obj_what_changed");
    return r;
}

int __wrap_notifier_notify(struct bus *bus, enum notification_kind kind,
                           const struct request_context *context, const char *publisher_id,
                           const char *event_type, const char *priority, json_t *payload,
                           struct error *err);

int __wrap_notifier_notify(struct bus *bus, enum notification_kind kind,
                           const struct request_context *context, const char *publisher_id,
                           const char *event_type, const char *priority, json_t *payload,
                           struct error *err)
{
    (void)bus, (void)context, (void)priority;
    assert_string_equal(publisher_id,
                        kind == NOTIFICATION_LEGACY ? "compute.cmp1" : "nova-compute:cmp1");
    json_decref(payload);
    tell("%s", event_type);
    return world.fail_notify.errnum != 0 ? fail_with(&world.fail_notify, err) : 0;
}

int __wrap_glance_endpoint(struct glance *glance, const struct request_context *context,
                           char **ret_url, struct error *err);

int __wrap_glance_endpoint(struct glance *glance, const struct request_context *context,
                           char **ret_url, struct error *err)
{
    (void)glance, (void)context, (void)err;
    *ret_url = strdup("http://glance");
    return 0;
}

int __wrap_glance_image_get(struct glance *glance, const struct request_context *context,
                            const char *image_id, struct glance_image *ret_image,
                            struct error *err);

int __wrap_glance_image_get(struct glance *glance, const struct request_context *context,
                            const char *image_id, struct glance_image *ret_image, struct error *err)
{
    (void)glance, (void)context;
    assert_string_equal(image_id, FIXTURE_IMAGE);
    if (world.fail_get.errnum != 0)
        return fail_with(&world.fail_get, err);
    ret_image->status = strdup(world.image == ACTIVE ? "active" : "queued");
    return 0;
}

int __wrap_glance_image_update(struct glance *glance, const struct request_context *context,
                               const char *image_id, const json_t *attributes, struct error *err);

int __wrap_glance_image_update(struct glance *glance, const struct request_context *context,
                               const char *image_id, const json_t *attributes, struct error *err)
{
    (void)glance, (void)context, (void)image_id;
    json_t *expected =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "disk_format", "qcow2", "container_format",
                  "bare", "image_location", "snapshot", "image_state", "available", "owner_id",
                  "724d89e14f564a118d7fbd7fc5b4565b", "kernel_id", "", "ramdisk_id", "");
    assert_json_equal(attributes, expected);
    json_decref(expected);
    tell("patch");
    return world.fail_update.errnum != 0 ? fail_with(&world.fail_update, err) : 0;
}

int __wrap_glance_image_upload(struct glance *glance, const struct request_context *context,
                               const char *image_id, struct image_source *source,
                               struct error *err);

int __wrap_glance_image_upload(struct glance *glance, const struct request_context *context,
                               const char *image_id, struct image_source *source, struct error *err)
{
    (void)glance, (void)context, (void)image_id;
    tell("put:%llu", (unsigned long long)source->size_bytes);
    if (world.fail_upload.errnum != 0)
        return fail_with(&world.fail_upload, err);
    world.image = ACTIVE;
    return 0;
}

int __wrap_glance_image_delete(struct glance *glance, const struct request_context *context,
                               const char *image_id, struct error *err);

int __wrap_glance_image_delete(struct glance *glance, const struct request_context *context,
                               const char *image_id, struct error *err)
{
    (void)glance, (void)image_id;
    assert_true(context->auth_token[0] != '\0');
    tell("delete");
    if (world.fail_delete.errnum != 0)
        return fail_with(&world.fail_delete, err);
    world.image = DELETED;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    memset(&world, 0, sizeof(world));
    (void)strcpy(world.task_state, "image_snapshot_pending");
    conf = (struct conf){.DEFAULT = {.host = host},
                         .libvirt = {.virt_type = kvm},
                         .oslo_messaging_notifications = {.driver = drivers},
                         .notifications = {.notification_format = both}};
    script = (struct fake_script){
        .info = {.power_state = POWER_STATE_RUNNING,
                 .connection_is_qemu = true,
                 .disk_path = "/i/disk",
                 .disk_format = "qcow2"},
        .image = "12345",
        .image_size = 5,
    };
    agent = (struct agent){.conf = &conf};
    assert_int_equal(driver_fake_new(&script, &agent.driver, &err), 0);
    assert_int_equal(slots_new(1, &agent.snapshot_slots, &err), 0);
    assert_int_equal(slots_new(1, &agent.disk_op_slots, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct fake_record record;
    driver_fake_get_record(agent.driver, &record);
    assert_int_equal(record.images_made, record.images_closed);
    assert_int_equal(world.open_events, 0);
    driver_free(agent.driver);
    slots_free(agent.snapshot_slots);
    slots_free(agent.disk_op_slots);
    return 0;
}

static struct error failure(int errnum, const char *exc)
{
    struct error err = ERROR_INIT;
    (void)error_set(&err, errnum, exc, "told to fail");
    return err;
}

static void snapshot(void)
{
    driver_fake_set_script(agent.driver, &script);
    snapshot_instance(&agent, fixture_request());
}

/* Image gone, state clear, fault and event tell the truth. */
static void assert_failed(void)
{
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, "told to fail");
    assert_non_null(strstr(world.story, "event_error"));
    assert_non_null(strstr(world.story, " snapshot_instance compute.exception "));
    assert_null(strstr(world.story, "snapshot.end"));
}

static void tells_novas_story(void **state)
{
    (void)state;
    snapshot();
    assert_string_equal(
        world.story,
        "event_start state:image_snapshot power:1 compute.instance.snapshot.start "
        "instance.snapshot.start state:image_pending_upload state:image_uploading patch put:5 "
        "state: compute.instance.snapshot.end instance.snapshot.end event_success ");
    assert_int_equal(world.image, ACTIVE);
}

static void each_failing_step_leaves_nothing(void **state)
{
    for (int step = 0; step < 7; step++) {
        struct error *errors[] = {&world.fail_get,
                                  &world.fail_update,
                                  &world.fail_upload,
                                  &script.errors[FAKE_GET_POWER_STATE],
                                  &script.errors[FAKE_INSPECT],
                                  &script.errors[FAKE_EXTRACT],
                                  &world.fail_event_start};
        (void)teardown(state);
        (void)setup(state);
        *errors[step] = failure(EIO, EXC_INTERNAL_ERROR);
        snapshot();
        assert_int_equal(world.image, DELETED);
        assert_string_equal(world.task_state, "");
        assert_string_equal(world.fault, "told to fail");
        if (errors[step] != &world.fail_event_start)
            assert_failed();
    }
}

static void formats_decide_who_is_notified(void **state)
{
    static char unversioned[] = "unversioned";
    conf.notifications.notification_format = unversioned;
    snapshot();
    assert_null(strstr(world.story, " instance.snapshot"));
    assert_non_null(strstr(world.story, "compute.instance.snapshot.end"));
    (void)teardown(state);
    (void)setup(state);
    static char *none[] = {NULL};
    conf.oslo_messaging_notifications.driver = none;
    snapshot();
    assert_null(strstr(world.story, "snapshot.start"));
    assert_int_equal(world.image, ACTIVE);
}

static void a_failing_notification_is_no_failure(void **state)
{
    (void)state;
    world.fail_notify = failure(ETIMEDOUT, EXC_MESSAGING_TIMEOUT);
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.story, "event_success"));
}

static void deletion_meanwhile_ends_quietly(void **state)
{
    static const char *const when[] = {"image_snapshot", "image_pending_upload", "image_uploading"};
    for (size_t i = 0; i < sizeof(when) / sizeof(when[0]); i++) {
        (void)teardown(state);
        (void)setup(state);
        world.when_saving = when[i];
        world.state_before_save = "deleting";
        snapshot();
        assert_int_equal(world.image, DELETED);
        assert_string_equal(world.task_state, "deleting");
        assert_string_equal(world.fault, "");
        assert_non_null(strstr(world.story, "event_success"));
    }
}

static void deletion_after_the_upload_keeps_the_image(void **state)
{
    (void)state;
    world.when_saving = "";
    world.state_before_save = "deleting";
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "deleting");
    assert_non_null(strstr(world.story, "event_success"));
}

static void a_foreign_state_is_left_alone(void **state)
{
    (void)state;
    world.when_saving = "image_snapshot";
    world.state_before_save = "rebuilding";
    snapshot();
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "rebuilding");
    assert_non_null(strstr(world.story, "fault event_error"));
}

static void a_request_served_before_loses_nothing(void **state)
{
    (void)state;
    world.image = ACTIVE;
    (void)strcpy(world.task_state, "");
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.story, "event_error"));
}

static void a_reset_after_the_upload_keeps_the_image(void **state)
{
    (void)state;
    world.when_saving = "";
    world.state_before_save = "rescuing";
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "rescuing");
}

static void a_missing_domain_is_told_and_not_stuck(void **state)
{
    (void)state;
    script.errors[FAKE_INSPECT] = failure(ENOENT, EXC_INSTANCE_NOT_RUNNING);
    snapshot();
    assert_failed();
}

static void a_vanished_instance_is_nobodys_failure(void **state)
{
    (void)state;
    script.errors[FAKE_EXTRACT] = failure(ENOENT, EXC_INSTANCE_NOT_FOUND);
    world.when_saving = "";
    world.state_before_save = "deleting";
    snapshot();
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.fault, "");
    assert_non_null(strstr(world.story, "event_success"));
}

static void a_deleted_image_frees_the_server(void **state)
{
    (void)state;
    world.fail_upload = failure(ENOENT, EXC_IMAGE_NOT_FOUND);
    world.fail_delete = failure(ENOENT, EXC_IMAGE_NOT_FOUND);
    snapshot();
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, "");
    assert_non_null(strstr(world.story, "event_success"));
}

static void silence_of_the_conductor_is_survived(void **state)
{
    (void)state;
    world.silent_saves = 2;
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
}

static void a_save_without_answer_is_reverted_whatever_it_did(void **state)
{
    (void)state;
    /* Three executed saves without an answer: the state is one further than we know. */
    world.silent_saves = 3;
    snapshot();
    assert_string_equal(world.task_state, "");
    assert_int_equal(world.image, DELETED);
    assert_non_null(strstr(world.story, "event_error"));
}

static void arguments_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}", "{\"image_id\": 7}", "{\"image_id\": \"../x\"}",
        "{\"image_id\": \"e5a20dc3-b3eb-4dcf-b1be-b0cc75cf15ed\"}",
        "{\"image_id\": \"e5a20dc3-b3eb-4dcf-b1be-b0cc75cf15ed\", \"instance\": []}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = ERROR_INIT;
        struct snapshot_request arguments;
        struct rpc_request *request = fixture_request();
        json_decref(request->args);
        request->args = json_loads(bad[i], 0, NULL);
        assert_true(snapshot_request_parse(request, &arguments, &err) < 0);
        assert_string_not_equal(err.message, "");
        snapshot_instance(&agent, request);
        assert_string_equal(world.story, "");
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(tells_novas_story),
        TEST(each_failing_step_leaves_nothing),
        TEST(formats_decide_who_is_notified),
        TEST(a_failing_notification_is_no_failure),
        TEST(deletion_meanwhile_ends_quietly),
        TEST(deletion_after_the_upload_keeps_the_image),
        TEST(a_foreign_state_is_left_alone),
        TEST(a_request_served_before_loses_nothing),
        TEST(a_reset_after_the_upload_keeps_the_image),
        TEST(a_missing_domain_is_told_and_not_stuck),
        TEST(a_vanished_instance_is_nobodys_failure),
        TEST(a_deleted_image_frees_the_server),
        TEST(silence_of_the_conductor_is_survived),
        TEST(a_save_without_answer_is_reverted_whatever_it_did),
        TEST(arguments_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
