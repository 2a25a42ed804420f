/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Instance object of Nova as a request carries it: the fields that are known, kept as JSON.
 *
 * Confined to the thread that works on the request.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/id.h"

struct instance {
    char uuid[ID_UUID_SIZE];
    unsigned minor_version; /* of the object: 2.7 has 7 */
    int progress;           /* as it was read from the request; -1 = None */
    json_t *data;           /* nova_object.data; owned. A field that is absent was not loaded. */
};

/*
 * Reads the primitive of an Instance 2.x (nova.objects.instance). EPROTONOSUPPORT for another
 * object or major version, EINVAL for a missing or malformed uuid. Borrows; the data is copied.
 */
int instance_from_primitive(const json_t *primitive, struct instance *ret_instance,
                            struct error *err);

void instance_done(struct instance *instance);

/* Takes over the fields of `updates` (object, borrowed), as a remoted save returns them. */
int instance_merge(struct instance *instance, json_t *updates, struct error *err);

/* A string field; NULL when it is null or not loaded. Borrowed until the next merge. */
const char *instance_string(const struct instance *instance, const char *field);

/* system_metadata["image_<name>"]: a property of the image the instance was booted from, or NULL.
 */
const char *instance_image_property(const struct instance *instance, const char *name);

/* The same as nova's FlexibleBoolean. Absent is false. */
bool instance_image_flag(const struct instance *instance, const char *name);

/* flavor.extra_specs["<name>"]; NULL when it has none or was not loaded. Borrowed likewise. */
const char *instance_extra_spec(const struct instance *instance, const char *name);

/* Nova's booleans in text (oslo's bool_from_string): 1, t, true, on, y, yes in any case; else
 * false. `text` may be NULL. */
bool instance_text_is_true(const char *text);

/* nova.compute.utils:is_volume_backed_instance, as far as nova-api lets one come here. */
bool instance_is_volume_backed(const struct instance *instance);
