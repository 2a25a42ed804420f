/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quiesce_instance and unquiesce_instance: nova-api freezes a volume-backed server around the
 * snapshots it takes of the volumes itself.
 */
#pragma once

struct instance_request;

/*
 * Serves quiesce_instance (a call) on the calling worker thread. Takes what is handed over. The
 * caller gets None, or a failure of a class that its release takes for "cannot be quiesced":
 * InstanceQuiesceNotSupported, QemuGuestAgentNotEnabled, InstanceNotRunning, InstanceQuiesceFailed
 * or, before 2023.1, InternalError.
 * A guest another request is busy with is waited for, for half of [DEFAULT]rpc_response_timeout.
 */
void quiesce_freeze_serve(const struct instance_request *handed_over);

/*
 * Serves unquiesce_instance (a cast). Takes what is handed over. Waits until Cinder has taken the
 * snapshots of `mapping`, but not beyond the deadline of the freeze, then thaws in any case; never
 * for its turn.
 */
void quiesce_thaw_serve(const struct instance_request *handed_over);
