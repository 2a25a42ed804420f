/* SPDX-License-Identifier: Apache-2.0 */
/* The client's making and its end. See glance.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/catalog.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/option_text.h"
#include "common/string_list.h"
#include "glance_client/glance_int.h"

#define STALL_TIMEOUT_S 120
#define POLL_INTERVAL_MS 2000

/* Nova gives entries without a scheme "http://". */
static bool normalize_api_server(char **server)
{
    if (!strstr(*server, "//")) {
        char *with_scheme = NULL;
        if (asprintf(&with_scheme, "http://%s", *server) < 0)
            return false;
        free(*server);
        *server = with_scheme;
    }
    catalog_strip_version(*server);
    return true;
}

/* Fisher-Yates: the hosts of a cloud must not all begin with the same server. */
static void shuffle_list(char **list, unsigned n)
{
    for (unsigned i = n; i > 1; i--) {
        uint32_t random = 0;
        (void)!getrandom(&random, sizeof(random), 0);
        unsigned j = random % i;
        char *kept = list[i - 1];
        list[i - 1] = list[j];
        list[j] = kept;
    }
}

static bool copy_api_servers(struct glance *glance, const char *const *servers)
{
    glance->api_server_count = (unsigned)string_list_length(servers);
    if (glance->api_server_count == 0)
        return true;
    glance->api_server_failed_ms =
        calloc(glance->api_server_count, sizeof(*glance->api_server_failed_ms));
    bool ok = string_list_copy(servers, &glance->api_servers) && glance->api_server_failed_ms;
    for (unsigned i = 0; i < glance->api_server_count && ok; i++)
        ok = normalize_api_server(&glance->api_servers[i]);
    if (ok)
        shuffle_list(glance->api_servers, glance->api_server_count);
    return ok;
}

static bool copy_options(struct glance *glance, const struct glance_options *options)
{
    static const char *const default_interfaces[] = {"internal", "public", NULL};
    const char *const *interfaces = options->valid_interfaces;
    if (string_list_length(interfaces) == 0)
        interfaces = default_interfaces;
    glance->own_session = options->own_session;
    glance->num_retries = options->num_retries;
    glance->stall_ms =
        seconds_ms(options->stall_timeout_s ? options->stall_timeout_s : STALL_TIMEOUT_S);
    glance->poll_interval_ms =
        options->poll_interval_ms ? options->poll_interval_ms : POLL_INTERVAL_MS;
    if (!option_text_copy(options->endpoint_override, NULL, &glance->endpoint_override) ||
        !option_text_copy(options->service_type, "image", &glance->service_type) ||
        !option_text_copy(options->service_name, NULL, &glance->service_name) ||
        !option_text_copy(options->region_name, NULL, &glance->region_name) ||
        !string_list_copy(interfaces, &glance->valid_interfaces))
        return false;
    if (glance->endpoint_override)
        catalog_strip_version(glance->endpoint_override);
    return copy_api_servers(glance, options->api_servers);
}

int glance_new(const struct glance_options *options, struct keystone_session *service_session,
               struct glance **ret_glance, struct error *err)
{
    struct glance *glance = calloc(1, sizeof(*glance));
    if (!glance)
        return error_nomem(err);
    glance->service_session = service_session;
    int r = copy_options(glance, options) ? 0 : error_nomem(err);
    if (r == 0)
        r = http_client_new(&options->http, &glance->http, err);
    if (r < 0) {
        glance_free(glance);
        return r;
    }
    *ret_glance = glance;
    return 0;
}

void glance_free(struct glance *glance)
{
    if (!glance)
        return;
    string_list_free(glance->api_servers);
    free(glance->api_server_failed_ms);
    string_list_free(glance->valid_interfaces);
    free(glance->endpoint_override);
    free(glance->service_type);
    free(glance->service_name);
    free(glance->region_name);
    http_client_free(glance->http);
    free(glance);
}
