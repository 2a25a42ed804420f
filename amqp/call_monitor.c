/* SPDX-License-Identifier: Apache-2.0 */
/* See call_monitor.h. */
#include "amqp/call_monitor.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define MONITORED_MAX 1024

void call_monitor_init(struct call_monitor *monitor)
{
    *monitor = (struct call_monitor){0};
    LIST_INIT(&monitor->calls);
}

static void remove_call(struct call_monitor *monitor, struct monitored_call *call)
{
    LIST_REMOVE(call, link);
    monitor->n_calls--;
    free(call->reply_q);
    free(call->msg_id);
    free(call);
}

void call_monitor_clear(struct call_monitor *monitor)
{
    while (!LIST_EMPTY(&monitor->calls))
        remove_call(monitor, LIST_FIRST(&monitor->calls));
}

void call_monitor_add(struct call_monitor *monitor, const struct rpc_request *request)
{
    if (!request->msg_id || request->call_monitor_timeout_s == 0 ||
        monitor->n_calls >= MONITORED_MAX)
        return;
    struct monitored_call *call = calloc(1, sizeof(*call));
    if (!call)
        return;
    LIST_INSERT_HEAD(&monitor->calls, call, link);
    monitor->n_calls++;
    call->reply_q = strdup(request->reply_q);
    call->msg_id = strdup(request->msg_id);
    call->interval_ms = (uint64_t)request->call_monitor_timeout_s * 500;
    call->next_ms = clock_now_ms() + call->interval_ms;
    if (!call->reply_q || !call->msg_id)
        remove_call(monitor, call);
}

void call_monitor_remove(struct call_monitor *monitor, const char *msg_id)
{
    struct monitored_call *call;
    LIST_FOREACH(call, &monitor->calls, link)
    {
        if (strcmp(call->msg_id, msg_id) == 0) {
            remove_call(monitor, call);
            return;
        }
    }
}

const struct monitored_call *call_monitor_due(struct call_monitor *monitor, uint64_t now_ms)
{
    struct monitored_call *call;
    LIST_FOREACH(call, &monitor->calls, link)
    {
        if (now_ms >= call->next_ms) {
            call->next_ms = now_ms + call->interval_ms;
            return call;
        }
    }
    return NULL;
}

uint64_t call_monitor_next_ms(const struct call_monitor *monitor)
{
    uint64_t next_ms = NEVER_MS;
    const struct monitored_call *call;
    LIST_FOREACH(call, &monitor->calls, link)
    next_ms = earlier_ms(next_ms, call->next_ms);
    return next_ms;
}
