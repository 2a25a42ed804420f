/* SPDX-License-Identifier: Apache-2.0 */
/* See instance.h. */
#include "agent/instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/json.h"

static int check_type(const json_t *primitive, struct error *err)
{
    const char *name = json_string_member(primitive, "nova_object.name");
    const char *version = json_string_member(primitive, "nova_object.version");
    if (!name || strcmp(name, "Instance") != 0)
        return error_set(err, EPROTONOSUPPORT, EXC_INTERNAL_ERROR,
                         "argument 'instance' is %s%s%s, not an Instance object",
                         name ? "a '" : "no nova object", name ? name : "", name ? "'" : "");
    if (!version || strncmp(version, "2.", 2) != 0)
        return error_set(err, EPROTONOSUPPORT, EXC_INTERNAL_ERROR,
                         "Instance object has version '%s', only 2.x is understood",
                         version ? version : "(none)");
    return 0;
}

int instance_from_primitive(const json_t *primitive, struct instance *ret_instance,
                            struct error *err)
{
    int r = check_type(primitive, err);
    if (r < 0)
        return r;
    json_t *data;
    r = json_need_object(primitive, "nova_object.data", "Instance object", &data, err);
    if (r < 0)
        return r;
    const char *uuid = json_string_member(data, "uuid");
    if (!id_is_uuid(uuid))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "Instance object has no valid uuid");
    const char *version = json_string_member(primitive, "nova_object.version"); /* "2.x" */
    const json_t *progress = json_object_get(data, "progress");
    struct instance instance = {
        .minor_version = version ? (unsigned)strtoul(version + 2, NULL, 10) : 0,
        .progress = json_is_integer(progress) ? (int)json_integer_value(progress) : -1,
        .data = json_copy(data),
    };
    if (!instance.data)
        return error_nomem(err);
    (void)snprintf(instance.uuid, sizeof(instance.uuid), "%s", uuid);
    *ret_instance = instance;
    return 0;
}

void instance_done(struct instance *instance)
{
    json_decref(instance->data);
    instance->data = NULL;
}

int instance_merge(struct instance *instance, json_t *updates, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach (updates, key, value) {
        if (strcmp(key, "obj_what_changed") == 0 || strcmp(key, "uuid") == 0)
            continue;
        if (json_object_set(instance->data, key, value) < 0)
            return error_nomem(err);
    }
    return 0;
}

const char *instance_string(const struct instance *instance, const char *field)
{
    return json_string_member(instance->data, field);
}

const char *instance_image_property(const struct instance *instance, const char *name)
{
    char key[256];
    int n = snprintf(key, sizeof(key), "image_%s", name);
    if (n < 0 || (size_t)n >= sizeof(key))
        return NULL;
    return json_string_member(json_object_get(instance->data, "system_metadata"), key);
}

bool instance_image_flag(const struct instance *instance, const char *name)
{
    return instance_text_is_true(instance_image_property(instance, name));
}

const char *instance_extra_spec(const struct instance *instance, const char *name)
{
    const json_t *flavor = json_object_get(instance->data, "flavor");
    const json_t *data = json_object_get(flavor, "nova_object.data");
    return json_string_member(json_object_get(data, "extra_specs"), name);
}

bool instance_text_is_true(const char *text)
{
    static const char *const yes[] = {"1", "t", "true", "on", "y", "yes"};
    for (size_t i = 0; text && i < ARRAY_SIZE(yes); i++)
        if (strcasecmp(text, yes[i]) == 0)
            return true;
    return false;
}

bool instance_is_volume_backed(const struct instance *instance)
{
    const char *image_ref = instance_string(instance, "image_ref");
    return !image_ref || image_ref[0] == '\0';
}
