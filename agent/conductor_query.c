/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to nova-conductor about more than the instance. See conductor.h. */
#include <errno.h>
#include <limits.h>

#include "agent/conductor_int.h"
#include "common/json.h"

#define VERSION_SERVICE "1.22"

int conductor_service_version(struct bus *bus, const struct request_context *context,
                              const char *host, unsigned timeout_ms, unsigned *ret_version,
                              struct error *err)
{
    json_t *result = NULL;
    int r = conductor_class_action(bus, context, "Service", "get_by_host_and_binary",
                                   json_pack("{s:s}", "Service", VERSION_SERVICE),
                                   json_pack("[s, s]", host, "nova-compute"), json_object(),
                                   timeout_ms, &result, err);
    if (r < 0)
        return r;
    const json_t *version = json_object_get(json_object_get(result, "nova_object.data"), "version");
    json_int_t number = json_integer_value(version);
    if (json_is_null(result))
        *ret_version = 0;
    else if (json_is_integer(version) && number > 0 && number <= INT_MAX)
        *ret_version = (unsigned)number;
    else
        r = error_set(err, EPROTO, EXC_INTERNAL_ERROR,
                      "conductor answered with a Service that has no version");
    json_decref(result);
    return r;
}

int conductor_share_mappings(struct bus *bus, const struct request_context *context,
                             const char *instance_uuid, json_t **ret_mappings, struct error *err)
{
    json_t *result = NULL;
    int r = conductor_class_action(
        bus, context, "ShareMappingList", "get_by_instance_uuid",
        json_pack("{s:s, s:s}", "ShareMappingList", "1.0", "ShareMapping", "1.2"),
        json_pack("[s]", instance_uuid), json_object(), 0, &result, err);
    if (r < 0)
        return r;
    r = conductor_list_data(result, "ShareMappingList", ret_mappings, err);
    json_decref(result);
    return r;
}
