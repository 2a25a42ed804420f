/* SPDX-License-Identifier: Apache-2.0 */
/* See block_device.h. */
#include "agent/block_device.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/json.h"

#define BLOCK_DEVICES_MAX 256

/* bdm_new_fields without connection_info. */
static const char *const fields[] = {
    "source_type",
    "destination_type",
    "guest_format",
    "device_type",
    "disk_bus",
    "boot_index",
    "device_name",
    "delete_on_termination",
    "snapshot_id",
    "volume_id",
    "volume_size",
    "image_id",
    "no_device",
    "tag",
    "volume_type",
    "encrypted",
    "encryption_secret_uuid",
    "encryption_format",
    "encryption_options",
};

bool block_device_is_present(const json_t *mapping)
{
    return !json_is_true(json_object_get(mapping, "no_device"));
}

const char *block_device_volume_id(const json_t *mapping)
{
    const char *destination = json_string_member(mapping, "destination_type");
    bool is_volume = destination && strcmp(destination, "volume") == 0;
    return is_volume ? json_string_member(mapping, "volume_id") : NULL;
}

static int check_mapping(const json_t *mapping, struct error *err)
{
    const char *source_type;
    int r = json_need_string(mapping, "source_type", "a block device mapping", &source_type, err);
    if (r < 0 || !block_device_is_present(mapping))
        return r;
    const char *destination = json_string_member(mapping, "destination_type");
    if (destination && strcmp(destination, "volume") == 0 &&
        !id_is_uuid(json_string_member(mapping, "volume_id")))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "a block device mapping of a volume has no valid volume_id");
    return 0;
}

int block_devices_check(const json_t *mappings, struct error *err)
{
    size_t i;
    json_t *mapping;
    if (json_array_size(mappings) > BLOCK_DEVICES_MAX)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "more than %d block device mappings",
                         BLOCK_DEVICES_MAX);
    json_array_foreach (mappings, i, mapping) {
        int r = check_mapping(mapping, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_field(json_t *to, const char *field, const json_t *from)
{
    json_t *value = json_object_get(from, field);
    return json_object_set_new(to, field, value ? json_incref(value) : json_null());
}

/* All fields, null but for delete_on_termination, as BlockDeviceDict has them by default. */
static json_t *blank_mapping(void)
{
    json_t *mapping = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        (void)json_object_set_new(mapping, fields[i], json_null());
    (void)json_object_set_new(mapping, "delete_on_termination", json_false());
    return mapping;
}

static json_t *mapping_or_null(json_t *mapping, int failures)
{
    if (mapping && failures == 0)
        return mapping;
    json_decref(mapping);
    return NULL;
}

json_t *block_device_from_snapshot(const char *snapshot_id, const json_t *mapping)
{
    static const char *const copied[] = {"disk_bus",    "device_type",
                                         "boot_index",  "delete_on_termination",
                                         "volume_size", "device_name"};
    json_t *result = blank_mapping();
    int failures = json_object_set_new(result, "source_type", json_string("snapshot"));
    failures |= json_object_set_new(result, "destination_type", json_string("volume"));
    failures |= json_object_set_new(result, "snapshot_id", json_string(snapshot_id));
    for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
        failures |= copy_field(result, copied[i], mapping);
    return mapping_or_null(result, failures);
}

json_t *block_device_for_image(const json_t *mapping)
{
    json_t *result = blank_mapping();
    int failures = 0;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        failures |= copy_field(result, fields[i], mapping);
    return mapping_or_null(result, failures);
}
