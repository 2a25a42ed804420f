/* SPDX-License-Identifier: Apache-2.0 */
/* Saving a running or paused guest's memory to disk, with an eye on its progress. */
#pragma once

#include <libvirt/libvirt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/*
 * virDomainManagedSave(): the guest is stopped and started again from this state by
 * virDomainCreateWithFlags(). Given up (ETIMEDOUT) when nothing was written for stall_timeout_s,
 * and when cancelled (ECANCELED). After a failure the guest may have been left paused.
 */
int managed_save(virDomainPtr domain, unsigned stall_timeout_s, struct error *err);

struct managed_save_target {
    const char *file; /* virDomainSaveFlags() makes it; NULL: where libvirt keeps it */
    unsigned flags;   /* VIR_DOMAIN_SAVE_*: how the guest is to be afterwards; 0: as it is */

    /* Told on a thread of its own, which it may not keep waiting, how much is written of what was
     * to be at first. NULL: nobody wants to know. */
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void *arg;
};

/* The same to a target, which is borrowed. A file that is there would be replaced. */
int managed_save_to(virDomainPtr domain, const struct managed_save_target *target,
                    unsigned stall_timeout_s, struct error *err);

/*
 * Waits for a save of the domain whose caller is gone, if one is running. It is ended when nothing
 * was written for stall_timeout_s; ETIMEDOUT when it does not let itself be ended.
 */
int managed_save_await(virDomainPtr domain, unsigned stall_timeout_s, struct error *err);

/*
 * That libvirt keeps no memory of the domain: EBUSY when it does. That belongs to the disks as they
 * are, by the names of their layers.
 */
int managed_save_check_none(virDomainPtr domain, struct error *err);

/*
 * The file that the memory of a domain of the system's libvirt is kept in, which its API does not
 * tell (libvirt: src/qemu/qemu_conf.c, saveDir). False when that is not known, or cannot be read.
 */
bool managed_save_file(virDomainPtr domain, char ret_path[static PATH_MAX]);
