/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that runs libvirt's default event loop: callbacks and keepalive live of it. One per
 * process at a time.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "common/error.h"

struct event_loop {
    pthread_t thread;
    atomic_bool stopping;
    int wake_timer;
};

/* `loop` stays where it is until event_loop_stop(). EBUSY while another runs. */
int event_loop_start(struct event_loop *loop, struct error *err);

/* No callback runs afterwards. */
void event_loop_stop(struct event_loop *loop);
