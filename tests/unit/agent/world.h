/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world around one request, for tests of whole operations: a conductor that keeps a task state
 * and compares it as the database does, a Glance that keeps an image, a Cinder that counts its
 * snapshots, and the fake driver.
 */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/canceller.h"
#include "agent/dispatch.h"
#include "agent/freezer.h"
#include "agent/instance_queue.h"
#include "agent/instance_request.h"
#include "agent/journal.h"
#include "agent/live_options.h"
#include "agent/recover.h"
#include "agent/shutdown.h"
#include "agent/slots.h"
#include "agent/snapshot.h"
#include "agent/workers.h"
#include "amqp/notifier.h"
#include "amqp/rpc.h"
#include "cinder_client/cinder.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "conf/conf.h"
#include "fixture.h"
#include "glance_client/glance.h"
#include "state_dir.h"
#include "tests/unit/fake_driver.h"

#define TEXT_MAX 4096

/* Of a second request on the same instance; it is queued until it is deleted. */
#define OTHER_IMAGE "5f0d1c51-1b57-4c3f-9c1c-0a9d7d1a5c44"

static char both[] = "both", kvm[] = "kvm", host[] = "cmp1", topic[] = "messagingv2",
            blockrebase[] = "blockrebase";
static char *drivers[] = {topic, NULL};

static struct conf conf;
static struct agent agent;
static struct fake_script script;

/* A request and its record, as the dispatcher hands them to a worker. */
#define HANDED_OVER(rpc, in_journal)                                                               \
    (&(struct instance_request){.agent = &agent, .request = (rpc), .record = (in_journal)})

/* The world as the operation left it. */
static struct {
    char task_state[64];  /* "" = None */
    const char *vm_state; /* NULL = active */
    bool instance_gone;
    json_t *progress;     /* as it was saved at last; NULL: never */
    char story[TEXT_MAX]; /* what was called, one word each */
    enum { QUEUED, ACTIVE, DELETED } image;
    unsigned n_saving; /* so often Glance says that it still saves the image */
    char details[512]; /* of the event */
    char fault[512];
    char exception[ERROR_EXC_MAX]; /* of the last versioned notification that names one */
    unsigned open_events, ended_events;
    char event[64];     /* the name of those that were started */
    json_t *attributes; /* all that was set in the image's record */
    json_t *records;    /* what the list of images shows */
    char deleted[TEXT_MAX];
    json_t *mappings; /* block device mappings of the instance */
    const char *mappings_version;
    json_t *connection_info; /* as it was saved */
    char statuses[256];      /* told to Cinder, one word each */
    unsigned n_snapshots;    /* in Cinder now */
    unsigned n_created;
    const char *snapshot_status; /* what each becomes; NULL = available */
    const char *volume_status;   /* NULL = in-use */
    unsigned fail_create_at;     /* the n-th creation fails with ... */
    struct error fail_create;    /* ... this */
    bool unanswered_create;      /* and yet it was carried out */
    struct cinder_limits limits;
    bool frozen_at_create; /* the guest stood still when the last snapshot was made */
    struct error fail_list, fail_activate, fail_location, fail_limits, fail_status, fail_attachment;
    struct error fail_event_start, fail_get, fail_update, fail_note, fail_upload, fail_delete,
        fail_notify;
    unsigned n_fail_get;           /* so often; 0: always */
    unsigned n_fail_delete;        /* the same */
    unsigned silent_saves;         /* the next saves get no answer, whatever became of them */
    const char *repeated_save;     /* that of this state is executed, then refused; NULL: none */
    unsigned others_events;        /* that nova-compute has started for the same request */
    bool is_asked_again;           /* another snapshot was asked for behind it */
    atomic_uint silent_actions;    /* the next questions for actions get no answer ... */
    struct error fail_actions;     /* ... or fail with this */
    const char *state_before_save; /* somebody sets this ... */
    const char *when_saving;       /* ... just before that state is saved ... */
    const char *state_after_save;  /* ... and this behind it; NULL: nothing */
    void (*on_upload)(void);       /* while Glance gets the data; NULL: nothing */
} world;

