/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file a guest was saved to last: until it goes on from there, its disks have to stay the
 * layers that its memory names. On one thread.
 *
 * <state>/saved/<uuid>.file, an object: {path, folder, ino, mtime_ns}; `folder` is the inode of the
 * file's, absent in one of an earlier version.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/*
 * By the record of a command that ends: writes it down of a guest that was saved to a file, forgets
 * it of one that goes on from a file. ENOENT when it cannot be told whether the file has gone, as
 * when its storage is not mounted. To be called again after a failure.
 */
int saved_file_settle(const struct session *session, struct error *err);

/*
 * EBUSY naming the file while it is there as it was written, or is not there and its folder is not
 * the one it was in, and the guest of the session's domain has not run since; with `force` that is
 * a warning. Else it is forgotten. It has run where it does now, or a file that it writes to is not
 * the one that FILE.disks tells of, or was written to since: it was started without its memory.
 * Where that cannot be told it has not.
 */
int saved_file_check(const struct session *session, bool force, struct error *err);
