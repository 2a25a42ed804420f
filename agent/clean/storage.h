/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a folder is this host's alone: of what others do there nothing is seen. Any thread. */
#pragma once

#include "common/error.h"

/*
 * EREMOTE, saying why, unless only this machine can have files open below the folder: its file
 * system is one of those known to be local, and nothing of this machine is exported over NFS.
 */
int clean_storage_check_local(int fd, struct error *err);

/*
 * EREMOTE unless nova-compute has written down that `host` alone uses instances_path, and the
 * folder is on the same file system. Source: nova.virt.storage_users.
 */
int clean_storage_check_users(int fd, const char *instances_path, const char *host,
                              struct error *err);

/* Whether a table of exports has none, or is not there; public for its test. */
int clean_storage_check_exports(const char *path, struct error *err);
