/* SPDX-License-Identifier: Apache-2.0 */
/* Where Glance is: nova.image.glance:get_api_servers. */
#include <stdint.h>
#include <string.h>

#include "common/catalog.h"
#include "common/clock.h"
#include "glance_client/glance_int.h"

int glance_endpoint(struct glance *glance, const struct request_context *context, char **ret_url,
                    struct error *err)
{
    const char *configured = glance->endpoint_override;
    if (glance->api_server_count > 0)
        configured = glance_api_server(glance, clock_now_ms());
    if (configured) {
        char *copy = strdup(configured);
        if (!copy)
            return error_nomem(err);
        *ret_url = copy;
        return 0;
    }
    const struct catalog_query query = {
        .service_type = glance->service_type,
        .service_name = glance->service_name,
        .interfaces = (const char *const *)(uintptr_t)glance->valid_interfaces,
        .region_name = glance->region_name,
    };
    int r = catalog_find_endpoint(context->service_catalog, &query, ret_url, err);
    if (r < 0)
        return r;
    catalog_strip_version(*ret_url);
    return 0;
}
