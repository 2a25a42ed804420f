/* SPDX-License-Identifier: Apache-2.0 */
/* See notification.h. */
#include "agent/notification.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"

static json_t *field_of(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

/* A copied field; null when it was not loaded. Steals nothing. */
static void copy_as(json_t *to, const char *name, const json_t *from, const char *field)
{
    json_t *value = field_of(from, field);
    (void)json_object_set_new(to, name, value ? json_incref(value) : json_null());
}

struct rename {
    const char *name;  /* in the payload */
    const char *field; /* in the object it is made from */
};

static void copy_all(json_t *to, const json_t *from, const struct rename *renames, size_t n)
{
    for (size_t i = 0; i < n; i++)
        copy_as(to, renames[i].name, from, renames[i].field);
}

/* str(datetime): "2026-11-22T23:47:50Z" -> "2026-11-22 23:47:50+00:00"; null -> "None". */
static json_t *python_str_time(const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text)
        return json_string("None");
    if (strlen(text) != 20)
        return json_string(text);
    return json_sprintf("%.10s %.8s+00:00", text, text + 11);
}

/* null_safe_isotime: "2026-11-22T23:47:50Z" -> "2026-11-22T23:47:50.000000"; null -> "". */
static json_t *iso_time(const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text)
        return json_string("");
    if (strlen(text) != 20)
        return json_string(text);
    return json_sprintf("%.19s.000000", text);
}

static json_t *null_safe_str(const json_t *value)
{
    const char *text = json_string_value(value);
    return json_string(text ? text : "");
}

/* notifications.base.image_meta: the image_* keys of system_metadata without the prefix. */
static json_t *image_meta(json_t *system_metadata)
{
    json_t *meta = json_object();
    const char *key;
    json_t *value;
    json_object_foreach (system_metadata, key, value) {
        if (strncmp(key, "image_", 6) == 0)
            (void)json_object_set(meta, key + 6, value);
    }
    return meta;
}

static void add_legacy_flavor(json_t *payload, const json_t *flavor)
{
    static const struct rename renames[] = {
        {"instance_type", "name"},  {"instance_flavor_id", "flavorid"},
        {"memory_mb", "memory_mb"}, {"vcpus", "vcpus"},
        {"root_gb", "root_gb"},     {"ephemeral_gb", "ephemeral_gb"},
    };
    copy_all(payload, flavor, renames, ARRAY_SIZE(renames));
    (void)json_object_set_new(payload, "disk_gb",
                              json_integer(json_integer_value(field_of(flavor, "root_gb")) +
                                           json_integer_value(field_of(flavor, "ephemeral_gb"))));
}

static void add_legacy_times(json_t *payload, const json_t *data)
{
    static const char *const times[] = {"terminated_at", "deleted_at", "launched_at"};
    (void)json_object_set_new(payload, "created_at", python_str_time(field_of(data, "created_at")));
    for (size_t i = 0; i < ARRAY_SIZE(times); i++)
        (void)json_object_set_new(payload, times[i], iso_time(field_of(data, times[i])));
}

json_t *notification_legacy_usage(const struct instance *instance, const char *image_ref_url)
{
    static const struct rename renames[] = {
        {"tenant_id", "project_id"},
        {"user_id", "user_id"},
        {"instance_id", "uuid"},
        {"display_name", "display_name"},
        {"reservation_id", "reservation_id"},
        {"hostname", "hostname"},
        {"instance_type_id", "instance_type_id"},
        {"architecture", "architecture"},
        {"host", "host"},
        {"node", "node"},
        {"availability_zone", "availability_zone"},
        {"os_type", "os_type"},
        {"kernel_id", "kernel_id"},
        {"ramdisk_id", "ramdisk_id"},
        {"state", "vm_state"},
        {"access_ip_v4", "access_ip_v4"},
        {"access_ip_v6", "access_ip_v6"},
    };
    const json_t *data = instance->data;
    json_t *payload = json_object();
    copy_all(payload, data, renames, ARRAY_SIZE(renames));
    add_legacy_flavor(payload, field_of(field_of(data, "flavor"), "nova_object.data"));
    add_legacy_times(payload, data);
    (void)json_object_set_new(payload, "cell_name", null_safe_str(field_of(data, "cell_name")));
    (void)json_object_set_new(payload, "state_description",
                              null_safe_str(field_of(data, "task_state")));
    json_int_t progress = json_integer_value(field_of(data, "progress"));
    (void)json_object_set_new(payload, "progress",
                              progress != 0 ? json_integer(progress) : json_string(""));
    (void)json_object_set_new(payload, "image_ref_url", json_string(image_ref_url));
    (void)json_object_set_new(payload, "image_meta", image_meta(field_of(data, "system_metadata")));
    json_t *metadata = field_of(data, "metadata");
    (void)json_object_set_new(payload, "metadata",
                              metadata ? json_incref(metadata) : json_object());
    return payload;
}

