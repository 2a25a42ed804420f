/* SPDX-License-Identifier: Apache-2.0 */
/* What is attached to an instance, as nova-conductor keeps it. See conductor.h. */
#include <stdlib.h>

#include "agent/conductor_int.h"
#include "common/json.h"

#define VERSION_MAPPING "1.21"
#define VERSION_MAPPING_LIST "1.18"
#define VERSION_SHARE "1.2"
#define VERSION_SHARE_LIST "1.0"

int conductor_mapping_list(struct bus *bus, const struct request_context *context,
                           const char *instance_uuid, json_t **ret_mappings, struct error *err)
{
    json_t *result = NULL;
    const struct conductor_action action = {
        .objname = "BlockDeviceMappingList",
        .objmethod = "get_by_instance_uuid",
        .versions = json_pack("{s:s, s:s}", "BlockDeviceMappingList", VERSION_MAPPING_LIST,
                              "BlockDeviceMapping", VERSION_MAPPING),
        .args = json_pack("[s]", instance_uuid),
        .kwargs = json_object(),
    };
    int r = conductor_class_action(bus, context, &action, &result, err);
    if (r < 0)
        return r;
    r = conductor_list_data(result, "BlockDeviceMappingList", 1, ret_mappings, err);
    json_decref(result);
    return r;
}

int conductor_mapping_of_volume(struct bus *bus, const struct request_context *context,
                                const char *instance_uuid, const char *volume_id,
                                json_t **ret_mapping, struct error *err)
{
    json_t *result = NULL;
    json_t *data;
    const struct conductor_action action = {
        .objname = "BlockDeviceMapping",
        .objmethod = "get_by_volume_and_instance",
        .versions = json_pack("{s:s}", "BlockDeviceMapping", VERSION_MAPPING),
        .args = json_pack("[s, s]", volume_id, instance_uuid),
        .kwargs = json_object(),
    };
    int r = conductor_class_action(bus, context, &action, &result, err);
    if (r < 0)
        return r;
    r = json_need_object(result, "nova_object.data", "BlockDeviceMapping of the conductor", &data,
                         err);
    if (r == 0)
        *ret_mapping = json_incref(data);
    json_decref(result);
    return r;
}

int conductor_mapping_save_connection_info(struct bus *bus, const struct request_context *context,
                                           json_t *mapping, const json_t *connection_info,
                                           struct error *err)
{
    json_t *data = json_copy(mapping);
    char *text = json_dumps(connection_info, 0);
    if (!data || !text || json_object_set_new(data, "connection_info", json_string(text)) < 0) {
        json_decref(data);
        free(text);
        return error_nomem(err);
    }
    free(text);
    const struct conductor_action save = {.objmethod = "save", .kwargs = json_object()};
    return conductor_object_action(bus, context,
                                   conductor_object_primitive("BlockDeviceMapping", VERSION_MAPPING,
                                                              data,
                                                              json_pack("[s]", "connection_info")),
                                   &save, NULL, err);
}

int conductor_mapping_list_shares(struct bus *bus, const struct request_context *context,
                                  const char *instance_uuid, json_t **ret_mappings,
                                  struct error *err)
{
    json_t *result = NULL;
    const struct conductor_action action = {
        .objname = "ShareMappingList",
        .objmethod = "get_by_instance_uuid",
        .versions = json_pack("{s:s, s:s}", "ShareMappingList", VERSION_SHARE_LIST, "ShareMapping",
                              VERSION_SHARE),
        .args = json_pack("[s]", instance_uuid),
        .kwargs = json_object(),
    };
    int r = conductor_class_action(bus, context, &action, &result, err);
    if (r < 0)
        return r;
    r = conductor_list_data(result, "ShareMappingList", 1, ret_mappings, err);
    json_decref(result);
    return r;
}
