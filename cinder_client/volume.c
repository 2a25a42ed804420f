/* SPDX-License-Identifier: Apache-2.0 */
/* A volume. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cinder_client/cinder_int.h"
#include "common/json.h"
#include "common/log.h"

static int read_members(const json_t *object, struct cinder_volume *volume, struct error *err)
{
    const json_t *size = json_object_get(object, "size");
    const char *description = json_string_member(object, "description");
    if (cinder_copy_member(object, "id", volume->id, sizeof(volume->id), err) < 0 ||
        cinder_copy_member(object, "status", volume->status, sizeof(volume->status), err) < 0)
        return -err->errnum;
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "Cinder's volume has no usable 'size'");
    volume->size_gib = json_integer_value(size);
    volume->description = description ? strdup(description) : NULL;
    return description && !volume->description ? error_nomem(err) : 0;
}

/* Takes `object`. */
static int parse_volume(json_t *object, const char *volume_id, struct cinder_volume *ret_volume,
                        struct error *err)
{
    struct cinder_volume volume = {.object = object};
    int r = read_members(object, &volume, err);
    if (r == 0 && strcasecmp(volume.id, volume_id) != 0)
        r = error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "Cinder's answer is not that of volume %s",
                      volume_id);
    if (r < 0) {
        cinder_volume_done(&volume);
        return r;
    }
    log_debug("volume %s has status '%s', %lld GiB", volume_id, volume.status,
              (long long)volume.size_gib);
    *ret_volume = volume;
    return 0;
}

int cinder_volume_get(struct cinder *cinder, const struct request_context *context,
                      const char *volume_id, struct cinder_volume *ret_volume, struct error *err)
{
    char path[16 + ID_UUID_SIZE];
    json_t *object = NULL;
    int r = cinder_check_id(&cinder_kind_volume, volume_id, err);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "/volumes/%s", volume_id);
    const struct cinder_call call = {
        .method = "GET", .path = path, .kind = &cinder_kind_volume, .id = volume_id};
    r = cinder_get_object(cinder, context, &call, "volume", &object, err);
    return r < 0 ? r : parse_volume(object, volume_id, ret_volume, err);
}

void cinder_volume_done(struct cinder_volume *volume)
{
    if (!volume)
        return;
    free(volume->description);
    json_decref(volume->object);
    *volume = (struct cinder_volume){0};
}
