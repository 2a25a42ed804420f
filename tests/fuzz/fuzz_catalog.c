/* SPDX-License-Identifier: Apache-2.0 */
/* common/catalog.c: the service catalog of a request or of a token. */
#include <jansson.h>

#include "common/catalog.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const interfaces[] = {"internal", "publicURL", NULL};
    static const struct catalog_query queries[] = {
        {.service_type = "image", .interfaces = interfaces},
        {.service_type = "block-storage",
         .service_name = "cinder",
         .interfaces = interfaces,
         .region_name = "RegionOne"},
    };
    json_t *catalog = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        struct error err = ERROR_INIT;
        char *url = NULL;
        int r = catalog_find_endpoint(catalog, &queries[i], &url, &err);
        fuzz_check(r, &err);
        if (r == 0)
            catalog_strip_version(url);
        free(url);
    }
    json_decref(catalog);
    return 0;
}
