/* SPDX-License-Identifier: Apache-2.0 */
/* See shutdown.h. */
#include "agent/shutdown.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/preflight.h"
#include "agent/workers.h"
#include "amqp/bus.h"
#include "amqp/rpc.h"
#include "common/clock.h"
#include "common/log.h"
#include "conf/conf.h"

#define ROLLBACK_MAX_MS 10000
#define PAUSE_MAX_MS 250
#define REASON "the snapshot agent is about to end"

struct shutdown {
    atomic_bool has_begun;
};

int shutdown_new(struct shutdown **ret_shutdown, struct error *err)
{
    struct shutdown *shutdown = calloc(1, sizeof(*shutdown));
    if (!shutdown)
        return error_nomem(err);
    *ret_shutdown = shutdown;
    return 0;
}

void shutdown_free(struct shutdown *shutdown)
{
    free(shutdown);
}

bool shutdown_has_begun(const struct shutdown *shutdown)
{
    return atomic_load(&shutdown->has_begun);
}

void shutdown_reason(struct error *ret_reason)
{
    (void)error_set(ret_reason, ECANCELED, EXC_INTERNAL_ERROR, REASON);
}

bool shutdown_is_reason(const struct error *err)
{
    return err->errnum == ECANCELED && strcmp(err->message, REASON) == 0;
}

struct shutdown_times shutdown_times(unsigned graceful_shutdown_timeout_s)
{
    if (graceful_shutdown_timeout_s == 0)
        return (struct shutdown_times){NEVER_MS, NEVER_MS};
    uint64_t all_ms = (uint64_t)graceful_shutdown_timeout_s * 1000;
    return (struct shutdown_times){all_ms - earlier_ms(all_ms / 4, ROLLBACK_MAX_MS), all_ms};
}

enum shutdown_step shutdown_next(const struct shutdown_times *times, uint64_t elapsed_ms,
                                 bool hurry, unsigned n_running)
{
    if (n_running == 0)
        return SHUTDOWN_DONE;
    if (elapsed_ms >= times->leave_ms)
        return SHUTDOWN_LEAVE;
    return hurry || elapsed_ms >= times->cancel_ms ? SHUTDOWN_CANCEL : SHUTDOWN_WAIT;
}

unsigned shutdown_pause_ms(const struct shutdown_times *times, uint64_t elapsed_ms,
                           unsigned most_ms)
{
    uint64_t next_ms = elapsed_ms < times->cancel_ms ? times->cancel_ms : times->leave_ms;
    uint64_t left_ms = next_ms > elapsed_ms ? next_ms - elapsed_ms : 1;
    return (unsigned)earlier_ms(left_ms, most_ms);
}

/* Every time anew: a request may begin to wait after the others were cancelled. */
static void cancel_by_ops(struct agent *agent, const struct shutdown_ops *ops,
                          enum shutdown_whom whom)
{
    if (ops->cancel)
        ops->cancel(agent, whom);
}

static enum shutdown_step wait_and_cancel(struct agent *agent, const struct shutdown_ops *ops,
                                          const struct shutdown_times *times)
{
    uint64_t start_ms = clock_now_ms();
    bool hurry = false;
    bool was_cancelled = false;
    for (;;) {
        hurry = ops->hurry(ops->arg) || hurry;
        uint64_t elapsed_ms = clock_now_ms() - start_ms;
        unsigned n_running = workers_running(agent->workers);
        enum shutdown_step step = shutdown_next(times, elapsed_ms, hurry, n_running);
        if (step == SHUTDOWN_DONE || step == SHUTDOWN_LEAVE)
            return step;
        bool is_cancelled = step == SHUTDOWN_CANCEL && ops->cancel;
        if (is_cancelled && !was_cancelled)
            log_warning("interrupting %u requests: their guests are restored, the next start of "
                        "the agent resumes them",
                        n_running);
        was_cancelled = is_cancelled;
        cancel_by_ops(agent, ops, step == SHUTDOWN_CANCEL ? SHUTDOWN_ALL : SHUTDOWN_WAITING);
        (void)workers_wait(agent->workers, shutdown_pause_ms(times, elapsed_ms, PAUSE_MAX_MS));
    }
}

bool shutdown_run(struct agent *agent, const struct shutdown_ops *ops)
{
    unsigned timeout_s = (unsigned)agent->conf->DEFAULT.graceful_shutdown_timeout;
    const struct shutdown_times times = shutdown_times(timeout_s);
    bus_detach(agent->bus);
    log_debug("%u requests are under way as the end begins", workers_running(agent->workers));
    atomic_store(&agent->shutdown->has_begun, true); /* only now may a request be handed back */
    if (wait_and_cancel(agent, ops, &times) == SHUTDOWN_DONE)
        return true;
    log_error("%u requests did not end within graceful_shutdown_timeout (%u s)",
              workers_running(agent->workers), timeout_s);
    return false;
}

bool shutdown_hand_back(struct agent *agent, const struct rpc_request *request)
{
    struct error err = ERROR_INIT;
    bool is_aside =
        shutdown_has_begun(agent->shutdown) || preflight_check(agent->preflight, &err) < 0;
    if (!is_aside || strcmp(agent->conf->snapshot_agent.attach, "exclusive") == 0)
        return false;
    err = (struct error)ERROR_INIT;
    if (rpc_hand_back(agent->bus, request, &err) < 0) {
        log_error("%s cannot be handed back to nova-compute: %s", request->method, err.message);
        return false;
    }
    log_info("%s is handed back to nova-compute: it was not begun", request->method);
    return true;
}
