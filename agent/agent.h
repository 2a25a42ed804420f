/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all requests share: the configuration and the connections of this agent.
 *
 * Set up by main before the bus starts and constant from then on, so it is read without a lock.
 */
#pragma once

#include <stdatomic.h>

#include "agent/canceller.h"
#include "agent/freezer.h"
#include "agent/instance_queue.h"
#include "agent/journal.h"
#include "agent/live_options.h"
#include "agent/preflight.h"
#include "agent/recover.h"
#include "agent/release.h"
#include "agent/shutdown.h"
#include "agent/slots.h"
#include "agent/state_watch.h"
#include "agent/workers.h"
#include "amqp/bus.h"
#include "cinder_client/cinder.h"
#include "common/throttle.h"
#include "conf/conf.h"
#include "driver/driver.h"
#include "glance_client/glance.h"

struct agent {
    const struct conf *conf;
    struct bus *bus;
    struct driver *driver;
    struct glance *glance;
    struct cinder *cinder;
    struct keystone_session *own_session;     /* of [service_user]; NULL without credentials */
    struct keystone_session *service_session; /* the same, NULL without send_service_user_token */
    struct keystone_session *cinder_session;  /* as [cinder] reaches Keystone, likewise */
    struct freeze_ledger *freeze_ledger;      /* guests frozen now */
    struct freezer *freezer;                  /* guests frozen for volume snapshots */
    struct journal *journal;                  /* requests under way */
    struct recovery *recovery;                /* requests an earlier agent has left */
    struct preflight *preflight;              /* whether this host can take snapshots */
    struct release *release;                  /* of the nova-compute beside us */
    struct canceller *canceller;              /* cancels snapshots nobody wants any more */
    struct state_watch *state_watch;          /* and whose task state is not theirs any more */
    struct workers *workers;                  /* threads */
    atomic_uint taking;                       /* accepted requests that have none yet */
    struct instance_queue *instance_queue;    /* one operation per instance */
    struct shutdown *shutdown;                /* whether the end has begun */
    struct slots *snapshot_slots;             /* [DEFAULT]max_concurrent_snapshots */
    struct slots *disk_op_slots;              /* [compute]max_concurrent_disk_ops */
    struct live_options *live_options;        /* what SIGHUP changes */
    struct throttle *disk_throttle;           /* disk_rate_limit_host */
    struct throttle *upload_throttle;         /* upload_rate_limit_host */
};