/* Takes `data`. */
static json_t *versioned_payload(const char *name, const char *version, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace",
                     "nova", "nova_object.version", version, "nova_object.data", data);
}

static json_t *flavor_payload(const json_t *flavor)
{
    static const char *const fields[] = {
        "flavorid",  "memory_mb",   "vcpus",       "root_gb",     "ephemeral_gb",
        "name",      "swap",        "rxtx_factor", "vcpu_weight", "disabled",
        "is_public", "extra_specs", "projects",    "description",
    };
    json_t *data = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        copy_as(data, fields[i], flavor, fields[i]);
    return versioned_payload("FlavorPayload", "1.4", data);
}

static json_t *ip_payload(const json_t *vif, const json_t *ip)
{
    json_t *data = json_object();
    copy_as(data, "label", field_of(vif, "network"), "label");
    copy_as(data, "mac", vif, "address");
    copy_as(data, "meta", vif, "meta");
    copy_as(data, "port_uuid", vif, "id");
    copy_as(data, "version", ip, "version");
    copy_as(data, "address", ip, "address");
    copy_as(data, "device_name", vif, "devname");
    return versioned_payload("IpPayload", "1.0", data);
}

/* The fixed ips of info_cache.network_info, which is JSON text inside the object. */
static json_t *ip_addresses(const struct instance *instance)
{
    json_t *addresses = json_array();
    json_t *network_info = json_parse_member(
        field_of(field_of(instance->data, "info_cache"), "nova_object.data"), "network_info");
    size_t i, j, k;
    json_t *vif, *subnet, *ip;
    json_array_foreach (network_info, i, vif) {
        json_array_foreach (field_of(field_of(vif, "network"), "subnets"), j, subnet) {
            json_array_foreach (field_of(subnet, "ips"), k, ip) {
                (void)json_array_append_new(addresses, ip_payload(vif, ip));
            }
        }
    }
    json_decref(network_info);
    return addresses;
}

static json_t *block_devices_payload(json_t *block_devices)
{
    static const char *const fields[] = {"device_name", "boot_index", "delete_on_termination",
                                         "volume_id", "tag"};
    if (!block_devices)
        return json_null();
    json_t *list = json_array();
    size_t i;
    json_t *mapping;
    json_array_foreach (block_devices, i, mapping) {
        if (!json_is_string(field_of(mapping, "volume_id")))
            continue;
        json_t *data = json_object();
        for (size_t j = 0; j < ARRAY_SIZE(fields); j++)
            copy_as(data, fields[j], mapping, fields[j]);
        (void)json_array_append_new(list, versioned_payload("BlockDevicePayload", "1.0", data));
    }
    return list;
}

static json_t *shares_payload(json_t *shares)
{
    static const struct rename renames[] = {{"share_mapping_uuid", "uuid"},
                                            {"share_id", "share_id"},
                                            {"status", "status"},
                                            {"tag", "tag"}};
    if (!shares)
        return json_null();
    json_t *list = json_array();
    size_t i;
    json_t *mapping;
    json_array_foreach (shares, i, mapping) {
        json_t *data = json_object();
        copy_all(data, mapping, renames, ARRAY_SIZE(renames));
        (void)json_array_append_new(list, versioned_payload("SharePayload", "1.0", data));
    }
    return list;
}

