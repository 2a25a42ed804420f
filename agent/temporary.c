/* SPDX-License-Identifier: Apache-2.0 */
/* See temporary.h. */
#include "agent/temporary.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "agent/instance_queue.h"
#include "agent/shutdown.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/log.h"

#define LONG_PAUSE_MS 300000
#define STEP_MS 2000

bool temporary_failure(const struct error *err)
{
    return err->passes || err->http_status >= 500 || err->http_status == 429 ||
           error_is(err, EXC_MESSAGING_TIMEOUT) || error_is(err, EXC_MESSAGE_DELIVERY_FAILURE) ||
           error_is(err, EXC_GLANCE_CONNECTION_FAILED) ||
           error_is(err, EXC_CINDER_CONNECTION_FAILED) || strncmp(err->exc, "DB", 2) == 0;
}

struct temporary_wait temporary_wait_begin(const struct shutdown *shutdown)
{
    static const struct retry_policy first_hour = {UINT_MAX, 1000, 5000, 3600000};
    return (struct temporary_wait){.retry = retry_begin(&first_hour), .shutdown = shutdown};
}

/* The agent's end is noticed within seconds. False when it has begun, or the work is cancelled. */
static bool pause_for_long(const struct shutdown *shutdown)
{
    static const struct retry_policy steps = {UINT_MAX, STEP_MS, STEP_MS, LONG_PAUSE_MS};
    struct retry retry = retry_begin(&steps);
    struct error cancelled = ERROR_INIT;
    while (!shutdown_has_begun(shutdown) && retry_wait(&retry, STEP_MS))
        ;
    return !shutdown_has_begun(shutdown) && cancel_check(&cancelled) == 0;
}

static bool await_turn_again(struct instance_turn *turn, const struct shutdown *shutdown)
{
    struct error err = ERROR_INIT;
    int r;
    instance_turn_join_again(turn);
    while ((r = instance_turn_await(turn, clock_now_ms() + STEP_MS, &err)) == -ETIMEDOUT &&
           !shutdown_has_begun(shutdown))
        err = (struct error)ERROR_INIT;
    return r == 0;
}

bool temporary_wait_next(struct temporary_wait *wait, struct instance_turn *turn)
{
    struct error cancelled = ERROR_INIT;
    if (shutdown_has_begun(wait->shutdown) || cancel_check(&cancelled) < 0)
        return false;
    if (retry_wait(&wait->retry, 0))
        return true;
    log_debug("will try again in %d s, others of the instance %s meanwhile", LONG_PAUSE_MS / 1000,
              turn ? "go on" : "wait");
    if (!turn)
        return pause_for_long(wait->shutdown);
    instance_turn_pass(turn);
    return pause_for_long(wait->shutdown) && await_turn_again(turn, wait->shutdown);
}
