/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations snapshot_instance and backup_instance: from the accepted request to an active
 * image, or to nothing left.
 */
#pragma once

#include "common/error.h"

struct instance_request;
struct rpc_request;

/* Says which argument of the request cannot be understood. Without side effect; any thread. */
int snapshot_check(const struct rpc_request *request, struct error *err);

/*
 * Serves the request on the calling worker thread, to the end. Takes what is handed over. Every
 * outcome is reported through conductor, Glance and notifications, and logged once. The image of a
 * volume-backed server is an image without data that names Cinder snapshots. Waits for its turn and
 * keeps it to the end.
 */
void snapshot_serve(const struct instance_request *handed_over);

/*
 * The same for a request that an agent which died has left in the journal: what had hardly begun is
 * begun again, a finished image is uploaded, everything else is undone and reported as a failure.
 */
void snapshot_recover(const struct instance_request *handed_over);
