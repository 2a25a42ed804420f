/* SPDX-License-Identifier: Apache-2.0 */
/* See rpc.h. The parts do the work; bus_free() waits for whoever is in here. */
#include "amqp/rpc.h"

#include "amqp/bus_int.h"
#include "amqp/replies.h"
#include "amqp/rpc_client.h"

int rpc_call(struct bus *bus, const struct rpc_call *call, json_t **ret_result, struct error *err)
{
    BUS_SCOPE(bus);
    return rpc_client_call(bus->client, &bus->works, &bus->settings, call, ret_result, err);
}

int rpc_reply(struct bus *bus, const struct rpc_request *request, json_t *result, struct error *err)
{
    BUS_SCOPE(bus);
    return replies_answer(bus->replies, &bus->works, request, result, NULL, err);
}

int rpc_fail(struct bus *bus, const struct rpc_request *request, const struct error *failure,
             struct error *err)
{
    BUS_SCOPE(bus);
    return replies_answer(bus->replies, &bus->works, request, NULL, failure, err);
}
