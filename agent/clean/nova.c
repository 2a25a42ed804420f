/* SPDX-License-Identifier: Apache-2.0 */
/* See nova.h. */
#include "agent/clean/nova.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/clean/cloud.h"
#include "agent/image_provenance.h"
#include "agent/task_states.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/json.h"

#define PEEK_MS 10000

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_member(object, key);
    return text ? text : "";
}

/* Task states */

static bool is_of_snapshot(const char *state)
{
    static const char *const states[] = {IMAGE_SNAPSHOT_PENDING, IMAGE_SNAPSHOT,
                                         IMAGE_PENDING_UPLOAD, IMAGE_UPLOADING, IMAGE_BACKUP};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        if (strcmp(state, states[i]) == 0)
            return true;
    return false;
}

/* nova-compute's next start clears those of them that it takes for a dead one's. */
static int judge_state(const struct clean_look *look, const char *state, const char *uuid,
                       struct error *err)
{
    int r = clean_look_check_journal(look, uuid, err);
    if (r < 0)
        return r;
    return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                     "nova-compute may be at it, or its request may wait; if nobody is: %s"
                     "openstack server set --state active %s, where it is active",
                     strcmp(state, IMAGE_BACKUP) == 0 ? "" : "restart nova-compute, or ", uuid);
}

static void find_state(struct clean_look *look, const json_t *instance)
{
    struct error err = ERROR_INIT;
    const char *state = text_of(instance, "task_state");
    struct clean_item *item =
        is_of_snapshot(state) ? clean_list_add(&look->list, CLEAN_TASK_STATE, state) : NULL;
    if (!item)
        return;
    (void)snprintf(item->instance, sizeof(item->instance), "%s", text_of(instance, "uuid"));
    (void)judge_state(look, state, item->instance, &err);
    clean_list_judge(item, CLEAN_LEFT, "%s", err.message);
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

/*
 * The journal knows of an image before it is marked, and until it is active or gone: it has to be
 * looked at before the record. Nobody else fills one that is marked.
 */
static int judge_image(const struct clean_look *look, const json_t *image, struct error *err)
{
    const char *id = text_of(image, "id"), *state = text_of(image, "status");
    if (!clean_cloud_waits(state))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "it is %s by now", state);
    if (host_key_is_mark(&look->agent->key, id, text_of(image, IMAGE_PROVENANCE_MARK)))
        return 0;
    return error_set(
        err, EBUSY, EXC_INTERNAL_ERROR,
        "%s since %s: nova-compute may be at it, or whoever has made it; if nobody is: "
        "openstack image delete %s",
        state, text_of(image, "created_at"), id);
}

static void find_image(struct clean_look *look, const struct clean_cloud *cloud,
                       const json_t *image)
{
    struct error err = ERROR_INIT;
    const json_t *instance = find_instance(cloud, text_of(image, "instance_uuid"));
    struct clean_item *item =
        instance ? clean_list_add(&look->list, CLEAN_IMAGE, text_of(image, "id")) : NULL;
    if (!item)
        return;
    (void)snprintf(item->instance, sizeof(item->instance), "%s", text_of(instance, "uuid"));
    int r = clean_look_check_journal(look, item->what, &err);
    if (r == 0)
        r = judge_image(look, image, &err);
    if (r < 0)
        clean_list_judge(item, CLEAN_LEFT, "%s", err.message);
    else
        clean_list_judge(item, CLEAN_NOBODYS,
                         "%s: this agent made it, and its journal does not know it any more",
                         text_of(image, "status"));
}

static int find_all(struct clean_look *look, struct clean_cloud *cloud, struct error *err)
{
    size_t i;
    json_t *object;
    struct error partial = ERROR_INIT;
    int r = clean_cloud_read(look->agent, cloud, err);
    json_array_foreach (cloud->instances, i, object) {
        if (r == 0 && (r = cancel_check(err)) == 0)
            find_state(look, object);
    }
    json_array_foreach (cloud->images, i, object) {
        if (r == 0 && (r = cancel_check(err)) == 0)
            find_image(look, cloud, object);
    }
    if (r == 0 && clean_cloud_check_sees_all(cloud, &partial) < 0)
        clean_list_trouble(&look->list, "there may be more images", &partial);
    return r;
}

void clean_nova_find(struct clean_look *look)
{
    struct clean_cloud cloud;
    struct error err = ERROR_INIT;
    int r = clean_cloud_open(look->agent, &cloud, &err);
    if (r == 0) {
        r = find_all(look, &cloud, &err);
        clean_cloud_done(&cloud);
    }
    if (r < 0)
        clean_list_trouble(&look->list, "images and task states cannot be looked at", &err);
}

/* One that has gone meanwhile needs nothing. */
static int delete_image(const struct clean_look *look, const struct clean_cloud *cloud,
                        const struct clean_item *item, struct error *err)
{
    const char *id = item->what;
    struct glance_image image = {0};
    struct instance_turn *turn = NULL;
    struct error failure = ERROR_INIT;
    int r = clean_look_take_turn(look, item->instance, &turn, &failure);
    if (r == 0)
        r = clean_look_check_journal(look, id, &failure);
    if (r == 0)
        r = glance_image_peek(look->agent->glance, cloud->glance, id, PEEK_MS, &image, &failure);
    if (r == 0)
        r = judge_image(look, image.object, &failure);
    if (r == 0)
        r = glance_image_delete(look->agent->glance, cloud->glance, id, &failure);
    glance_image_done(&image);
    instance_turn_free(turn);
    if (r == 0 || error_is(&failure, EXC_IMAGE_NOT_FOUND))
        return 0;
    *err = failure;
    return r;
}

static void delete_images(struct clean_look *look, const struct clean_cloud *cloud)
{
    for (size_t i = 0; i < look->list.count; i++) {
        struct clean_item *item = &look->list.items[i];
        struct error err = ERROR_INIT;
        if (item->kind != CLEAN_IMAGE || item->verdict != CLEAN_NOBODYS)
            continue;
        int r = cancel_check(&err);
        if (r == 0)
            r = delete_image(look, cloud, item, &err);
        clean_list_conclude(item, r, &err);
    }
}

void clean_nova_remove(struct clean_look *look)
{
    struct clean_cloud cloud;
    struct error err = ERROR_INIT;
    if (clean_cloud_open(look->agent, &cloud, &err) < 0) {
        clean_list_trouble(&look->list, "images cannot be removed", &err);
        return;
    }
    delete_images(look, &cloud);
    clean_cloud_done(&cloud);
}
