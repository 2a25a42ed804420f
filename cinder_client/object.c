/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what Cinder answers. */
#include <errno.h>
#include <string.h>

#include "cinder_client/cinder_int.h"
#include "common/json.h"

int cinder_answer_object(const struct http_response *response, const char *key, json_t **ret_object,
                         struct error *err)
{
    json_t *answer = NULL;
    int r = http_response_json(response, "Cinder's answer", &answer, err);
    if (r < 0)
        return r;
    json_t *object = json_incref(json_object_get(answer, key));
    json_decref(answer);
    if (!json_is_object(object)) {
        json_decref(object);
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "Cinder's answer has no object '%s'",
                         key);
    }
    *ret_object = object;
    return 0;
}

int cinder_get_object(const struct cinder *cinder, const struct request_context *context,
                      const struct cinder_call *call, const char *key, json_t **ret_object,
                      struct error *err)
{
    struct http_response response;
    bool maybe_done;
    int r = cinder_call(cinder, context, call, &response, &maybe_done, err);
    if (r < 0)
        return r;
    r = cinder_answer_object(&response, key, ret_object, err);
    http_response_done(&response);
    return r;
}

int cinder_copy_member(const json_t *object, const char *key, char *buffer, size_t size,
                       struct error *err)
{
    const char *text = json_string_member(object, key);
    if (!text || strlen(text) >= size)
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "Cinder's answer has no usable '%s'",
                         key);
    memcpy(buffer, text, strlen(text) + 1);
    return 0;
}
