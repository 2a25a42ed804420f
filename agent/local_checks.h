/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host must have before a snapshot can be taken, looked at without making, changing or
 * asking anything: folders, programs, libvirt's socket.
 */
#pragma once

#include "conf/conf.h"

/* What became of one look; `trouble` NULL = all is well. Both borrowed. */
typedef void (*local_check_tell)(void *arg, const char *what, const struct error *trouble);

/*
 * Looks at everything, in the same order each time, and tells of each. Returns how much is not
 * well. Takes no longer than the file systems do. Any thread.
 */
unsigned local_checks_run(const struct conf *conf, local_check_tell tell, void *arg);

/*
 * Who serves this host: the pid in the lock file when another process holds it, 0 when nobody
 * does. Takes no lock.
 */
int local_checks_lock_holder(const struct conf *conf);
