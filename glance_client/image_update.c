/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting attributes with a json-patch. Values are encoded as nova.image.glance:_convert_to_v2
 * does; the patch is that of Glance's API v2.1 (media type openstack-images-v2.1-json-patch).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "glance_client/glance_int.h"

static bool is_base_field(const char *name)
{
    static const char *const names[] = {
        "name", "disk_format", "container_format", "min_disk", "min_ram", "visibility", NULL};
    return glance_is_one_of(name, names);
}

/* Glance's schema wants UUIDs in these two, so "no kernel" can only be said by leaving it out. */
static bool is_left_out(const char *name, const json_t *value)
{
    static const char *const names[] = {"kernel_id", "ramdisk_id", NULL};
    const char *text = json_string_value(value);
    return json_is_null(value) || (text && glance_is_one_of(name, names) &&
                                   (text[0] == '\0' || strcasecmp(text, "none") == 0));
}

/* The shortest text that reads back as the same number, as Python's repr(). */
static json_t *real_text(const json_t *value)
{
    for (size_t precision = 1; precision <= 17; precision++) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(precision));
        json_t *string = text ? json_string(text) : NULL;
        double back = text ? strtod(text, NULL) : 0;
        double wanted = json_real_value(value);
        free(text);
        if (!string || memcmp(&back, &wanted, sizeof(back)) == 0)
            return string;
        json_decref(string);
    }
    return NULL;
}

static int encode_integer(const char *name, json_t *value, json_t **ret_value, struct error *err)
{
    const char *text = json_string_value(value);
    char *end = NULL;
    errno = 0;
    long long number = text ? strtoll(text, &end, 10) : json_integer_value(value);
    if (!(json_is_integer(value) || (text && *text != '\0' && *end == '\0' && errno == 0)))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "image attribute '%s' is no integer",
                         name);
    *ret_value = json_integer(number);
    return *ret_value ? 0 : error_nomem(err);
}

/* Returns owned. */
static int encode_value(const char *name, json_t *value, json_t **ret_value, struct error *err)
{
    static const char *const integers[] = {"min_disk", "min_ram", NULL};
    if (glance_is_one_of(name, integers))
        return encode_integer(name, value, ret_value, err);
    if (json_is_array(value) || json_is_object(value))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "image attribute '%s' is an array or an object", name);
    if (json_is_string(value))
        *ret_value = json_incref(value);
    else if (json_is_boolean(value))
        *ret_value = json_string(json_is_true(value) ? "True" : "False");
    else if (json_is_integer(value))
        *ret_value = json_sprintf("%lld", (long long)json_integer_value(value));
    else
        *ret_value = real_text(value);
    return *ret_value ? 0 : error_nomem(err);
}

/* "/" and the name as a JSON pointer (RFC 6901). Returns owned, NULL = no memory. */
static char *make_path(const char *name)
{
    char *path = malloc(2 * strlen(name) + 2);
    if (!path)
        return NULL;
    char *out = path;
    *out++ = '/';
    for (const char *c = name; *c != '\0'; c++) {
        bool special = *c == '~' || *c == '/';
        if (special)
            *out++ = '~';
        *out++ = special ? (*c == '~' ? '0' : '1') : *c;
    }
    *out = '\0';
    return path;
}

static int add_operation(json_t *patch, const char *name, json_t *value, struct error *err)
{
    json_t *encoded = NULL;
    int r = encode_value(name, value, &encoded, err);
    if (r < 0)
        return r;
    char *path = make_path(name);
    /* In v2.1 "add" sets a property whether it is there or not. */
    json_t *operation = json_pack("{s:s, s:s, s:o}", "op", is_base_field(name) ? "replace" : "add",
                                  "path", path ? path : "", "value", encoded);
    bool ok = path != NULL;
    free(path);
    if (json_array_append_new(patch, operation) < 0 || !ok)
        return error_nomem(err);
    return 0;
}

static int make_patch(const json_t *attributes, json_t **ret_patch, struct error *err)
{
    json_t *patch = json_array();
    const char *name;
    json_t *value;
    int r = patch ? 0 : error_nomem(err);
    json_object_foreach ((json_t *)(uintptr_t)attributes, name, value) {
        if (r == 0 && !is_left_out(name, value))
            r = add_operation(patch, name, value, err);
    }
    if (r < 0) {
        json_decref(patch);
        return r;
    }
    *ret_patch = patch;
    return 0;
}

static int send_patch(struct glance *glance, const struct request_context *context,
                      const char *image_id, const json_t *patch, struct error *err)
{
    cleanup_free char *body = json_dumps(patch, JSON_COMPACT);
    if (!body)
        return error_nomem(err);
    const struct glance_call call = {
        .method = "PATCH",
        .image_id = image_id,
        .suffix = "",
        .content_type = "application/openstack-images-v2.1-json-patch",
        .body = body,
    };
    struct http_response response;
    int r = glance_call(glance, context, &call, &response, err);
    if (r < 0)
        return r;
    http_response_done(&response);
    log_debug("image %s: %zu attributes are set", image_id, json_array_size(patch));
    return 0;
}

int glance_image_update(struct glance *glance, const struct request_context *context,
                        const char *image_id, const json_t *attributes, struct error *err)
{
    json_t *patch = NULL;
    int r = glance_check_image_id(image_id, err);
    if (r < 0)
        return r;
    r = make_patch(attributes, &patch, err);
    if (r == 0 && json_array_size(patch) > 0)
        r = send_patch(glance, context, image_id, patch, err);
    json_decref(patch);
    return r;
}
