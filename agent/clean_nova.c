/* SPDX-License-Identifier: Apache-2.0 */
/* See clean_nova.h. */
#include "agent/clean_nova.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/clean_cloud.h"
#include "agent/task_states.h"
#include "amqp/bus.h"
#include "common/cleanup.h"
#include "common/json.h"

#define AGENT_MARK "nova-snapshot-agent " /* how property snapshot_agent begins */
#define SKEW_S 60                         /* so far other hosts' clocks may be off */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_member(object, key);
    return text ? text : "";
}

/* What waits in RabbitMQ comes to this agent at once, or is given to nova-compute by it. */
static int check_attached(const struct clean_look *look, struct error *err)
{
    return bus_attached(look->agent->bus)
               ? 0
               : error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                           "this agent takes no requests now, and one may wait in RabbitMQ");
}

static int check_nova(const struct clean_look *look, const json_t *object, const char *key,
                      char *why, size_t size, struct error *err)
{
    time_t time = clean_cloud_time(object, key);
    clean_look_tell_nova(look, why, size);
    return time == 0 ? error_set(err, EBUSY, EXC_INTERNAL_ERROR, "its age is not known")
                     : clean_look_check_nova(look, time, SKEW_S, err);
}

/* What an agent had come to upload; nova-compute writes no such property. */
static bool is_agents(const json_t *image)
{
    return strncmp(text_of(image, "snapshot_agent"), AGENT_MARK, strlen(AGENT_MARK)) == 0;
}

/* Task states */

/* A request that nobody has taken yet has one of the first two. */
static bool may_wait(const char *state)
{
    return strcmp(state, IMAGE_SNAPSHOT_PENDING) == 0 || strcmp(state, IMAGE_BACKUP) == 0;
}

static bool is_of_snapshot(const char *state)
{
    return may_wait(state) || strcmp(state, IMAGE_SNAPSHOT) == 0 ||
           strcmp(state, IMAGE_PENDING_UPLOAD) == 0 || strcmp(state, IMAGE_UPLOADING) == 0;
}

/* The image that is waiting for the server's snapshot, if it is the only one. */
static const json_t *only_image(const json_t *images, const char *instance_uuid)
{
    size_t i;
    json_t *image;
    const json_t *found = NULL;
    json_array_foreach (images, i, image) {
        if (strcmp(text_of(image, "instance_uuid"), instance_uuid) != 0)
            continue;
        if (found)
            return NULL;
        found = image;
    }
    return found;
}

/* What an agent has saved of how far it is; nova-compute saves nothing of that. */
static bool has_progress(const json_t *instance)
{
    json_int_t percent = json_integer_value(json_object_get(instance, "progress"));
    return percent > 0 && percent < 100;
}

/* The state was an agent's, which had gone on after that, and has ended. */
static int check_agents_upload(const struct clean_look *look, const struct clean_cloud *cloud,
                               const json_t *instance, struct error *err)
{
    const json_t *image = only_image(cloud->images, text_of(instance, "uuid"));
    time_t state_time = clean_cloud_time(instance, "updated_at");
    if (strcmp(text_of(instance, "task_state"), IMAGE_UPLOADING) != 0 || !image ||
        !is_agents(image) || state_time == 0 ||
        (clean_cloud_time(image, "updated_at") < state_time && !has_progress(instance)))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "it is no agent's upload");
    return clean_look_check_journal(look, text_of(image, "id"), err);
}

static int judge_state(const struct clean_look *look, const struct clean_cloud *cloud,
                       const json_t *instance, char *why, size_t size, struct error *err)
{
    struct error not_agents = ERROR_INIT;
    const char *uuid = text_of(instance, "uuid");
    int r = check_attached(look, err);
    if (r == 0)
        r = clean_look_check_journal(look, uuid, err);
    if (r < 0)
        return r;
    if (may_wait(text_of(instance, "task_state")))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "its request may wait for nova-compute; if it does not: openstack server "
                         "set --state active %s",
                         uuid);
    if (check_agents_upload(look, cloud, instance, &not_agents) == 0) {
        (void)snprintf(why, size,
                       "the agent that uploaded its image has ended, and the journal "
                       "does not know it");
        return 0;
    }
    return check_nova(look, instance, "updated_at", why, size, err);
}

