/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a snapshot freezes the guest, and what becomes of it when that cannot be done: the image
 * properties hw_qemu_guest_agent and os_require_quiesce.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "driver/driver.h"
#include "driver/libvirt/guest_freeze.h"

struct guest_quiesce {
    bool wanted;   /* hw_qemu_guest_agent */
    bool required; /* os_require_quiesce */
    enum power_state power_state;
};

/* Fails when it is required and the guest cannot answer, which is known before anything is done. */
int guest_quiesce_check(const struct guest_quiesce *quiesce, struct error *err);

/*
 * Freezes the guest if that is wanted; guest_quiesce_end() thaws it. A guest that cannot be frozen
 * is a failure only when it is required.
 */
int guest_quiesce_start(const struct guest_quiesce *quiesce, struct guest_freeze *freeze,
                        virDomainPtr domain, bool *ret_quiesced, struct error *err);

/*
 * Thaws the guest after the instant of the snapshot, three times if need be. When only a later try
 * succeeds, nobody knows how long it was frozen: *quiesced becomes false, which is a failure where
 * it is required. A guest that stays frozen is always a failure; guest_freeze_end() is to be called
 * again then.
 */
int guest_quiesce_end(const struct guest_quiesce *quiesce, struct guest_freeze *freeze,
                      virDomainPtr domain, bool *quiesced, struct error *err);
