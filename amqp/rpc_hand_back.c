/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See rpc.h. A request goes back to nova-compute after its ack, when the agent ends before it has
 * begun with it: published again as it came, on the default exchange.
 */
#include "amqp/rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/bus_int.h"
#include "amqp/container.h"
#include "amqp/oslo_message.h"
#include "amqp/publisher.h"
#include "amqp/replies.h"
#include "amqp/rpc_server.h"
#include "common/clock.h"
#include "common/log.h"

#define DEADLINE_MS 10000

struct hand_back {
    struct bus_work work;
    struct publication publication;
    const struct bus *bus;
    const struct rpc_request *request;
    char *body;
    size_t length;
};

static int pack_hand_back(struct publication *publication, char **ret_body, size_t *ret_length,
                          struct error *err)
{
    const struct hand_back *hand_back = CONTAINER_OF(publication, struct hand_back, publication);
    char *copy = malloc(hand_back->length + 1);
    if (!copy)
        return error_nomem(err);
    memcpy(copy, hand_back->body, hand_back->length + 1);
    *ret_body = copy;
    *ret_length = hand_back->length;
    return 0;
}

/* Whoever takes it up drops the second of two equal messages: better twice than never. */
static void hand_back_finished(struct publication *publication, enum publication_outcome outcome,
                               const struct error *error)
{
    struct hand_back *hand_back = CONTAINER_OF(publication, struct hand_back, publication);
    const struct rpc_request *request = hand_back->request;
    const struct bus *bus = hand_back->bus;
    if (outcome == PUBLICATION_UNCERTAIN) {
        publisher_submit(bus->publisher, publication);
        return;
    }
    bool confirmed = outcome == PUBLICATION_CONFIRMED;
    if (!confirmed)
        rpc_server_remember(bus->server, request->unique_id);
    if (confirmed && request->msg_id)
        replies_stop_monitoring(bus->replies, request->msg_id);
    bus_work_done(&hand_back->work, confirmed ? 0 : -error->errnum, error);
}

/* It is forgotten before it is published: it may come to us before its confirm. */
static void start_hand_back(struct bus_work *work)
{
    struct hand_back *hand_back = CONTAINER_OF(work, struct hand_back, work);
    rpc_server_forget(hand_back->bus->server, hand_back->request->unique_id);
    publisher_submit(hand_back->bus->publisher, &hand_back->publication);
}

static int pack_request_again(const struct rpc_request *request, char **ret_body,
                              size_t *ret_length, struct error *err)
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
        .work.start = start_hand_back,
        .publication = {.exchange = "",
                        .routing_key = queue,
                        .mandatory = true,
                        .expires = request->msg_id != NULL,
                        .deadline_ms = clock_now_ms() + DEADLINE_MS,
                        .pack = pack_hand_back,
                        .finished = hand_back_finished},
        .bus = bus,
        .request = request,
    };
    int r = pack_request_again(request, &hand_back.body, &hand_back.length, err);
    if (r < 0)
        return r;
    log_debug("handing %s (%s) back: publishing it to %s", request->method, request->unique_id,
              queue);
    r = bus_work_run(&bus->works, &hand_back.work, err);
    log_debug("handing %s (%s) back: %s", request->method, request->unique_id,
              r == 0 ? "confirmed" : err->message);
    free(hand_back.body);
    return r;
}