/* What the configuration says holds from now on. */
__attribute__((unused)) static void take_options(void)
{
    const struct live_values live = live_options_of(&conf);
    live_options_set(agent.live_options, &live);
}

static atomic_bool image_is_gone, other_image_is_gone; /* as the canceller sees it */

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

static bool stay_silent(struct error *err)
{
    if (world.silent_saves == 0)
        return false;
    world.silent_saves--;
    (void)error_set(err, ETIMEDOUT, EXC_MESSAGING_TIMEOUT, "no answer");
    return true;
}

static int save(const json_t *args, struct error *err)
{
    const json_t *data = json_object_get(json_object_get(args, "objinst"), "nova_object.data");
    const json_t *kwargs = json_object_get(args, "kwargs");
    if (json_object_get(data, "progress")) {
        json_decref(world.progress);
        world.progress = json_incref(json_object_get(data, "progress"));
    }
    if (!json_object_get(data, "task_state")) {
        if (!json_object_get(data, "power_state")) {
            tell("progress");
            return 0;
        }
        tell("power:%lld", json_integer_value(json_object_get(data, "power_state")));
        return 0;
    }
    const char *state = json_string_value(json_object_get(data, "task_state"));
    bool is_met = false;
    if (!state)
        state = "";
    if (world.when_saving && strcmp(world.when_saving, state) == 0) {
        (void)snprintf(world.task_state, sizeof(world.task_state), "%s", world.state_before_save);
        world.when_saving = NULL;
        is_met = true;
    }
    if (world.instance_gone)
        return error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND, "Instance could not be found");
    if (!state_matches(json_object_get(kwargs, "expected_task_state"))) {
        tell("conflict:%s", state);
        if (stay_silent(err))
            return -ETIMEDOUT;
        return error_set(err, EBUSY,
                         strcmp(world.task_state, "deleting") == 0 ? EXC_UNEXPECTED_DELETING
                                                                   : EXC_UNEXPECTED_TASK_STATE,
                         "Conflict: actual %s", world.task_state);
    }
    (void)snprintf(world.task_state, sizeof(world.task_state), "%s", state);
    tell("state:%s", state);
    if (is_met && world.state_after_save)
        (void)snprintf(world.task_state, sizeof(world.task_state), "%s", world.state_after_save);
    if (world.repeated_save && strcmp(world.repeated_save, state) == 0) {
        world.repeated_save = NULL;
        return error_set(err, EBUSY, EXC_UNEXPECTED_TASK_STATE, "Conflict: actual %s", state);
    }
    return stay_silent(err) ? -ETIMEDOUT : 0;
}

