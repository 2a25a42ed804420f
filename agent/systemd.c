/* SPDX-License-Identifier: Apache-2.0 */
/* See systemd.h. */
#include "agent/systemd.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

bool systemd_listens(void)
{
    const char *socket = getenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe) */
    return socket && socket[0] != '\0';
}

unsigned systemd_watchdog_ms(void)
{
    uint64_t usec = 0;
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    return usec / 1000 < UINT32_MAX ? (unsigned)(usec / 1000) : UINT32_MAX;
}

void systemd_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void systemd_reloading(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                     (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void systemd_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

void systemd_status(const char *text)
{
    (void)sd_notifyf(0, "STATUS=%s", text);
}

void systemd_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}

void systemd_extend(unsigned ms)
{
    (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, (uint64_t)ms * 1000);
}
