/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of volumes in files (NFS and the like), which Cinder cannot take alone while a guest
 * writes: volume_snapshot_create and volume_snapshot_delete.
 */
#pragma once

#include "agent/agent.h"
#include "agent/instance_queue.h"
#include "agent/journal.h"
#include "amqp/bus.h"

/*
 * Serve the request on the calling worker thread, to the end. Take `request` and `record`; wait for
 * their `turn` (borrowed), but not as long as Cinder would, and pass it on when the guest is done
 * with. Cinder is told the outcome whatever it is, then the mapping's connection_info is read anew.
 */
void assisted_snapshot_create_serve(struct agent *agent, struct rpc_request *request,
                                    struct journal_record *record, struct instance_turn *turn);
void assisted_snapshot_delete_serve(struct agent *agent, struct rpc_request *request,
                                    struct journal_record *record, struct instance_turn *turn);

/* The same after the agent has died meanwhile: the driver finds done what has been done. */
void assisted_snapshot_create_recover(struct agent *agent, struct rpc_request *request,
                                      struct journal_record *record, struct instance_turn *turn);
void assisted_snapshot_delete_recover(struct agent *agent, struct rpc_request *request,
                                      struct journal_record *record, struct instance_turn *turn);

/*
 * A request can be served when the volume and the snapshot that Cinder waits for can be named; what
 * else is wrong with it is told to Cinder.
 */
int assisted_snapshot_check(const struct rpc_request *request, struct error *err);
