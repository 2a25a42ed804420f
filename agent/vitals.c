/* SPDX-License-Identifier: Apache-2.0 */
/* See vitals.h. */
#include "agent/vitals.h"

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

void vitals_init(struct vitals *vitals, struct agent *agent)
{
    unsigned watchdog_ms = systemd_watchdog_ms();
    *vitals = (struct vitals){.agent = agent, .has_watchdog = watchdog_ms > 0};
    if (watchdog_ms > 0 || systemd_listens())
        vitals->interval_ms = INTERVAL_MS;
    if (watchdog_ms > 0 && watchdog_ms / 4 < INTERVAL_MS)
        vitals->interval_ms = watchdog_ms >= 8 ? watchdog_ms / 4 : 2;
    if (watchdog_ms > 0)
        bus_watch(agent->bus, vitals->interval_ms);
}

static const char *attachment(struct bus *bus)
{
    if (!bus_connected(bus))
        return "trying to connect to RabbitMQ for";
    return bus_attached(bus) ? "attached to" : "detached from";
}

static void show_status(struct vitals *vitals)
{
    char status[sizeof(vitals->status)];
    struct agent *agent = vitals->agent;
    struct error trouble = ERROR_INIT;
    bool is_fit = preflight_check(agent->preflight, &trouble) == 0;
    (void)snprintf(status, sizeof(status), "%s%s compute.%s, %u running%s%.200s",
                   vitals->is_stopping ? "ending: " : "", attachment(agent->bus),
                   agent->conf->DEFAULT.host, workers_running(agent->workers),
                   is_fit ? "" : ", cannot take snapshots: ", trouble.message);
    if (strcmp(status, vitals->status) == 0)
        return;
    memcpy(vitals->status, status, sizeof(status));
    systemd_status(status);
}

static void beat(struct vitals *vitals)
{
    bool is_stuck = !bus_alive(vitals->agent->bus, BUS_STUCK_MS);
    if (is_stuck && !vitals->is_stuck)
        log_error("the bus thread has not turned for %d s: the watchdog gets no more signs of life",
                  BUS_STUCK_MS / 1000);
    vitals->is_stuck = is_stuck;
    if (!is_stuck)
        systemd_alive();
}

void vitals_show(struct vitals *vitals)
{
    uint64_t now_ms = clock_now_ms();
    if (vitals->interval_ms == 0 || now_ms < vitals->next_ms)
        return;
    bool often = vitals->is_stopping && vitals->interval_ms > STOPPING_INTERVAL_MS;
    vitals->next_ms = now_ms + (often ? STOPPING_INTERVAL_MS : vitals->interval_ms);
    show_status(vitals);
    if (vitals->has_watchdog)
        beat(vitals);
    if (vitals->is_stopping)
        systemd_extend(EXTENSION_MS);
}

void vitals_stop(struct vitals *vitals)
{
    vitals->is_stopping = true;
    vitals->next_ms = 0;
    systemd_stopping();
    vitals_show(vitals);
}
