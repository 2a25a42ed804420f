/* The attachment record: how a host reaches a volume. */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "cinder_client/cinder_int.h"
#include "common/json.h"

/* nova.volume.cinder:API.attachment_get */
#define MICROVERSION "volume 3.44"

int cinder_attachment_get(struct cinder *cinder, const struct request_context *context,
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
                         "Cinder's answer is not the record of volume attachment %s",
                         attachment_id);
    }
    *ret_attachment = attachment;
    return 0;
}
