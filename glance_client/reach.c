/* SPDX-License-Identifier: Apache-2.0 */
/* Whether Glance answers at all, before anybody depends on it. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/log.h"
#include "glance_client/glance_int.h"

/* Its list of versions needs no token (glance/api/versions.py). */
static bool server_answers(struct glance *glance, const char *base, unsigned timeout_ms,
                           struct error *err)
{
    char url[4096];
    struct http_response response = {0};
    enum http_failure failure;
    char reason[HTTP_REASON_SIZE];
    (void)snprintf(url, sizeof(url), "%s/versions", base);
    const struct http_request request = {.method = "GET", .url = url, .total_ms = timeout_ms};
    int r = http_request(glance->http, &request, &response, &failure, err);
    bool good = r == 0 && !(http_status_is_transient(response.status) && response.status != 429);
    if (r == 0 && !good) { /* of a proxy that has no Glance behind it */
        http_response_reason(&response, reason);
        (void)error_set(err, EHOSTUNREACH, EXC_GLANCE_CONNECTION_FAILED, "%s", reason);
    }
    http_response_done(&response);
    const struct http_url_text shown = http_request_show_url(base);
    log_debug("Glance: %s %s", shown.text, good ? "answers" : "does not answer");
    if (!good)
        (void)error_prepend(err, "%s", shown.text);
    return good;
}

int glance_reach(struct glance *glance, const char *of_catalog, unsigned timeout_ms,
                 struct error *err)
{
    struct error failure = ERROR_INIT;
    const char *base = glance->endpoint_override ? glance->endpoint_override : of_catalog;
    for (unsigned i = 0; i < glance->api_server_count; i++) {
        struct error of_server = ERROR_INIT;
        if (server_answers(glance, glance->api_servers[i], timeout_ms, &of_server))
            return 0;
        error_join(&failure, &of_server);
    }
    if (glance->api_server_count == 0 &&
        (!base || server_answers(glance, base, timeout_ms, &failure)))
        return 0;
    *err = failure;
    return error_prepend(err, "Glance cannot be reached");
}
