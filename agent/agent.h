/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all requests share: the configuration and the connections of this agent.
 *
 * Set up by main before the bus starts and constant from then on, so it is read without a lock.
 * Whoever uses a part includes the part's own header.
 */
#pragma once

#include <stdatomic.h>

#include "agent/host_key.h"

struct bus;
struct canceller;
struct cinder;
struct clean;
struct control;
struct conf;
struct doctor;
struct driver;
struct freeze_ledger;
struct freezer;
struct glance;
struct instance_queue;
struct jobs;
struct journal;
struct keystone_session;
struct live_options;
struct metrics_server;
struct preflight;
struct recovery;
struct release;
struct shutdown;
struct slots;
struct state_watch;
struct throttle;
struct workers;

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
    struct host_key key;                      /* by which it knows what it has made */
    struct recovery *recovery;                /* requests an earlier agent has left */
    struct preflight *preflight;              /* whether this host can take snapshots */
    struct release *release;                  /* of the nova-compute beside us */
    struct canceller *canceller;              /* cancels snapshots nobody wants any more */
    struct state_watch *state_watch;          /* and whose task state is not theirs any more */
    struct workers *workers;                  /* threads */
    struct jobs *jobs;                        /* and what they are at */
    struct control *control;                  /* what operators ask; NULL: nothing */
    struct clean *clean;                      /* looks for what snapshots have left */
    struct doctor *doctor;                    /* looks at the host for them */
    struct metrics_server *metrics_server;    /* what a Prometheus asks over TCP; NULL: nothing */
    atomic_uint taking;                       /* accepted requests that have none yet */
    struct instance_queue *instance_queue;    /* one operation per instance */
    struct shutdown *shutdown;                /* whether the end has begun */
    struct slots *snapshot_slots;             /* [DEFAULT]max_concurrent_snapshots */
    struct slots *disk_op_slots;              /* [compute]max_concurrent_disk_ops */
    struct live_options *live_options;        /* what SIGHUP changes */
    struct throttle *disk_throttle;           /* disk_rate_limit_host */
    struct throttle *upload_throttle;         /* upload_rate_limit_host */
};
