/* SPDX-License-Identifier: Apache-2.0 */
/*
 * [glance]api_servers in turn, without those that have failed lately. Requests of several snapshots
 * share the turns: without that memory, all attempts of one request may meet the same dead server.
 */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "glance_client/glance_int.h"

#define DEAD_MS 60000

const char *glance_api_server(struct glance *glance, uint64_t now_ms)
{
    unsigned turn = atomic_fetch_add(&glance->next_api_server, 1);
    unsigned oldest = 0;
    uint64_t oldest_ms = NEVER_MS;
    for (unsigned i = 0; i < glance->api_server_count; i++) {
        unsigned server = (turn + i) % glance->api_server_count;
        uint64_t failed_ms = atomic_load(&glance->api_server_failed_ms[server]);
        if (failed_ms == 0 || now_ms >= failed_ms + DEAD_MS)
            return glance->api_servers[server];
        if (failed_ms < oldest_ms) {
            oldest = server;
            oldest_ms = failed_ms;
        }
    }
    log_debug("Glance: all api_servers have failed lately, %s did so first and is asked",
              http_request_show_url(glance->api_servers[oldest]).text);
    return glance->api_servers[oldest];
}

static bool is_of_server(const char *url, const char *server)
{
    size_t length = strlen(server);
    return strncmp(url, server, length) == 0 && (url[length] == '/' || url[length] == '\0');
}

void glance_api_server_judge(struct glance *glance, const char *url, bool answered, uint64_t now_ms)
{
    for (unsigned i = 0; i < glance->api_server_count; i++) {
        if (!is_of_server(url, glance->api_servers[i]))
            continue;
        uint64_t failed_ms =
            atomic_exchange(&glance->api_server_failed_ms[i], answered ? 0 : now_ms);
        if (answered && failed_ms > 0)
            log_debug("Glance: api_server %s answers again",
                      http_request_show_url(glance->api_servers[i]).text);
        else if (!answered)
            log_debug("Glance: api_server %s has failed, others are asked for %d s",
                      http_request_show_url(glance->api_servers[i]).text, DEAD_MS / 1000);
    }
}
