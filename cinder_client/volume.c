/* SPDX-License-Identifier: Apache-2.0 */
/* The volume record. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cinder_client/cinder_int.h"
#include "common/json.h"

/* Takes `record`. */
static int parse_volume(json_t *record, const char *volume_id, struct cinder_volume *ret_volume,
                        struct error *err)
{
    struct cinder_volume volume = {.record = record};
    const json_t *size = json_object_get(record, "size");
    const char *description = json_string_member(record, "description");
    int r = cinder_copy_member(record, "id", volume.id, sizeof(volume.id), err);
    if (r == 0)
        r = cinder_copy_member(record, "status", volume.status, sizeof(volume.status), err);
    if (r == 0 && (strcasecmp(volume.id, volume_id) != 0 || !json_is_integer(size) ||
                   json_integer_value(size) < 0))
        r = error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                      "Cinder's answer is not the record of volume %s", volume_id);
    volume.size_gib = json_integer_value(size);
    if (r == 0 && description) {
        volume.description = strdup(description);
        r = volume.description ? 0 : error_nomem(err);
    }
    if (r < 0) {
        cinder_volume_done(&volume);
        return r;
    }
    *ret_volume = volume;
    return 0;
}

int cinder_volume_get(struct cinder *cinder, const struct request_context *context,
                      const char *volume_id, struct cinder_volume *ret_volume, struct error *err)
{
    char path[16 + ID_UUID_SIZE];
    json_t *record = NULL;
    int r = cinder_check_id(&cinder_kind_volume, volume_id, err);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "/volumes/%s", volume_id);
    const struct cinder_call call = {
        .method = "GET", .path = path, .kind = &cinder_kind_volume, .id = volume_id};
    r = cinder_get_object(cinder, context, &call, "volume", &record, err);
    return r < 0 ? r : parse_volume(record, volume_id, ret_volume, err);
}

void cinder_volume_done(struct cinder_volume *volume)
{
    if (!volume)
        return;
    free(volume->description);
    json_decref(volume->record);
    *volume = (struct cinder_volume){0};
}
