/* SPDX-License-Identifier: Apache-2.0 */
/* See peer_checks.h. */
#include "agent/peer_checks.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/conductor.h"
#include "agent/local_checks.h"
#include "amqp/bus_look.h"
#include "conf/conf.h"

#define CONDUCTOR_MS 5000

static bool is_alone(const struct agent *agent)
{
    return strcmp(agent->conf->snapshot_agent.attach, "exclusive") == 0;
}

/* Who is asked by whom the agent's socket was not answered, or by hand. */
static int look_for_another(const struct agent *agent, struct host_fact *fact, struct error *err)
{
    int pid = local_checks_lock_holder(agent->conf);
    if (pid == 0)
        return error_set(err, ESRCH, EXC_INTERNAL_ERROR,
                         "none runs for host %s: nova-compute takes the snapshots",
                         agent->conf->DEFAULT.host);
    host_check_warn(fact, "one runs (pid %d), and this is what another process sees", pid);
    return 0;
}

int peer_checks_agent(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const struct agent *agent = view->agent;
    if (!view->is_serving)
        return look_for_another(agent, fact, err);
    if (bus_attached(agent->bus))
        host_check_tell(fact, "version %s, takes the requests of host %s", VERSION,
                        agent->conf->DEFAULT.host);
    else if (bus_stands_aside(agent->bus, BUS_ASIDE_DRAINED))
        host_check_warn(fact, "takes no requests, because it is drained");
    else if (view->unfit.errnum != 0)
        host_check_warn(fact, "takes no requests, because of what it has found: %s",
                        view->unfit.message);
    else
        host_check_warn(fact, "takes no requests: it is not connected to RabbitMQ, or waits for "
                              "nova-compute");
    return 0;
}

/* A connection that is up has declared a queue for replies, and consumes it. */
int peer_checks_broker(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const struct agent *agent = view->agent;
    struct bus_look look = {0};
    int r = bus_look(agent->bus, &look, err);
    if (r == 0)
        host_check_tell(fact,
                        "connected, may declare and consume a queue; %u requests wait in "
                        "compute.%s",
                        look.ready, agent->conf->DEFAULT.host);
    return r;
}

static int ask_version(const struct agent *agent, unsigned *ret_version, struct error *err)
{
    struct request_context *context = NULL;
    int r = request_context_new_admin(&context, err);
    if (r == 0)
        r = conductor_service_version(agent->bus, context, agent->conf->DEFAULT.host, CONDUCTOR_MS,
                                      ret_version, err);
    request_context_free(context);
    return r;
}

int peer_checks_nova_compute(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const struct agent *agent = view->agent;
    const char *host = agent->conf->DEFAULT.host;
    struct bus_look look = {0};
    struct error unknown = ERROR_INIT;
    unsigned version = 0;
    if (bus_look(agent->bus, &look, &unknown) < 0) {
        host_check_warn(fact, "not to be seen without RabbitMQ");
        return 0;
    }
    if (look.consumers == 0 && !is_alone(agent))
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR, "nobody consumes compute.%s", host);
    int r = ask_version(agent, &version, err);
    if (r < 0)
        return error_prepend(err, "nova-conductor does not tell its version");
    if (version == 0 && !is_alone(agent))
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR, "Nova knows no nova-compute of host %s",
                         host);
    if (is_alone(agent))
        host_check_tell(fact, "attach is exclusive: none is asked for on host %s", host);
    else
        host_check_tell(fact, "consumes compute.%s; service version %u", host, version);
    return 0;
}
