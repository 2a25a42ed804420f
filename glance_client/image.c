/* SPDX-License-Identifier: Apache-2.0 */
/* An image: reading and deleting it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "glance_client/glance_int.h"

/* Absent and null are the same; any other type is not what Glance sends. */
static int copy_record_member(const json_t *object, const char *key, char **ret_copy,
                              struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                         "Glance's image has a '%s' that is no string", key);
    *ret_copy = strdup(json_string_value(value));
    return *ret_copy ? 0 : error_nomem(err);
}

static int copy_size(const json_t *object, int64_t *ret_size_bytes, struct error *err)
{
    const json_t *value = json_object_get(object, "size");
    *ret_size_bytes = -1;
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                         "Glance's image has a 'size' that is no size");
    *ret_size_bytes = json_integer_value(value);
    return 0;
}

/* Takes `object`. */
static int parse_image(json_t *object, const char *image_id, struct glance_image *ret_image,
                       struct error *err)
{
    struct glance_image image = {.object = object};
    const struct {
        const char *key;
        char **copy;
    } members[] = {
        {"id", &image.id},
        {"name", &image.name},
        {"status", &image.status},
        {"disk_format", &image.disk_format},
        {"container_format", &image.container_format},
        {"os_hash_algo", &image.os_hash_algo},
        {"os_hash_value", &image.os_hash_value},
    };
    int r = copy_size(object, &image.size_bytes, err);
    for (size_t i = 0; i < ARRAY_SIZE(members) && r == 0; i++)
        r = copy_record_member(object, members[i].key, members[i].copy, err);
    if (r == 0 && (!image.id || strcasecmp(image.id, image_id) != 0 || !image.status))
        r = error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "Glance's answer is not that of image %s",
                      image_id);
    if (r < 0) {
        glance_image_done(&image);
        return r;
    }
    log_debug("image %s has status '%s', size %lld (-1: none yet)", image_id, image.status,
              (long long)image.size_bytes);
    *ret_image = image;
    return 0;
}

/* Takes the answer. */
static int read_image(struct http_response *response, const char *image_id,
                      struct glance_image *ret_image, struct error *err)
{
    json_t *object = NULL;
    int r = http_response_json(response, "Glance's answer", &object, err);
    http_response_done(response);
    return r < 0 ? r : parse_image(object, image_id, ret_image, err);
}

int glance_image_get(struct glance *glance, const struct request_context *context,
                     const char *image_id, struct glance_image *ret_image, struct error *err)
{
    const struct glance_call call = {.method = "GET", .image_id = image_id, .suffix = ""};
    struct http_response response;
    int r = glance_check_image_id(image_id, err);
    if (r < 0)
        return r;
    r = glance_call(glance, context, &call, &response, err);
    return r < 0 ? r : read_image(&response, image_id, ret_image, err);
}

int glance_image_peek(struct glance *glance, const struct request_context *context,
                      const char *image_id, unsigned timeout_ms, struct glance_image *ret_image,
                      struct error *err)
{
    const struct glance_call call = {
        .method = "GET", .image_id = image_id, .suffix = "", .total_ms = timeout_ms};
    struct http_response response;
    enum http_failure failure;
    int r = glance_check_image_id(image_id, err);
    if (r < 0)
        return r;
    r = glance_send(glance, context, &call, &response, &failure, err);
    if (r < 0)
        return glance_no_answer(&call, failure, err);
    if (response.status / 100 == 2)
        return read_image(&response, image_id, ret_image, err);
    r = glance_refused(&call, &response, err);
    http_response_done(&response);
    return r;
}

void glance_image_done(struct glance_image *image)
{
    if (!image)
        return;
    free(image->id);
    free(image->name);
    free(image->status);
    free(image->disk_format);
    free(image->container_format);
    free(image->os_hash_algo);
    free(image->os_hash_value);
    json_decref(image->object);
    *image = (struct glance_image){0};
}

int glance_image_delete(struct glance *glance, const struct request_context *context,
                        const char *image_id, struct error *err)
{
    const struct glance_call call = {.method = "DELETE", .image_id = image_id, .suffix = ""};
    struct http_response response;
    int r = glance_check_image_id(image_id, err);
    if (r < 0)
        return r;
    r = glance_call(glance, context, &call, &response, err);
    if (r < 0)
        return r;
    http_response_done(&response);
    log_debug("image %s is deleted", image_id);
    return 0;
}
