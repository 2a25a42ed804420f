/* SPDX-License-Identifier: Apache-2.0 */
/* See sd_notify.h. */
#include "agent/sd_notify.h"

#include <stdio.h>
#include <string.h>

#include "agent/systemd.h"
#include "common/clock.h"
#include "common/log.h"

#define INTERVAL_MS 10000
#define STOPPING_INTERVAL_MS 2000
#define EXTENSION_MS 30000

/* The longest single wait of the bus thread is a write of 10 s; several may follow each other. */
#define BUS_STUCK_MS 30000

void sd_notify_init(struct sd_notifier *notifier, struct agent *agent)
{
    unsigned watchdog_ms = systemd_watchdog_ms();
    *notifier = (struct sd_notifier){.agent = agent, .has_watchdog = watchdog_ms > 0};
    if (watchdog_ms > 0 || systemd_listens())
        notifier->interval_ms = INTERVAL_MS;
    if (watchdog_ms > 0 && watchdog_ms / 4 < INTERVAL_MS)
        notifier->interval_ms = watchdog_ms >= 8 ? watchdog_ms / 4 : 2;
    if (watchdog_ms > 0)
        bus_watch(agent->bus, notifier->interval_ms);
}

static const char *attachment(struct bus *bus)
{
    if (!bus_connected(bus))
        return "trying to connect to RabbitMQ for";
    return bus_attached(bus) ? "attached to" : "detached from";
}

static void show_status(struct sd_notifier *notifier)
{
    char status[sizeof(notifier->status)];
    struct agent *agent = notifier->agent;
    struct error trouble = ERROR_INIT;
    bool is_fit = preflight_check(agent->preflight, &trouble) == 0;
    (void)snprintf(status, sizeof(status), "%s%s compute.%s, %u running%s%.200s",
                   notifier->is_stopping ? "ending: " : "", attachment(agent->bus),
                   agent->conf->DEFAULT.host, workers_running(agent->workers),
                   is_fit ? "" : ", cannot take snapshots: ", trouble.message);
    if (strcmp(status, notifier->status) == 0)
        return;
    memcpy(notifier->status, status, sizeof(status));
    systemd_status(status);
}

static void beat(struct sd_notifier *notifier)
{
    bool is_stuck = !bus_alive(notifier->agent->bus, BUS_STUCK_MS);
    if (is_stuck && !notifier->is_stuck)
        log_error("the bus thread has not turned for %d s: the watchdog gets no more signs of life",
                  BUS_STUCK_MS / 1000);
    notifier->is_stuck = is_stuck;
    if (!is_stuck)
        systemd_alive();
}

void sd_notify_show(struct sd_notifier *notifier)
{
    uint64_t now_ms = clock_now_ms();
    if (notifier->interval_ms == 0 || now_ms < notifier->next_ms)
        return;
    bool often = notifier->is_stopping && notifier->interval_ms > STOPPING_INTERVAL_MS;
    notifier->next_ms = now_ms + (often ? STOPPING_INTERVAL_MS : notifier->interval_ms);
    show_status(notifier);
    if (notifier->has_watchdog)
        beat(notifier);
    if (notifier->is_stopping)
        systemd_extend(EXTENSION_MS);
}

void sd_notify_stop(struct sd_notifier *notifier)
{
    notifier->is_stopping = true;
    notifier->next_ms = 0;
    systemd_stopping();
    sd_notify_show(notifier);
}
