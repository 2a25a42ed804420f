/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints out of a service catalog, by the rules of keystoneauth1 (access/service_catalog.py).
 *
 * The catalog is the one a request context carries: an array as in Keystone v2,
 * [{"type", "name", "endpoints": [{"region", "publicURL", "internalURL", "adminURL"}]}].
 */
#pragma once

#include <jansson.h>

#include "common/error.h"

/* Everything is borrowed. */
struct catalog_query {
    const char *service_type;      /* image; known aliases match too (os-service-types) */
    const char *service_name;      /* NULL or "" = any; entries without a name always match */
    const char *const *interfaces; /* by preference, ended by NULL: "public" or "publicURL" ... */
    const char *region_name;       /* NULL or "" = any */
};

/*
 * The first matching endpoint of the first interface that has any. `catalog` (borrowed) may be
 * NULL. ENOENT tells what was looked for. The URL is owned by the caller; it is text from outside.
 */
int catalog_find_endpoint(const json_t *catalog, const struct catalog_query *query, char **ret_url,
                          struct error *err);

/* Cuts a last path component /vN or /vN.M and slashes at the end, in place. */
void catalog_strip_version(char *url);
