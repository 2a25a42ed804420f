/* SPDX-License-Identifier: Apache-2.0 */
/* See sd_notify.h. */
#include "agent/sd_notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "agent/preflight.h"
#include "agent/workers.h"
#include "amqp/bus.h"
#include "common/clock.h"
#include "common/log.h"
#include "conf/conf.h"

#define INTERVAL_MS 10000
#define STOPPING_INTERVAL_MS 2000
#define EXTENSION_MS 30000

bool sd_notify_listens(void)
{
    const char *socket = getenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe) */
    return socket && socket[0] != '\0';
}

unsigned sd_notify_watchdog_ms(void)
{
    uint64_t usec = 0;
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    return usec / 1000 < UINT32_MAX ? (unsigned)(usec / 1000) : UINT32_MAX;
}

void sd_notify_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void sd_notify_reloading(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)clock_ns(&now) / 1000);
}

void sd_notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

/* One line for "systemctl status". */
static void send_status(const char *text)
{
    (void)sd_notifyf(0, "STATUS=%s", text);
}

void sd_notify_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}

void sd_notify_extend(unsigned ms)
{
    (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, (uint64_t)ms * 1000);
}

void sd_notify_init(struct sd_notifier *notifier, struct agent *agent)
{
    unsigned watchdog_ms = sd_notify_watchdog_ms();
    *notifier = (struct sd_notifier){.agent = agent, .has_watchdog = watchdog_ms > 0};
    if (watchdog_ms > 0 || sd_notify_listens())
        notifier->interval_ms = INTERVAL_MS;
    if (watchdog_ms > 0 && watchdog_ms / 4 < INTERVAL_MS)
        notifier->interval_ms = watchdog_ms >= 8 ? watchdog_ms / 4 : 2;
    if (watchdog_ms > 0)
        bus_watch(agent->bus, notifier->interval_ms);
}

static const char *attachment_text(struct bus *bus)
{
    if (!bus_connected(bus))
        return "trying to connect to RabbitMQ for";
    return bus_attached(bus) ? "attached to" : "detached from";
}

static void notify_status(struct sd_notifier *notifier)
{
    char status[sizeof(notifier->status)];
    struct agent *agent = notifier->agent;
    struct error trouble = ERROR_INIT;
    bool is_fit = preflight_trouble(agent->preflight, &trouble) == 0;
    (void)snprintf(status, sizeof(status), "%s%s compute.%s, %u running%s%.200s",
                   notifier->is_stopping ? "ending: " : "", attachment_text(agent->bus),
                   agent->conf->DEFAULT.host, workers_running(agent->workers),
                   is_fit ? "" : ", cannot take snapshots: ", trouble.message);
    if (strcmp(status, notifier->status) == 0)
        return;
    memcpy(notifier->status, status, sizeof(status));
    log_debug("service manager is told: %s", status);
    send_status(status);
}

static void notify_alive(struct sd_notifier *notifier)
{
    bool is_stuck = !bus_alive(notifier->agent->bus, BUS_STUCK_MS);
    if (is_stuck && !notifier->is_stuck)
        log_error("bus thread stuck for %d s: no more keep-alives to systemd", BUS_STUCK_MS / 1000);
    notifier->is_stuck = is_stuck;
    if (!is_stuck)
        sd_notify_alive();
}

void sd_notify_show(struct sd_notifier *notifier)
{
    uint64_t now_ms = clock_now_ms();
    if (notifier->interval_ms == 0 || now_ms < notifier->next_ms)
        return;
    bool often = notifier->is_stopping && notifier->interval_ms > STOPPING_INTERVAL_MS;
    notifier->next_ms = now_ms + (often ? STOPPING_INTERVAL_MS : notifier->interval_ms);
    notify_status(notifier);
    if (notifier->has_watchdog)
        notify_alive(notifier);
    if (notifier->is_stopping)
        sd_notify_extend(EXTENSION_MS);
}

void sd_notify_stop(struct sd_notifier *notifier)
{
    notifier->is_stopping = true;
    notifier->next_ms = 0;
    sd_notify_stopping();
    sd_notify_show(notifier);
}
