/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's orderly end. No request is taken any more; those that wait for a slot go back to
 * nova-compute; those that run have [DEFAULT]graceful_shutdown_timeout. What could not end by
 * itself has the last part of it to bring its guest back, and is left to the next start.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct agent;
struct rpc_request;
struct shutdown;

/* Returns owned. */
int shutdown_new(struct shutdown **ret_shutdown, struct error *err);

/* NULL-safe. */
void shutdown_free(struct shutdown *shutdown);

/* True from shutdown_begin() on. Thread-safe. */
bool shutdown_has_begun(const struct shutdown *shutdown);

/* Since shutdown_begin(); NEVER_MS = no limit. */
struct shutdown_times {
    uint64_t cancel_ms; /* what runs is cancelled: guests come back */
    uint64_t leave_ms;  /* what still runs is left behind */
};

/* What requests are cancelled with, and whether an error is that. */
void shutdown_reason(struct error *ret_reason);
bool shutdown_is_reason(const struct error *err);

struct shutdown_times shutdown_times(unsigned graceful_shutdown_timeout_s);

enum shutdown_step { SHUTDOWN_WAIT, SHUTDOWN_CANCEL, SHUTDOWN_LEAVE, SHUTDOWN_DONE };

/*
 * What is to be done `elapsed_ms` after the beginning; `hurry`: somebody asked again. Pure; public
 * for its test.
 */
enum shutdown_step shutdown_next(const struct shutdown_times *times, uint64_t elapsed_ms,
                                 bool hurry, unsigned n_running);

/* How long to wait before asking again, at most `most_ms`. Pure; public for its test. */
unsigned shutdown_pause_ms(const struct shutdown_times *times, uint64_t elapsed_ms,
                           unsigned most_ms);

enum shutdown_whom {
    SHUTDOWN_WAITING, /* requests that wait for a slot */
    SHUTDOWN_ALL,     /* running ones too */
};

struct shutdown_ops {
    /* Cancels requests; may be called again for the same ones. NULL: none can be cancelled. */
    void (*cancel)(struct agent *agent, enum shutdown_whom whom);

    /* Called at least every 250 ms; true when what still runs is to be cancelled at once. */
    bool (*hurry)(void *arg);
    void *arg;
};

/*
 * Takes no more requests and waits until nothing runs. False when something is left behind: its
 * threads go on, nothing they use may be freed. Main thread.
 */
bool shutdown_run(struct agent *agent, const struct shutdown_ops *ops);

/*
 * For a request of which nothing has been done (borrowed): gives it to nova-compute. False when it
 * could not, or not now: unless shutdown_run() has stopped consuming, or the preflight has; and
 * with attach = exclusive, where there is nobody to give it to.
 */
bool shutdown_hand_back(struct agent *agent, const struct rpc_request *request);
