/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request goes back to nova-compute after its ack, when the agent ends before it has begun with
 * it: published again as it came, on the default exchange. See bus.h.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/bus_int.h"
#include "amqp/oslo_message.h"
#include "amqp/replies.h"
#include "amqp/rpc.h"
#include "amqp/rpc_server.h"
#include "common/clock.h"

#define DEADLINE_MS 10000

struct hand_back {
    struct bus_work work;
    struct publication publication;
    struct bus *bus;
    const struct rpc_request *request;
    char *body;
    size_t length;
};

#define hand_back_of(ptr, member)                                                                  \
    ((struct hand_back *)(void *)((char *)(ptr)-offsetof(struct hand_back, member)))

static int pack_copy(struct publication *publication, char **ret_body, size_t *ret_length,
                     struct error *err)
{
    const struct hand_back *hand_back = hand_back_of(publication, publication);
    char *copy = malloc(hand_back->length + 1);
    if (!copy)
        return error_nomem(err);
    memcpy(copy, hand_back->body, hand_back->length + 1);
    *ret_body = copy;
    *ret_length = hand_back->length;
    return 0;
}

/* Whoever takes it up drops the second of two equal messages: better twice than never. */
static void published(struct publication *publication, enum publication_outcome outcome,
                      const struct error *error)
{
    struct hand_back *hand_back = hand_back_of(publication, publication);
    struct bus *bus = hand_back->bus;
    if (outcome == PUBLICATION_UNCERTAIN) {
        publisher_submit(bus->publisher, publication);
        return;
    }
    bool confirmed = outcome == PUBLICATION_CONFIRMED;
    if (!confirmed)
        rpc_server_handed_back(bus->server, hand_back->request->unique_id, false);
    if (confirmed && hand_back->request->msg_id)
        replies_stop_monitoring(bus->replies, hand_back->request->msg_id);
    bus_work_done(bus, &hand_back->work, confirmed ? 0 : -error->errnum, error);
}

static void start(struct bus *bus, struct bus_work *work)
{
    struct hand_back *hand_back = hand_back_of(work, work);
    rpc_server_handed_back(bus->server, hand_back->request->unique_id, true);
    publisher_submit(bus->publisher, &hand_back->publication);
}

static int pack(const struct rpc_request *request, char **ret_body, size_t *ret_length,
                struct error *err)
{
    json_t *message = NULL;
    int r = rpc_request_message_again(request, &message, err);
    if (r < 0)
        return r;
    r = oslo_message_pack(message, true, ret_body, ret_length, err);
    json_decref(message);
    return r;
}

int rpc_hand_back(struct bus *bus, const struct rpc_request *request, struct error *err)
{
    BUS_SCOPE(bus);
    char queue[OSLO_NAME_MAX_BYTES + 1];
    (void)snprintf(queue, sizeof(queue), "%s.%s", bus->settings.topic, bus->settings.server);
    struct hand_back hand_back = {
        .work.start = start,
        .publication = {.exchange = "",
                        .routing_key = queue,
                        .mandatory = true,
                        .expires = request->msg_id != NULL,
                        .deadline_ms = clock_now_ms() + DEADLINE_MS,
                        .pack = pack_copy,
                        .finished = published},
        .bus = bus,
        .request = request,
    };
    int r = pack(request, &hand_back.body, &hand_back.length, err);
    if (r == 0)
        r = bus_work_run(bus, &hand_back.work, err);
    free(hand_back.body);
    return r;
}
