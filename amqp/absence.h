/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nobody consumes compute.<host>. Mostly it is another name: nova-compute's [DEFAULT]host is the
 * short one and ours the full one, or the other way round; then no request ever comes to us, and
 * nothing else would tell. Or the queue's node of a cluster is away. Bus thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "amqp/bus_settings.h"
#include "amqp/connection.h"

struct absence {
    const struct bus_settings *settings;
    struct connection *connection; /* consuming */
    uint64_t since_ms;             /* 0 = somebody does */
    uint64_t told_ms;              /* 0 = not yet */
    bool is_queue_away;
};

/* Borrows both for its lifetime. */
void absence_init(struct absence *absence, const struct bus_settings *settings,
                  struct connection *connection);

/*
 * At a look at `queue`, on which nobody else is. Warns when that has lasted (a minute, with the
 * usual interval of looks), and then every hour; looks under other names of the host before.
 */
void absence_note(struct absence *absence, const char *queue, uint64_t now_ms);

/* `queue` cannot be had, for the broker's reason `why`, so nobody can consume it: warns once. */
void absence_queue_away(struct absence *absence, const char *queue, const char *why);

/* Somebody consumes `queue`. */
void absence_over(struct absence *absence, const char *queue);
