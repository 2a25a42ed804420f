/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitored calls that are being served: a caller that gave "_timeout" gives up when it hears
 * nothing for that long, so each is sent a heartbeat at half of it. Does no I/O; times are
 * clock_now_ms(). Bus thread only. Source: rpc/dispatcher.py:_watchdog.
 */
#pragma once

#include <stdint.h>
#include <sys/queue.h>

#include "amqp/rpc_request.h"

struct monitored_call {
    LIST_ENTRY(monitored_call) link;
    char *reply_q;
    char *msg_id;
    uint64_t interval_ms;
    uint64_t next_ms;
};

struct call_monitor {
    LIST_HEAD(, monitored_call) calls;
    unsigned n_calls;
};

void call_monitor_init(struct call_monitor *monitor);
void call_monitor_clear(struct call_monitor *monitor);

/* Does nothing for a request that is not monitored. */
void call_monitor_add(struct call_monitor *monitor, const struct rpc_request *request);
void call_monitor_remove(struct call_monitor *monitor, const char *msg_id);

/* A call whose heartbeat is due, until call_monitor_remove(); its next one is later. NULL: none. */
const struct monitored_call *call_monitor_due(struct call_monitor *monitor, uint64_t now_ms);

/* When the next heartbeat is due. */
uint64_t call_monitor_next_ms(const struct call_monitor *monitor);