static void find_state(struct clean_look *look, const struct clean_cloud *cloud,
                       const json_t *instance)
{
    struct error err = ERROR_INIT;
    char why[256];
    const char *state = text_of(instance, "task_state");
    struct clean_item *item =
        is_of_snapshot(state) ? clean_list_add(&look->list, CLEAN_TASK_STATE, state) : NULL;
    if (!item)
        return;
    (void)snprintf(item->instance, sizeof(item->instance), "%s", text_of(instance, "uuid"));
    item->has_progress = has_progress(instance);
    if (judge_state(look, cloud, instance, why, sizeof(why), &err) < 0)
        clean_list_judge(item, CLEAN_LEFT, "%s", err.message);
    else
        clean_list_judge(item, CLEAN_NOBODYS, "%s", why);
}

/* Images */

static const json_t *find_instance(const struct clean_cloud *cloud, const char *uuid)
{
    size_t i;
    json_t *instance;
    json_array_foreach (cloud->instances, i, instance) {
        if (strcmp(text_of(instance, "uuid"), uuid) == 0)
            return instance;
    }
    return NULL;
}

static const struct clean_item *find_state_of(const struct clean_list *list, const char *uuid)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == CLEAN_TASK_STATE && strcmp(list->items[i].instance, uuid) == 0)
            return &list->items[i];
    return NULL;
}

static int judge_image(const struct clean_look *look, const json_t *image, const json_t *instance,
                       char *why, size_t size, struct error *err)
{
    const char *state = text_of(instance, "task_state");
    const struct clean_item *stuck = find_state_of(&look->list, text_of(instance, "uuid"));
    int r = check_attached(look, err);
    if (r == 0)
        r = clean_look_check_journal(look, text_of(image, "id"), err);
    if (r < 0)
        return r;
    if (is_agents(image)) {
        (void)snprintf(why, size, "an agent that has ended took it; the journal does not know it");
        return 0;
    }
    if (state[0] != '\0' && !(stuck && stuck->verdict == CLEAN_NOBODYS))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "its server has task state %s", state);
    return check_nova(look, image, "created_at", why, size, err);
}

static void find_image(struct clean_look *look, const struct clean_cloud *cloud,
                       const json_t *image)
{
    struct error err = ERROR_INIT;
    char why[256];
    const json_t *instance = find_instance(cloud, text_of(image, "instance_uuid"));
    struct clean_item *item =
        instance ? clean_list_add(&look->list, CLEAN_IMAGE, text_of(image, "id")) : NULL;
    if (!item)
        return;
    (void)snprintf(item->instance, sizeof(item->instance), "%s", text_of(instance, "uuid"));
    if (judge_image(look, image, instance, why, sizeof(why), &err) < 0)
        clean_list_judge(item, CLEAN_LEFT, "%s", err.message);
    else
        clean_list_judge(item, CLEAN_NOBODYS, "%s: %s", text_of(image, "status"), why);
}

void clean_nova_find(struct clean_look *look)
{
    struct clean_cloud cloud;
    struct error err = ERROR_INIT;
    size_t i;
    json_t *object;
    int r = clean_cloud_open(look->agent, &cloud, &err);
    if (r == 0) {
        r = clean_cloud_read(look->agent, &cloud, &err);
        json_array_foreach (cloud.instances, i, object) {
            if (r == 0)
                find_state(look, &cloud, object);
        }
        json_array_foreach (cloud.images, i, object) {
            if (r == 0)
                find_image(look, &cloud, object);
        }
        clean_cloud_done(&cloud);
    }
    if (r < 0)
        clean_list_trouble(&look->list, "images and task states cannot be looked at", &err);
}
