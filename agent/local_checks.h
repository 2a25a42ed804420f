/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configuration names and this host must have: folders, programs, libvirt's socket. Looked
 * at without making or changing anything, and, unless facts are wanted, without asking anybody.
 * Rows of host_checks.c; they take no longer than the file systems do.
 */
#pragma once

#include "agent/host_check.h"
#include "conf/conf.h"

host_check_look local_checks_instances;
host_check_look local_checks_snapshots;
host_check_look local_checks_state;
host_check_look local_checks_devices;
host_check_look local_checks_qemu_img;
host_check_look local_checks_qemu_nbd;
host_check_look local_checks_libvirt;

/*
 * Who serves this host: the pid in the lock file when another process holds it, 0 when nobody
 * does. Takes no lock.
 */
int local_checks_lock_holder(const struct conf *conf);
