/* SPDX-License-Identifier: Apache-2.0 */
/* Deletes and clears; what time has changed since is not touched. See clean_nova.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/clean_cloud.h"
#include "agent/clean_nova.h"
#include "agent/conductor.h"
#include "glance_client/glance.h"

static int delete_image(const struct clean_look *look, const struct clean_cloud *cloud,
                        const struct clean_item *item, struct error *err)
{
    struct error failure = ERROR_INIT;
    bool waits = false;
    int r = clean_look_check_journal(look, item->what, err);
    if (r == 0)
        r = clean_cloud_waits(look->agent, cloud, item->what, &waits, err);
    if (r < 0 || !waits)
        return r;
    r = glance_image_delete(look->agent->glance, cloud->glance, item->what, &failure);
    if (r == 0 || error_is(&failure, EXC_IMAGE_NOT_FOUND))
        return 0;
    *err = failure;
    return r;
}

/* The server is its tenant's again only when nothing of the snapshot is left in its guest. */
static int check_jobs(const struct clean_list *list, const char *uuid, struct error *err)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == CLEAN_JOB && strcmp(list->items[i].instance, uuid) == 0 &&
            list->items[i].verdict != CLEAN_DONE)
            return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                             "a block job of the snapshot is left in the guest");
    return 0;
}

static int clear_state(const struct clean_look *look, const struct clean_cloud *cloud,
                       const struct clean_item *item, struct error *err)
{
    struct instance instance = {.progress = -1, .data = json_object()};
    (void)snprintf(instance.uuid, sizeof(instance.uuid), "%s", item->instance);
    json_t *changes = json_pack("{s:n}", "task_state");
    json_t *expected = json_pack("[s]", item->what);
    if (item->has_progress)
        (void)json_object_set_new(changes, "progress", json_integer(0));
    int r = check_jobs(&look->list, item->instance, err);
    if (r == 0)
        r = clean_look_check_journal(look, item->instance, err);
    if (r == 0)
        r = instance.data && changes && expected
                ? conductor_instance_save(look->agent->bus, cloud->admin, &instance, changes,
                                          expected, err)
                : error_nomem(err);
    json_decref(changes);
    json_decref(expected);
    instance_done(&instance);
    return r;
}

static void remove_kind(struct clean_look *look, const struct clean_cloud *cloud,
                        enum clean_kind kind)
{
    for (size_t i = 0; i < look->list.count; i++) {
        struct clean_item *item = &look->list.items[i];
        struct error err = ERROR_INIT;
        if (item->kind != kind || item->verdict != CLEAN_NOBODYS)
            continue;
        int r = (kind == CLEAN_IMAGE ? delete_image : clear_state)(look, cloud, item, &err);
        clean_list_conclude(item, r, &err);
    }
}

void clean_nova_remove(struct clean_look *look)
{
    struct clean_cloud cloud;
    struct error err = ERROR_INIT;
    if (clean_cloud_open(look->agent, &cloud, &err) < 0) {
        clean_list_trouble(&look->list, "images and task states cannot be removed", &err);
        return;
    }
    remove_kind(look, &cloud, CLEAN_IMAGE);
    remove_kind(look, &cloud, CLEAN_TASK_STATE);
    clean_cloud_done(&cloud);
}