static int event(const char *method, const json_t *args, struct error *err)
{
    if (strcmp(method, "event_start") == 0) {
        if (world.fail_event_start.errnum != 0)
            return fail_with(&world.fail_event_start, err);
        world.open_events++;
        (void)snprintf(world.event, sizeof(world.event), "%s",
                       json_string_value(json_array_get(json_object_get(args, "args"), 1)));
        tell("event_start");
        return 0;
    }
    assert_string_equal(method, "event_finish_with_failure");
    const char *details =
        json_string_value(json_object_get(json_object_get(args, "kwargs"), "exc_val"));
    world.open_events--;
    world.ended_events++;
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

/* Takes `objects`. */
static json_t *list_of(const char *name, const char *version, json_t *objects)
{
    return json_pack("{s:s, s:s, s:{s:o}}", "nova_object.name", name, "nova_object.version",
                     version, "nova_object.data", "objects", objects);
}

/* The actions on the instance; NULL for other objects. */
static json_t *read_actions(const json_t *args, const struct request_context *context)
{
    const char *objname = json_string_value(json_object_get(args, "objname"));
    if (!objname || strcmp(objname, "InstanceActionList") != 0)
        return NULL;
    return list_of(objname, "1.1",
                   json_pack("[{s:{s:i, s:s, s:s}}, {s:{s:i, s:s, s:s}}]", "nova_object.data", "id",
                             8, "action", world.is_asked_again ? "createImage" : "lock",
                             "request_id", "req-other", "nova_object.data", "id", 7, "action",
                             "createImage", "request_id", context->request_id));
}

static json_t *read_events(const json_t *args)
{
    json_t *events = json_array();
    assert_int_equal(json_integer_value(json_array_get(json_object_get(args, "args"), 0)), 7);
    unsigned n = world.open_events + world.ended_events + world.others_events;
    for (unsigned i = 0; i < n; i++)
        (void)json_array_append_new(
            events, json_pack("{s:{s:s}}", "nova_object.data", "event", world.event));
    return list_of("InstanceActionEventList", "1.1", events);
}

/* What conductor answers to look-ups; NULL for other methods. */
static json_t *read_objects(const char *objmethod, const json_t *args)
{
    const json_t *objinst = json_object_get(args, "objinst");
    size_t i;
    json_t *mapping;
    if (strcmp(objmethod, "get_by_uuid") == 0)
        return json_pack("{s:{s:{}, s:s, s:s?}}", "nova_object.data", "system_metadata", "vm_state",
                         world.vm_state ? world.vm_state : "active", "task_state",
                         world.task_state[0] != '\0' ? world.task_state : NULL);
    if (strcmp(objmethod, "get_by_action") == 0)
        return read_events(args);
    if (strcmp(objmethod, "get_by_volume_and_instance") == 0)
        return json_pack("{s:O}", "nova_object.data", json_array_get(world.mappings, 0));
    if (strcmp(objmethod, "get_by_instance_uuid") == 0) {
        json_t *objects = json_array();
        json_array_foreach (world.mappings, i, mapping) {
            (void)json_array_append_new(objects, json_pack("{s:O}", "nova_object.data", mapping));
        }
        return list_of("BlockDeviceMappingList", world.mappings_version, objects);
    }
    const char *name = json_string_value(json_object_get(objinst, "nova_object.name"));
    if (strcmp(objmethod, "save") != 0 || strcmp(name, "BlockDeviceMapping") != 0)
        return NULL;
    const json_t *data = json_object_get(objinst, "nova_object.data");
    json_decref(world.connection_info);
    world.connection_info =
        json_loads(json_string_value(json_object_get(data, "connection_info")), 0, NULL);
    tell("connection_info");
    return json_null();
}

int __wrap_rpc_call(struct bus *bus, const struct rpc_call *call, json_t **ret_result,
                    struct error *err);

int __wrap_rpc_call(struct bus *bus, const struct rpc_call *call, json_t **ret_result,
                    struct error *err)
{
    (void)bus;
    json_t *args = call->args;
    const char *objmethod = json_string_value(json_object_get(args, "objmethod"));
    int r = 0;
    json_t *answer = read_actions(args, call->context);
    if (answer && world.silent_actions > 0) {
        world.silent_actions--;
        json_decref(answer);
        json_decref(args);
        return world.fail_actions.errnum != 0
                   ? fail_with(&world.fail_actions, err)
                   : error_set(err, ETIMEDOUT, EXC_MESSAGING_TIMEOUT, "no answer");
    }
    if (!answer)
        answer = read_objects(objmethod, args);
    if (answer) {
        json_decref(args);
        *ret_result = answer;
        return 0;
    }
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

int __wrap_notifier_notify(struct bus *bus, const struct notification *notification,
                           struct error *err);

int __wrap_notifier_notify(struct bus *bus, const struct notification *notification,
                           struct error *err)
{
    (void)bus;
    assert_string_equal(notification->publisher_id, notification->kind == NOTIFICATION_LEGACY
                                                        ? "compute.cmp1"
                                                        : "nova-compute:cmp1");
    const char *exception = json_string_value(
        json_object_get(json_object_get(notification->payload, "nova_object.data"), "exception"));
    if (exception)
        (void)snprintf(world.exception, sizeof(world.exception), "%s", exception);
    json_decref(notification->payload);
    tell("%s", notification->event_type);
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
    bool is_other = strcmp(image_id, OTHER_IMAGE) == 0;
    assert_true(is_other || strcmp(image_id, FIXTURE_IMAGE) == 0);
    if (world.fail_get.errnum != 0) {
        int r = fail_with(&world.fail_get, err);
        if (world.n_fail_get > 0 && --world.n_fail_get == 0)
            world.fail_get = (struct error)ERROR_INIT;
        return r;
    }
    if (is_other && atomic_load(&other_image_is_gone))
        return error_set(err, ENOENT, EXC_IMAGE_NOT_FOUND, "gone");
    ret_image->name = strdup("snap");
    bool is_saving = !is_other && world.n_saving > 0;
    if (is_saving)
        world.n_saving--;
    ret_image->status = strdup(is_saving                            ? "saving"
                               : world.image == ACTIVE && !is_other ? "active"
                                                                    : "queued");
    return 0;
}

int __wrap_glance_image_peek(struct glance *glance, const struct request_context *context,
                             const char *image_id, unsigned timeout_ms,
                             struct glance_image *ret_image, struct error *err);

int __wrap_glance_image_peek(struct glance *glance, const struct request_context *context,
                             const char *image_id, unsigned timeout_ms,
                             struct glance_image *ret_image, struct error *err)
{
    (void)glance, (void)context, (void)timeout_ms;
    bool is_other = strcmp(image_id, OTHER_IMAGE) == 0;
    if (atomic_load(is_other ? &other_image_is_gone : &image_is_gone))
        return error_set(err, ENOENT, EXC_IMAGE_NOT_FOUND, "gone");
    ret_image->status = strdup("queued");
    return 0;
}

int __wrap_glance_image_update(struct glance *glance, const struct request_context *context,
                               const char *image_id, const json_t *attributes, struct error *err);

int __wrap_glance_image_update(struct glance *glance, const struct request_context *context,
                               const char *image_id, const json_t *attributes, struct error *err)
{
    (void)glance, (void)context, (void)image_id;
    if (cancel_check(err) < 0)
        return -ECANCELED;
    bool is_note = json_object_get(attributes, "snapshot_method") != NULL;
    tell(is_note ? "note" : "patch");
    if (is_note && world.fail_note.errnum != 0)
        return fail_with(&world.fail_note, err);
    if (!world.attributes)
        world.attributes = json_object();
    (void)json_object_update(world.attributes, (json_t *)(uintptr_t)attributes);
    return world.fail_update.errnum != 0 ? fail_with(&world.fail_update, err) : 0;
}

int __wrap_glance_image_upload(struct glance *glance, const struct request_context *context,
                               const char *image_id, struct image_source *source,
                               struct error *err);

int __wrap_glance_image_upload(struct glance *glance, const struct request_context *context,
                               const char *image_id, struct image_source *source, struct error *err)
{
    (void)glance, (void)context, (void)image_id;
    if (world.on_upload)
        world.on_upload();
    if (cancel_check(err) < 0)
        return -ECANCELED;
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
    (void)glance;
    assert_true(context->auth_token[0] != '\0');
    tell("delete");
    (void)strcat(strcat(world.deleted, image_id), " ");
    if (world.fail_delete.errnum != 0) {
        int r = fail_with(&world.fail_delete, err);
        if (world.n_fail_delete > 0 && --world.n_fail_delete == 0)
            world.fail_delete = (struct error)ERROR_INIT;
        return r;
    }
    world.image = DELETED;
    return 0;
}

int __wrap_glance_image_list(struct glance *glance, const struct request_context *context,
                             const json_t *filters, json_t **ret_records, struct error *err);

int __wrap_glance_image_list(struct glance *glance, const struct request_context *context,
                             const json_t *filters, json_t **ret_records, struct error *err)
{
    (void)glance, (void)context;
    assert_string_equal(json_string_value(json_object_get(filters, "image_type")), "backup");
    tell("list");
    if (world.fail_list.errnum != 0)
        return fail_with(&world.fail_list, err);
    *ret_records = json_incref(world.records);
    return 0;
}

int __wrap_glance_image_activate_empty(struct glance *glance, const struct request_context *context,
                                       const char *image_id, struct error *err);

int __wrap_glance_image_activate_empty(struct glance *glance, const struct request_context *context,
                                       const char *image_id, struct error *err)
{
    (void)glance, (void)context, (void)image_id;
    tell("activate");
    if (world.fail_activate.errnum != 0)
        return fail_with(&world.fail_activate, err);
    world.image = ACTIVE;
    return 0;
}

int __wrap_glance_image_add_location(struct glance *glance, const struct request_context *context,
                                     const char *image_id, const char *url,
                                     enum glance_location_way first, struct error *err);

int __wrap_glance_image_add_location(struct glance *glance, const struct request_context *context,
                                     const char *image_id, const char *url,
                                     enum glance_location_way first, struct error *err)
{
    (void)glance, (void)context, (void)image_id;
    tell("location%s:%s", first == GLANCE_LOCATION_POST ? "_post" : "", url);
    if (world.fail_location.errnum != 0)
        return fail_with(&world.fail_location, err);
    world.image = ACTIVE;
    return 0;
}

int __wrap_rpc_reply(struct bus *bus, const struct rpc_request *request, json_t *result,
                     struct error *err);

int __wrap_rpc_reply(struct bus *bus, const struct rpc_request *request, json_t *result,
                     struct error *err)
{
    (void)bus, (void)request, (void)err;
    assert_null(result);
    tell("reply");
    return 0;
}

int __wrap_rpc_fail(struct bus *bus, const struct rpc_request *request, const struct error *failure,
                    struct error *err);

int __wrap_rpc_fail(struct bus *bus, const struct rpc_request *request, const struct error *failure,
                    struct error *err)
{
    (void)bus, (void)request, (void)err;
    tell("fail:%s", failure->exc);
    return 0;
}

/* Cinder: each call under this lock, for snapshots are made in parallel. */
static pthread_mutex_t cinder_lock = PTHREAD_MUTEX_INITIALIZER;

int __wrap_cinder_volume_get(struct cinder *cinder, const struct request_context *context,
                             const char *volume_id, struct cinder_volume *ret_volume,
                             struct error *err);

int __wrap_cinder_volume_get(struct cinder *cinder, const struct request_context *context,
                             const char *volume_id, struct cinder_volume *ret_volume,
                             struct error *err)
{
    (void)cinder, (void)context, (void)err;
    (void)snprintf(ret_volume->id, sizeof(ret_volume->id), "%s", volume_id);
    (void)snprintf(ret_volume->status, sizeof(ret_volume->status), "%s",
                   world.volume_status ? world.volume_status : "in-use");
    ret_volume->size_gib = 10;
    return 0;
}

int __wrap_cinder_limits_get(struct cinder *cinder, const struct request_context *context,
                             struct cinder_limits *ret_limits, struct error *err);

int __wrap_cinder_limits_get(struct cinder *cinder, const struct request_context *context,
                             struct cinder_limits *ret_limits, struct error *err)
{
    (void)cinder, (void)context;
    if (world.fail_limits.errnum != 0)
        return fail_with(&world.fail_limits, err);
    *ret_limits = world.limits;
    return 0;
}

int __wrap_cinder_snapshot_create(struct cinder *cinder, const struct request_context *context,
                                  const struct cinder_snapshot_request *request,
                                  struct cinder_snapshot *ret_snapshot, struct error *err);

int __wrap_cinder_snapshot_create(struct cinder *cinder, const struct request_context *context,
                                  const struct cinder_snapshot_request *request,
                                  struct cinder_snapshot *ret_snapshot, struct error *err)
{
    (void)cinder, (void)context;
    LOCK_SCOPE(&cinder_lock);
    struct fake_record record;
    fake_driver_get_record(agent.driver, &record);
    world.frozen_at_create = record.frozen;
    assert_string_equal(request->name, "snapshot for snap");
    if (++world.n_created == world.fail_create_at) {
        world.n_snapshots += world.unanswered_create;
        return fail_with(&world.fail_create, err);
    }
    world.n_snapshots++;
    /* A snapshot is named after its volume here. */
    (void)snprintf(ret_snapshot->id, sizeof(ret_snapshot->id), "5%s", request->volume_id + 1);
    (void)snprintf(ret_snapshot->status, sizeof(ret_snapshot->status), "creating");
    return 0;
}

int __wrap_cinder_snapshot_find(struct cinder *cinder, const struct request_context *context,
                                const struct cinder_snapshot_request *request, bool *ret_found,
                                struct cinder_snapshot *ret_snapshot, struct error *err);

int __wrap_cinder_snapshot_find(struct cinder *cinder, const struct request_context *context,
                                const struct cinder_snapshot_request *request, bool *ret_found,
                                struct cinder_snapshot *ret_snapshot, struct error *err)
{
    (void)cinder, (void)context, (void)err;
    LOCK_SCOPE(&cinder_lock);
    assert_non_null(json_object_get(request->metadata, "request_id"));
    *ret_found = world.unanswered_create;
    if (world.unanswered_create)
        (void)snprintf(ret_snapshot->id, sizeof(ret_snapshot->id), "5%s", request->volume_id + 1);
    return 0;
}

int __wrap_cinder_snapshot_await(struct cinder *cinder, const struct request_context *context,
                                 const char *snapshot_id, uint64_t deadline_ms,
                                 struct cinder_snapshot *ret_snapshot, struct error *err);

int __wrap_cinder_snapshot_await(struct cinder *cinder, const struct request_context *context,
                                 const char *snapshot_id, uint64_t deadline_ms,
                                 struct cinder_snapshot *ret_snapshot, struct error *err)
{
    (void)cinder, (void)context, (void)err;
    assert_true(deadline_ms > 0);
    (void)snprintf(ret_snapshot->id, sizeof(ret_snapshot->id), "%s", snapshot_id);
    (void)snprintf(ret_snapshot->status, sizeof(ret_snapshot->status), "%s",
                   world.snapshot_status ? world.snapshot_status : "available");
    return 0;
}

int __wrap_cinder_snapshot_delete(struct cinder *cinder, const struct request_context *context,
                                  const char *snapshot_id, struct error *err);

int __wrap_cinder_snapshot_delete(struct cinder *cinder, const struct request_context *context,
                                  const char *snapshot_id, struct error *err)
{
    (void)cinder, (void)context, (void)snapshot_id, (void)err;
    world.n_snapshots--;
    return 0;
}

int __wrap_cinder_snapshot_await_gone(struct cinder *cinder, const struct request_context *context,
                                      const char *snapshot_id, uint64_t deadline_ms,
                                      struct error *err);

int __wrap_cinder_snapshot_await_gone(struct cinder *cinder, const struct request_context *context,
                                      const char *snapshot_id, uint64_t deadline_ms,
                                      struct error *err)
{
    (void)cinder, (void)context, (void)snapshot_id, (void)deadline_ms, (void)err;
    return 0;
}

int __wrap_cinder_snapshot_update_status(struct cinder *cinder,
                                         const struct request_context *context,
                                         const char *snapshot_id, const char *status,
                                         const char *progress, struct error *err);

int __wrap_cinder_snapshot_update_status(struct cinder *cinder,
                                         const struct request_context *context,
                                         const char *snapshot_id, const char *status,
                                         const char *progress, struct error *err)
{
    (void)cinder, (void)context, (void)snapshot_id;
    assert_string_equal(progress, "90%");
    (void)strcat(strcat(world.statuses, status), " ");
    return world.fail_status.errnum != 0 ? fail_with(&world.fail_status, err) : 0;
}

int __wrap_cinder_attachment_connection_info(struct cinder *cinder,
                                             const struct request_context *context,
                                             const char *attachment_id,
                                             json_t **ret_connection_info, struct error *err);

int __wrap_cinder_attachment_connection_info(struct cinder *cinder,
                                             const struct request_context *context,
                                             const char *attachment_id,
                                             json_t **ret_connection_info, struct error *err)
{
    (void)cinder, (void)context, (void)attachment_id;
    if (world.fail_attachment.errnum != 0)
        return fail_with(&world.fail_attachment, err);
    *ret_connection_info = json_pack("{s:{s:s, s:s}}", "data", "name", "v.new", "format", "raw");
    return 0;
}

static int setup(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    memset(&world, 0, sizeof(world));
    atomic_store(&image_is_gone, false);
    atomic_store(&other_image_is_gone, false);
    (void)strcpy(world.task_state, "image_snapshot_pending");
    (void)strcpy(world.event, "compute_snapshot_instance"); /* of an earlier life */
    conf = (struct conf){
        .DEFAULT = {.host = host},
        .libvirt = {.virt_type = kvm},
        .snapshot_agent = {.volume_snapshot_timeout = 60, .live_snapshot_method = blockrebase},
        .oslo_messaging_notifications = {.driver = drivers},
        .notifications = {.notification_format = both}};
    script = (struct fake_script){
        .info = {.power_state = POWER_STATE_RUNNING,
                 .connection_is_qemu = true,
                 .disk_path = "/dev/null", /* what is there */
                 .disk_format = "qcow2"},
        .image = "12345",
        .image_size = 5,
    };
    state_dir_make();
    agent = (struct agent){
        .conf = &conf, .journal = state_dir.journal, .freeze_ledger = state_dir.ledger};
    assert_int_equal(instance_queue_new(&agent.instance_queue, &err), 0);
    assert_int_equal(shutdown_new(&agent.shutdown, &err), 0);
    assert_int_equal(recovery_new(1, dispatch_recover, &agent.recovery, &err), 0);
    assert_int_equal(fake_driver_new(&script, &agent.driver, &err), 0);
    assert_int_equal(live_options_new(&conf, &agent.live_options, &err), 0);
    assert_int_equal(slots_new(1, &agent.snapshot_slots, &err), 0);
    assert_int_equal(slots_new(1, &agent.disk_op_slots, &err), 0);
    assert_int_equal(freezer_new(agent.driver, state_dir.ledger, 60000, &agent.freezer, &err), 0);
    assert_int_equal(canceller_new(NULL, 5, &agent.canceller, &err), 0);
    world.limits = (struct cinder_limits){-1, 0, -1, 0};
    world.mappings_version = "1.18";
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct fake_record record;
    fake_driver_get_record(agent.driver, &record);
    assert_int_equal(record.images_made, record.images_closed);
    assert_int_equal(world.open_events, 0);
    assert_false(record.frozen);
    json_decref(world.attributes);
    json_decref(world.progress);
    json_decref(world.records);
    json_decref(world.mappings);
    json_decref(world.connection_info);
    canceller_free(agent.canceller);
    freezer_free(agent.freezer);
    driver_free(agent.driver);
    live_options_free(agent.live_options);
    slots_free(agent.snapshot_slots);
    slots_free(agent.disk_op_slots);
    recovery_free(agent.recovery);
    shutdown_free(agent.shutdown);
    instance_queue_free(agent.instance_queue);
    assert_int_equal(state_dir_remove(), 0);
    return 0;
}

static __attribute__((unused)) struct error failure(int errnum, const char *exc)
{
    struct error err = ERROR_INIT;
    (void)error_set(&err, errnum, exc, "told to fail");
    return err;
}
