/* SPDX-License-Identifier: Apache-2.0 */
/* An attachment: how a host reaches a volume. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cinder_client/cinder_int.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

/* nova.volume.cinder:API.attachment_get */
#define MICROVERSION "volume 3.44"

/* Returns owned. */
static int get_attachment(struct cinder *cinder, const struct request_context *context,
                          const char *attachment_id, json_t **ret_attachment, struct error *err)
{
    char path[16 + ID_UUID_SIZE];
    json_t *attachment = NULL;
    int r = cinder_check_id(&cinder_kind_attachment, attachment_id, err);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "/attachments/%s", attachment_id);
    const struct cinder_call call = {
        .method = "GET",
        .path = path,
        .microversion = MICROVERSION,
        .kind = &cinder_kind_attachment,
        .id = attachment_id,
    };
    r = cinder_get_object(cinder, context, &call, "attachment", &attachment, err);
    if (r < 0)
        return r;
    const char *id = json_string_member(attachment, "id");
    if (!id || strcasecmp(id, attachment_id) != 0) {
        json_decref(attachment);
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                         "Cinder's answer is not that of volume attachment %s", attachment_id);
    }
    *ret_attachment = attachment;
    return 0;
}

static bool is_data(const char *key)
{
    return strcmp(key, "attachment_id") != 0 && strcmp(key, "driver_volume_type") != 0;
}

/* Members of the object beside connection_info that nova keeps in it. */
static bool is_kept(const char *key)
{
    static const char *const left_out[] = {"connection_info", "id", "attach_mode"};
    for (size_t i = 0; i < ARRAY_SIZE(left_out); i++)
        if (strcmp(key, left_out[i]) == 0)
            return false;
    return true;
}

static int set_member(json_t *object, const char *key, json_t *value)
{
    return value ? json_object_set(object, key, value)
                 : json_object_set_new(object, key, json_null());
}

/*
 * nova.volume.cinder:_translate_attachment_ref: Cinder gives the data's members without their
 * object. Returns owned, NULL without memory.
 */
static json_t *translate_attachment(json_t *attachment, json_t *info)
{
    const char *key;
    json_t *value;
    json_t *data = json_object();
    json_t *translated = json_pack("{s:O, s:n, s:n, s:n, s:n}", "data", data, "status", "instance",
                                   "attached_at", "detached_at");
    int failures =
        set_member(translated, "driver_volume_type", json_object_get(info, "driver_volume_type"));
    json_object_foreach (info, key, value) {
        if (is_data(key))
            failures |= json_object_set(data, key, value);
    }
    json_object_foreach (attachment, key, value) {
        if (is_kept(key))
            failures |= json_object_set(translated, key, value);
    }
    json_decref(data);
    if (failures == 0)
        return translated;
    json_decref(translated);
    return NULL;
}

int cinder_attachment_connection_info(struct cinder *cinder, const struct request_context *context,
                                      const char *attachment_id, json_t **ret_connection_info,
                                      struct error *err)
{
    json_t *attachment = NULL;
    json_t *info;
    int r = get_attachment(cinder, context, attachment_id, &attachment, err);
    if (r < 0)
        return r;
    r = json_need_object(attachment, "connection_info", "Cinder's attachment", &info, err);
    json_t *translated = r == 0 ? translate_attachment(attachment, info) : NULL;
    json_decref(attachment);
    if (r < 0)
        return r;
    if (!translated)
        return error_nomem(err);
    const char *type = json_string_member(translated, "driver_volume_type");
    log_debug("attachment %s: the volume is reached by '%s'", attachment_id, type ? type : "");
    *ret_connection_info = translated;
    return 0;
}
