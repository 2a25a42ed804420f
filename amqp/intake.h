/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that were accepted, on their way to being served: each is written down by a thread that
 * may wait for the disk, then acked, and served when the broker has answered something behind the
 * ack. A write to a socket says nothing; and one that is served whose ack was lost is given to
 * nova-compute as well. Bus thread only, but for the writing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "amqp/bus_int.h"
#include "amqp/connection.h"

struct intake;
struct rpc_server;

/* Gives a request back that cannot be written down. Takes `request`. */
typedef void (*intake_pass_on)(struct rpc_server *server, const struct amqp_content *content,
                               struct rpc_request *request);

/* Borrows `bus` and `server`; copies `ops`, whose argument is `arg`. NULL without memory. */
struct intake *intake_new(struct bus *bus, const struct rpc_server_ops *ops, void *arg,
                          struct rpc_server *server, intake_pass_on pass_on);

/* Waits for what is being written down; it is withdrawn. NULL-safe. */
void intake_free(struct intake *intake);

/* Of SERVER_CHANNEL, from basic.qos: what is asked again behind an ack. */
void intake_set_prefetch(struct intake *intake, uint16_t count);

/* It is under way, or was served lately: a message that has this _unique_id is a copy of it. */
bool intake_knows(const struct intake *intake, const char *unique_id);

/* A request that was dealt with in another way: its copies are known. */
void intake_remember(struct intake *intake, const char *unique_id);

/* A request that is handed back: whoever is given it next serves it, also when that is us. */
void intake_forget(struct intake *intake, const char *unique_id);

/* Takes `request`, which came as `content` and was accepted; gives it back when it cannot. */
void intake_add(struct intake *intake, const struct amqp_content *content,
                struct rpc_request *request);

/* Acks what has been written down; gives a connection up that does not answer. */
void intake_run(struct intake *intake, uint64_t now_ms);
uint64_t intake_next_ms(const struct intake *intake);

/* basic.qos-ok: the first ack that waits for it has arrived. */
void intake_answered(struct intake *intake);

/* A later question on the channel was answered: every ack has arrived. */
void intake_all_answered(struct intake *intake);

/* What was not acked goes back to the queue. While the connection is up. */
void intake_requeue(struct intake *intake);

/*
 * The channel is gone: what was not acked is given out again, of the rest nobody knows. True when
 * we go on with some of that.
 */
bool intake_lost(struct intake *intake);
