/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks that an iothread serves. QEMU before 9.0 closes the client of a backup job's export on that
 * thread. Since the mend of CVE-2024-7409 (7.2.14, 8.2.7 and what distributions made of others)
 * this ends QEMU:
 *   blockdev-nbd.c: nbd_blockdev_client_closed: Assertion `qemu_in_main_thread() && nbd_server'
 * 9.0 closes it on the main loop (f816310d0c32 "nbd/server: only traverse NBDExport->clients from
 * main loop thread"). Tried: 7.2.22 of Debian 12 ends, 10.0.13 of Debian 13 goes on.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "driver/driver.h"

/* What a definition tells of it. */
struct disk_iothread_facts {
    bool mapped;              /* the disk, or its SCSI controller, has an iothread */
    unsigned machine_version; /* of QEMU, with which the guest's machine type came; 0: not told */
    char emulator[DRIVER_PATH_MAX];
};

/* Reads them. InternalError (EINVAL) when there is no such disk. Pure; public for its test. */
int disk_iothread_read(const char *xml, const char *disk_target,
                       struct disk_iothread_facts *ret_facts, struct error *err);

/*
 * Whether the disk of the running guest may be shown by a backup job: EOPNOTSUPP when an iothread
 * serves it and its QEMU is not known to be one that goes on when the reader closes. It is known by
 * the machine type (pc-q35-9.0 runs on no older one), or by its process.
 */
int disk_iothread_check(virDomainPtr domain, const char *disk_target, struct error *err);
