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
