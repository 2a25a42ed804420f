/* SPDX-License-Identifier: Apache-2.0 */
/* See image_properties.h. */
#include "agent/image_properties.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/image_provenance.h"
#include "agent/instance.h"
#include "agent/release.h"
#include "conf/conf.h"
#include "glance_client/glance.h"

json_t *image_properties_build(struct release *release, const struct instance *instance,
                               const char *image_format)
{
    const char *base_format = instance_image_property(instance, "disk_format");
    bool ami = base_format && strcmp(base_format, "ami") == 0 &&
               release_has(release, instance, RELEASE_AMI_STAYS_AMI);
    const char *container = instance_image_property(instance, "container_format");
    const char *os_type = instance_string(instance, "os_type");

    json_t *attributes = json_pack(
        "{s:s, s:s, s:s, s:s, s:s?, s:s?, s:s?}", "disk_format", ami ? "ami" : image_format,
        "container_format", container ? container : "bare", "image_location", "snapshot",
        "image_state", "available", "owner_id", instance_string(instance, "project_id"),
        "kernel_id", instance_string(instance, "kernel_id"), "ramdisk_id",
        instance_string(instance, "ramdisk_id"));
    if (attributes && os_type && os_type[0] != '\0')
        (void)json_object_set_new(attributes, "os_type", json_string(os_type));
    return attributes;
}

static int update_image(struct operation *op, json_t *attributes, struct error *err)
{
    int r = attributes ? glance_image_update(op->base.agent->glance, op->base.admin,
                                             op->arguments.image_id, attributes, err)
                       : error_nomem(err);
    json_decref(attributes);
    return r;
}

int image_properties_update(struct operation *op, const char *image_format, struct error *err)
{
    int r = update_image(
        op, image_properties_build(op->base.agent->release, &op->base.instance, image_format), err);
    if (r == 0)
        image_provenance_tell(op);
    return r;
}
