/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations snapshot_instance and backup_instance: from the accepted request to an active
 * image, or to nothing left.
 */
#pragma once

#include "agent/operation.h"

/*
 * Reads the arguments without side effect; the dispatcher uses it to refuse what cannot be served.
 * Borrows `request`, which must outlive *ret_arguments. Free with snapshot_request_done().
 */
int snapshot_request_parse(const struct rpc_request *request,
                           struct snapshot_request *ret_arguments, struct error *err);

void snapshot_request_done(struct snapshot_request *arguments);

/*
 * Serves the request on the calling worker thread, to the end. Takes `request` and `record`. Every
 * outcome is reported through conductor, Glance and notifications, and logged once. The image of a
 * volume-backed server is a record of Cinder snapshots, without data. Waits for its `turn`
 * (borrowed) and keeps it to the end.
 */
void snapshot_serve(struct agent *agent, struct rpc_request *request, struct journal_record *record,
                    struct instance_turn *turn);

/*
 * The same for a request that an agent which died has left in the journal: what had hardly begun is
 * begun again, a finished image is uploaded, everything else is undone and reported as a failure.
 */
void snapshot_recover(struct agent *agent, struct rpc_request *request,
                      struct journal_record *record, struct instance_turn *turn);
