/* SPDX-License-Identifier: Apache-2.0 */
/* Saving a running or paused guest's memory to disk, with an eye on its progress. */
#pragma once

#include <libvirt/libvirt.h>

#include "common/error.h"

/*
 * virDomainManagedSave(): the guest is stopped and started again from this state by
 * virDomainCreateWithFlags(). Given up (ETIMEDOUT) when nothing was written for stall_timeout_s,
 * and when cancelled (ECANCELED). After a failure the guest may have been left paused.
 */
int managed_save(virDomainPtr domain, unsigned stall_timeout_s, struct error *err);

/*
 * Waits for a save of the domain whose caller is gone, if one is running. It is ended when nothing
 * was written for stall_timeout_s; ETIMEDOUT when it does not let itself be ended.
 */
int managed_save_await(virDomainPtr domain, unsigned stall_timeout_s, struct error *err);
