/* SPDX-License-Identifier: Apache-2.0 */
/* See standstill.h. The event loop thread writes the times, the command's reads them. */
#include "domain/standstill.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "driver/libvirt/connection.h"

struct standstill {
    virConnectPtr conn;
    int callback;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t since_ms; /* 0: not yet */
    uint64_t until_ms;
};

static int on_lifecycle(virConnectPtr conn, virDomainPtr domain, int event, int detail,
                        void *opaque)
{
    struct standstill *standstill = opaque;
    (void)conn;
    (void)domain;
    (void)detail;
    LOCK_SCOPE(&standstill->mutex);
    if (event == VIR_DOMAIN_EVENT_SUSPENDED && standstill->since_ms == 0)
        standstill->since_ms = clock_now_ms();
    else if (event == VIR_DOMAIN_EVENT_RESUMED || event == VIR_DOMAIN_EVENT_STOPPED)
        standstill->until_ms = clock_now_ms();
    (void)pthread_cond_signal(&standstill->changed);
    return 0;
}

/* By libvirt, when no callback can come any more. */
static void free_standstill(void *opaque)
{
    struct standstill *standstill = opaque;
    (void)pthread_cond_destroy(&standstill->changed);
    (void)pthread_mutex_destroy(&standstill->mutex);
    free(standstill);
}

int standstill_begin(virDomainPtr domain, struct standstill **ret_standstill, struct error *err)
{
    struct standstill *standstill = calloc(1, sizeof(*standstill));
    if (!standstill)
        return error_nomem(err);
    (void)pthread_mutex_init(&standstill->mutex, NULL);
    clock_cond_init(&standstill->changed);
    standstill->conn = virDomainGetConnect(domain);
    standstill->callback = virConnectDomainEventRegisterAny(
        standstill->conn, domain, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        VIR_DOMAIN_EVENT_CALLBACK((void (*)(void))on_lifecycle), standstill, free_standstill);
    if (standstill->callback < 0) {
        free_standstill(standstill);
        return libvirt_error(err, "cannot listen to what becomes of the guest");
    }
    *ret_standstill = standstill;
    return 0;
}

static uint64_t await_end(struct standstill *standstill, unsigned patience_ms)
{
    struct timespec deadline = clock_deadline(patience_ms);
    LOCK_SCOPE(&standstill->mutex);
    while (standstill->since_ms > 0 && standstill->until_ms < standstill->since_ms &&
           pthread_cond_timedwait(&standstill->changed, &standstill->mutex, &deadline) == 0)
        ;
    if (standstill->since_ms == 0)
        return 0;
    return standstill->until_ms >= standstill->since_ms
               ? standstill->until_ms - standstill->since_ms
               : STANDSTILL_UNKNOWN;
}

uint64_t standstill_end(struct standstill *standstill, unsigned patience_ms)
{
    if (!standstill)
        return 0;
    uint64_t ms = await_end(standstill, patience_ms);
    (void)virConnectDomainEventDeregisterAny(standstill->conn, standstill->callback);
    return ms;
}
