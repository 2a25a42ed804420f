/* SPDX-License-Identifier: Apache-2.0 */
/* See catalog.h. */
#include "common/catalog.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/http_request.h"
#include "common/json.h"
#include "common/log.h"
#include "common/option_text.h"

/* os_service_types.is_match for the two services in use. */
static bool type_matches(const char *wanted, const char *type)
{
    static const char *const aliases[][2] = {
        {"volumev3", "block-storage"},
        {"volume", "block-storage"},
        {"block-store", "block-storage"},
    };
    if (strcmp(wanted, type) == 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
        if ((strcmp(wanted, aliases[i][0]) == 0 && strcmp(type, aliases[i][1]) == 0) ||
            (strcmp(wanted, aliases[i][1]) == 0 && strcmp(type, aliases[i][0]) == 0))
            return true;
    return false;
}

static bool service_matches(const json_t *service, const struct catalog_query *query)
{
    const char *type = json_string_member(service, "type");
    const char *name = json_string_member(service, "name");
    return type && type_matches(query->service_type, type) &&
           (!option_text_is_given(query->service_name) || !option_text_is_given(name) ||
            strcmp(query->service_name, name) == 0);
}

static bool region_matches(const json_t *endpoint, const char *region_name)
{
    if (!option_text_is_given(region_name))
        return true;
    const char *region_id = json_string_member(endpoint, "region_id");
    const char *region = json_string_member(endpoint, "region");
    return (region_id && strcmp(region_id, region_name) == 0) ||
           (region && strcmp(region, region_name) == 0);
}

/* Borrowed URL of a service's endpoints, or NULL. */
static const char *find_in_service(const json_t *service, const struct catalog_query *query,
                                   const char *interface)
{
    static const char suffix[] = "URL";
    size_t length = strlen(interface);
    bool has_suffix =
        length >= strlen(suffix) && strcmp(interface + length - strlen(suffix), suffix) == 0;
    char key[64];
    (void)snprintf(key, sizeof(key), "%s%s", interface, has_suffix ? "" : suffix);

    size_t i;
    json_t *endpoint;
    json_array_foreach (json_object_get(service, "endpoints"), i, endpoint) {
        const char *url = json_string_member(endpoint, key);
        if (option_text_is_given(url) && region_matches(endpoint, query->region_name))
            return url;
    }
    return NULL;
}

static const char *find_interface(const json_t *catalog, const struct catalog_query *query,
                                  const char *interface)
{
    size_t i;
    json_t *service;
    json_array_foreach (catalog, i, service) {
        const char *url = NULL;
        if (service_matches(service, query))
            url = find_in_service(service, query, interface);
        if (url)
            return url;
    }
    return NULL;
}

static int not_found(const struct catalog_query *query, struct error *err)
{
    char interfaces[128] = "";
    size_t used = 0;
    for (size_t i = 0; query->interfaces[i] && used < sizeof(interfaces); i++)
        used += (size_t)snprintf(interfaces + used, sizeof(interfaces) - used, "%s%s",
                                 i > 0 ? "," : "", query->interfaces[i]);
    return error_set(err, ENOENT, EXC_INTERNAL_ERROR,
                     "the service catalog has no %s endpoint of service '%s'%s%s%s%s", interfaces,
                     query->service_type,
                     option_text_is_given(query->service_name) ? " named " : "",
                     option_text_is_given(query->service_name) ? query->service_name : "",
                     option_text_is_given(query->region_name) ? " in region " : "",
                     option_text_is_given(query->region_name) ? query->region_name : "");
}

int catalog_find_endpoint(const json_t *catalog, const struct catalog_query *query, char **ret_url,
                          struct error *err)
{
    if (json_array_size(catalog) == 0)
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR,
                         "the request came with an empty service catalog");
    for (size_t i = 0; query->interfaces[i]; i++) {
        const char *url = find_interface(catalog, query, query->interfaces[i]);
        if (!url)
            continue;
        char *copy = strdup(url);
        if (!copy)
            return error_nomem(err);
        log_debug("%s endpoint of service '%s': %s", query->interfaces[i], query->service_type,
                  http_request_show_url(copy).text);
        *ret_url = copy;
        return 0;
    }
    return not_found(query, err);
}

static void strip_slashes(char *url)
{
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        url[--length] = '\0';
}

static bool is_version(const char *component)
{
    if (component[0] != 'v' || !isdigit((unsigned char)component[1]))
        return false;
    const char *c = component + 1 + strspn(component + 1, "0123456789");
    if (*c == '.' && isdigit((unsigned char)c[1]))
        c += 1 + strspn(c + 1, "0123456789");
    return *c == '\0';
}

void catalog_strip_version(char *url)
{
    strip_slashes(url);
    char *slash = strrchr(url, '/');
    /* In "http://v2" it is the host. */
    if (slash && slash > url && slash[-1] != '/' && is_version(slash + 1)) {
        *slash = '\0';
        strip_slashes(url);
    }
}
