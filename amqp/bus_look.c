/* SPDX-License-Identifier: Apache-2.0 */
/* See bus_look.h. */
#include "amqp/bus_look.h"

#include <errno.h>

#include "amqp/bus_int.h"
#include "amqp/container.h"
#include "amqp/messaging_error.h"
#include "amqp/rpc_server.h"

struct look_work {
    struct bus_work work;
    struct bus *bus;
    struct queue_state others;
};

static int look_at_queue(struct look_work *look, struct error *err)
{
    const char *trouble = bus_trouble(look->bus);
    if (bus_connected(look->bus))
        return rpc_server_look(look->bus->server, &look->others, err);
    return messaging_error(err, ENOTCONN, EXC_MESSAGE_DELIVERY_FAILURE, "%s",
                           trouble[0] != '\0' ? trouble : "no answer from the AMQP server yet");
}

static void start_look(struct bus_work *work)
{
    struct look_work *look = CONTAINER_OF(work, struct look_work, work);
    struct error err = ERROR_INIT;
    int r = look_at_queue(look, &err);
    bus_work_done(work, r, &err);
}

int bus_look(struct bus *bus, struct bus_look *ret_look, struct error *err)
{
    BUS_SCOPE(bus);
    struct look_work look = {.work.start = start_look, .bus = bus};
    int r = bus_work_run(&bus->works, &look.work, err);
    if (r == 0)
        *ret_look = (struct bus_look){look.others.consumers, look.others.ready};
    return r;
}
