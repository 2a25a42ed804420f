/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of volumes in files (NFS and the like), which Cinder cannot take alone while a guest
 * writes: volume_snapshot_create and volume_snapshot_delete.
 */
#pragma once

#include "common/error.h"

struct instance_request;
struct rpc_request;

/*
 * Serve the request on the calling worker thread, to the end. Take what is handed over; wait for
 * their turn, but not as long as Cinder would, and pass it on when the guest is done with. Cinder
 * is told the outcome whatever it is, then the mapping's connection_info is read anew.
 */
void assisted_snapshot_create_serve(const struct instance_request *handed_over);
void assisted_snapshot_delete_serve(const struct instance_request *handed_over);

/* The same after the agent has died meanwhile: the driver finds done what has been done. */
void assisted_snapshot_create_recover(const struct instance_request *handed_over);
void assisted_snapshot_delete_recover(const struct instance_request *handed_over);

/*
 * A request can be served when the volume and the snapshot that Cinder waits for can be named; what
 * else is wrong with it is told to Cinder. Any thread.
 */
int assisted_snapshot_check(const struct rpc_request *request, struct error *err);