/* nova.objects.fields.InstancePowerState */
static json_t *power_state_name(const json_t *value)
{
    static const char *const names[] = {"pending",  "running", NULL,      "paused",
                                        "shutdown", NULL,      "crashed", "suspended"};
    if (!json_is_integer(value))
        return json_null();
    json_int_t i = json_integer_value(value);
    if (i < 0 || i >= (json_int_t)ARRAY_SIZE(names) || !names[i])
        return json_null();
    return json_string(names[i]);
}

static void add_instance_fields(json_t *payload, const json_t *data)
{
    static const struct rename renames[] = {
        {"uuid", "uuid"},
        {"user_id", "user_id"},
        {"tenant_id", "project_id"},
        {"reservation_id", "reservation_id"},
        {"display_name", "display_name"},
        {"display_description", "display_description"},
        {"host_name", "hostname"},
        {"host", "host"},
        {"node", "node"},
        {"os_type", "os_type"},
        {"architecture", "architecture"},
        {"availability_zone", "availability_zone"},
        {"image_uuid", "image_ref"},
        {"key_name", "key_name"},
        {"kernel_id", "kernel_id"},
        {"ramdisk_id", "ramdisk_id"},
        {"created_at", "created_at"},
        {"launched_at", "launched_at"},
        {"terminated_at", "terminated_at"},
        {"deleted_at", "deleted_at"},
        {"updated_at", "updated_at"},
        {"state", "vm_state"},
        {"task_state", "task_state"},
        {"progress", "progress"},
        {"metadata", "metadata"},
        {"locked", "locked"},
    };
    copy_all(payload, data, renames, ARRAY_SIZE(renames));
    (void)json_object_set_new(payload, "power_state",
                              power_state_name(field_of(data, "power_state")));
    (void)json_object_set_new(
        payload, "auto_disk_config",
        json_string(json_is_true(field_of(data, "auto_disk_config")) ? "AUTO" : "MANUAL"));
    copy_as(payload, "locked_reason", field_of(data, "system_metadata"), "locked_reason");
}

static json_t *string_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

json_t *notification_snapshot_payload(const struct instance *instance,
                                      const struct request_context *context,
                                      const struct snapshot_payload *snapshot)
{
    json_t *data = json_object();
    add_instance_fields(data, instance->data);
    (void)json_object_set_new(
        data, "flavor",
        flavor_payload(field_of(field_of(instance->data, "flavor"), "nova_object.data")));
    (void)json_object_set_new(data, "ip_addresses", ip_addresses(instance));
    (void)json_object_set_new(data, "block_devices",
                              block_devices_payload(snapshot->block_devices));
    bool of_user = context->project_id[0] != '\0' && context->user_id[0] != '\0';
    (void)json_object_set_new(data, "request_id",
                              string_or_null(of_user ? context->request_id : ""));
    (void)json_object_set_new(data, "action_initiator_user", string_or_null(context->user_id));
    (void)json_object_set_new(data, "action_initiator_project",
                              string_or_null(context->project_id));
    (void)json_object_set_new(data, "snapshot_image_id", json_string(snapshot->image_id));
    (void)json_object_set_new(data, "fault", json_null());
    if (snapshot->tells_shares)
        (void)json_object_set_new(data, "shares", shares_payload(snapshot->shares));
    return versioned_payload("InstanceActionSnapshotPayload",
                             snapshot->tells_shares ? "1.10" : "1.9", data);
}

/* nova shows an exception as the repr of a dict. */
static json_t *exception_repr(const struct error *failure)
{
    return json_sprintf("{'kwargs': {'code': %d}, 'message': '%s', 'class': '%s'}", failure->code,
                        failure->message, failure->exc);
}

json_t *notification_legacy_exception(const struct error *failure, json_t *arguments)
{
    return json_pack("{s:o, s:O}", "exception", exception_repr(failure), "args", arguments);
}

json_t *notification_exception_payload(const struct error *failure, const char *method)
{
    char trace[ERROR_EXC_MAX + ERROR_MESSAGE_MAX + 4];
    (void)snprintf(trace, sizeof(trace), "%s: %s\n", failure->exc, failure->message);
    return versioned_payload("ExceptionPayload", "1.1",
                             json_pack("{s:s, s:s, s:s, s:s, s:s}", "module_name",
                                       "nova-snapshot-agent", "function_name", method, "exception",
                                       failure->exc, "exception_message", failure->message,
                                       "traceback", trace));
}
