/* See image_record.h. */
#include "agent/image_record.h"

#include <string.h>

#define METHOD_PROPERTY "snapshot_method"

json_t *image_record_attributes(const struct release *release, const struct instance *instance,
                                const char *image_format, const char *method_note)
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
    /* An instance may have inherited one from the image it was booted from. */
    if (attributes &&
        (method_note[0] != '\0' || instance_image_property(instance, METHOD_PROPERTY)))
        (void)json_object_set_new(attributes, METHOD_PROPERTY, json_string(method_note));
    return attributes;
}

int image_record_update(struct operation *op, const char *image_format, struct error *err)
{
    json_t *attributes = image_record_attributes(op->agent->release, &op->arguments.instance,
                                                 image_format, op->method_note);
    int r = attributes ? glance_image_update(op->agent->glance, op->admin, op->arguments.image_id,
                                             attributes, err)
                       : error_nomem(err);
    json_decref(attributes);
    return r;
}
