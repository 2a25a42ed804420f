/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configuration names and this host must have: folders, programs, libvirt's socket. Looked
 * at without making or changing anything, and, unless facts are wanted, without asking anybody.
 * Rows of host_checks.c; they take no longer than the file systems do.
 */
#pragma once

#include <stdbool.h>

#include "agent/host_check.h"
#include "conf/conf.h"

#define LOCAL_CHECKS_USER_SIZE 64 /* "nova (64060)" */

host_check_look local_checks_instances;
host_check_look local_checks_snapshots;
host_check_look local_checks_state;
host_check_look local_checks_devices;
host_check_look local_checks_qemu_img;
host_check_look local_checks_qemu_nbd;
host_check_look local_checks_libvirt;

/* Whether state_dir is there and not the caller's own: whose it is then. */
bool local_checks_state_is_others(const struct conf *conf,
                                  char ret_user[static LOCAL_CHECKS_USER_SIZE]);

/*
 * Who serves this host: the pid in the lock file when another process holds it, 0 when nobody
 * does. Takes no lock.
 */
int local_checks_lock_holder(const struct conf *conf);
