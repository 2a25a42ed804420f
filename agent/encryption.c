/* SPDX-License-Identifier: Apache-2.0 */
/* See encryption.h. */
#include "agent/encryption.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"

/* nova.virt.hardware:get_ephemeral_encryption_constraint */
static const char *reason_in_image_or_flavor(const struct instance *instance)
{
    const char *disk_format = instance_image_property(instance, "disk_format");
    if (instance_text_is_true(instance_extra_spec(instance, "hw:ephemeral_encryption")))
        return "its flavor has hw:ephemeral_encryption";
    if (instance_image_flag(instance, "hw_ephemeral_encryption"))
        return "its image has hw_ephemeral_encryption";
    if (instance_image_property(instance, "hw_ephemeral_encryption_secret_uuid"))
        return "its image has hw_ephemeral_encryption_secret_uuid";
    if (disk_format && strcmp(disk_format, "luks") == 0)
        return "its image is in LUKS format";
    return NULL;
}

/* nova.virt.libvirt.imagebackend:Lvm: the key of an instance tells whether dm-crypt is used. */
static const char *reason_in_key(const struct conf *conf, const struct instance *instance)
{
    const char *key = instance_string(instance, "ephemeral_key_uuid");
    if (key && key[0])
        return "it has an ephemeral_key_uuid";
    if (conf->ephemeral_storage_encryption.enabled &&
        !json_object_get(instance->data, "ephemeral_key_uuid"))
        return "[ephemeral_storage_encryption]enabled is set, and its ephemeral_key_uuid is not "
               "known";
    return NULL;
}

int encryption_check(const struct conf *conf, const struct instance *instance, struct error *err)
{
    const char *reason = reason_in_image_or_flavor(instance);
    if (!reason)
        reason = reason_in_key(conf, instance);
    if (!reason)
        return 0;
    return error_set(err, ENOTSUP, EXC_INTERNAL_ERROR, "the disks of instance %s are encrypted: %s",
                     instance->uuid, reason);
}
