/* SPDX-License-Identifier: Apache-2.0 */
/* See absence.h. Nova's default of [DEFAULT]host is socket.gethostname(). */
#include "amqp/absence.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "amqp/channel.h"
#include "amqp/oslo_message.h"
#include "amqp/topology.h"
#include "common/log.h"

/* In looks, one every attach_poll_interval. */
#define ABSENT_AFTER 12
#define TOLD_EVERY 720

void absence_init(struct absence *absence, const struct bus_settings *settings,
                  struct connection *connection)
{
    *absence = (struct absence){.settings = settings, .connection = connection};
}

static void cut_domain(char *name)
{
    name[strcspn(name, ".")] = '\0';
}

static bool is_consumed(const struct absence *absence, const char *queue)
{
    struct queue_state state = {0};
    struct error ignored = ERROR_INIT;
    return connection_is_up(absence->connection) &&
           topology_look(absence->connection, TOPOLOGY_CHANNEL, queue, &state, &ignored) == 0 &&
           state.consumers > 0;
}

/* Other names nova-compute may have for this host: ours and the system's, and both without their
 * domain. */
static bool find_other_name(const struct absence *absence,
                            char ret_queue[static OSLO_NAME_MAX_BYTES + 1])
{
    char names[3][OSLO_NAME_MAX_BYTES + 1];
    (void)snprintf(names[0], sizeof(names[0]), "%s", absence->settings->server);
    cut_domain(names[0]);
    if (gethostname(names[1], sizeof(names[1])) < 0)
        names[1][0] = '\0';
    names[1][sizeof(names[1]) - 1] = '\0';
    memcpy(names[2], names[1], sizeof(names[2]));
    cut_domain(names[2]);
    for (int i = 0; i < 3; i++) {
        if (names[i][0] == '\0' || strcmp(names[i], absence->settings->server) == 0)
            continue;
        int length = snprintf(ret_queue, OSLO_NAME_MAX_BYTES + 1, "%s.%s", absence->settings->topic,
                              names[i]);
        if (length <= 0 || (unsigned)length > OSLO_NAME_MAX_BYTES)
            continue;
        log_debug("looking whether somebody consumes %s", ret_queue);
        if (is_consumed(absence, ret_queue))
            return true;
    }
    return false;
}

static void warn_of_absence(const struct absence *absence, const char *queue)
{
    char other[OSLO_NAME_MAX_BYTES + 1];
    if (find_other_name(absence, other))
        log_warning("nobody consumes %s, but somebody does %s: that looks like nova-compute, and "
                    "[DEFAULT]host here has to be the same as there",
                    queue, other);
    else
        log_warning("nobody consumes %s: is nova-compute up, and its [DEFAULT]host '%s'? "
                    "(openstack compute service list shows it)",
                    queue, absence->settings->server);
}

void absence_note(struct absence *absence, const char *queue, uint64_t now_ms)
{
    uint64_t interval_ms = (uint64_t)absence->settings->attach_poll_interval_s * 1000;
    absence->is_queue_away = false;
    if (absence->since_ms == 0)
        absence->since_ms = now_ms;
    bool is_due = absence->told_ms == 0 ? now_ms >= absence->since_ms + ABSENT_AFTER * interval_ms
                                        : now_ms >= absence->told_ms + TOLD_EVERY * interval_ms;
    if (!is_due)
        return;
    absence->told_ms = now_ms;
    warn_of_absence(absence, queue);
}

void absence_queue_away(struct absence *absence, const char *queue, const char *why)
{
    absence->since_ms = 0;
    absence->told_ms = 0;
    if (!absence->is_queue_away)
        log_warning("%s cannot be consumed: %s; looking again every %u s", queue, why,
                    absence->settings->attach_poll_interval_s);
    absence->is_queue_away = true;
}

void absence_over(struct absence *absence, const char *queue)
{
    if (absence->is_queue_away)
        log_info("%s can be consumed again", queue);
    absence->is_queue_away = false;
    absence->since_ms = 0;
    absence->told_ms = 0;
}
