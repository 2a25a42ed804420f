/* SPDX-License-Identifier: Apache-2.0 */
/* See backup.h. nova.compute.manager:_rotate_backups. */
#include "agent/backup.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/instance.h"
#include "amqp/bus.h"
#include "common/json.h"
#include "common/log.h"
#include "glance_client/glance.h"

#define ROTATION_MAX 1000000

int backup_arguments_parse(const json_t *args, struct snapshot_arguments *arguments,
                           struct error *err)
{
    const char *backup_type;
    int r = json_need_string(args, "backup_type", "backup_instance", &backup_type, err);
    if (r < 0)
        return r;
    const json_t *rotation = json_object_get(args, "rotation");
    json_int_t keep = json_integer_value(rotation);
    if (!json_is_integer(rotation) || keep < 0 || keep > ROTATION_MAX)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "argument 'rotation' of backup_instance is no number from 0 to %d",
                         ROTATION_MAX);
    arguments->backup_type = backup_type;
    arguments->rotation = (unsigned)keep;
    return 0;
}

static bool member_is(const json_t *image, const char *key, const char *value)
{
    const char *text = json_string_member(image, key);
    return text && value && strcmp(text, value) == 0;
}

/*
 * Of the server's project, or of the one whose token asked: nova-api gives the image to that one.
 * Others may share images that look alike with them: those are never counted nor deleted.
 */
static bool owner_is_ours(const struct operation *op, const json_t *image)
{
    const char *asking = op->base.request->context->project_id;
    return member_is(image, "owner", instance_string(&op->base.instance, "project_id")) ||
           (asking[0] != '\0' && member_is(image, "owner", asking));
}

static bool is_our_backup(const struct operation *op, const json_t *image)
{
    return member_is(image, "image_type", "backup") &&
           member_is(image, "backup_type", op->arguments.backup_type) &&
           member_is(image, "instance_uuid", op->base.instance.uuid) && owner_is_ours(op, image) &&
           member_is(image, "status", "active");
}

static int list_backups(struct operation *op, json_t **ret_images, struct error *err)
{
    json_t *filters = json_pack("{s:s, s:s, s:s}", "image_type", "backup", "backup_type",
                                op->arguments.backup_type, "instance_uuid", op->base.instance.uuid);
    if (!filters)
        return error_nomem(err);
    int r = glance_image_list(op->base.agent->glance, op->base.request->context, filters,
                              ret_images, err);
    json_decref(filters);
    return r < 0 ? error_prepend(err, "backups cannot be listed for their rotation") : 0;
}

static void delete_backup(struct operation *op, const char *image_id)
{
    struct error err = ERROR_INIT;
    log_info("Deleting backup %s: %u are kept", image_id, op->arguments.rotation);
    int r = glance_image_delete(op->base.agent->glance, op->base.request->context, image_id, &err);
    if (r < 0)
        log_warning("Failed to delete backup %s: %s", image_id, err.message);
}

int backup_rotate(struct operation *op, struct error *err)
{
    json_t *images = NULL;
    size_t i, ours = 0;
    json_t *image;
    int r = list_backups(op, &images, err);
    if (r < 0)
        return r;
    json_array_foreach (images, i, image) { /* newest first */
        if (is_our_backup(op, image))
            ours++;
    }
    log_debug("%zu backups of type %s, %u are kept", ours, op->arguments.backup_type,
              op->arguments.rotation);
    for (i = json_array_size(images); i-- > 0 && ours > op->arguments.rotation;) {
        image = json_array_get(images, i);
        if (!is_our_backup(op, image))
            continue;
        delete_backup(op, json_string_member(image, "id"));
        ours--;
    }
    json_decref(images);
    return 0;
}
