/* SPDX-License-Identifier: Apache-2.0 */
/* The QEMU process of a running guest, as this host shows it. */
#pragma once

#include <limits.h>

#include "common/error.h"

/* A.B.C as libvirt counts versions (virConnectGetVersion). */
#define QEMU_VERSION(major, minor, micro) (1000000u * (major) + 1000u * (minor) + (micro))

/* Where libvirt keeps NAME.pid of each guest of qemu:///system. */
#define QEMU_PID_DIRECTORY "/run/libvirt/qemu"

/*
 * The version of the running QEMU of the domain called `name`, which is not that of the installed
 * one when the package was upgraded since the guest was started. `emulator` is the path its
 * definition gives; it is run, with --version. Fails when the running process is not shown, or is
 * another program than the installed one: InternalError (EIO) that says why.
 */
int qemu_process_version(const char *pid_directory, const char *name, const char *emulator,
                         unsigned *ret_version, struct error *err);

#define QEMU_PROCESS_MARK_SIZE 96

/*
 * What no other process has, of this boot of the host or of another one: boot id, pid and time of
 * start. Also of this process, by its pid. EIO when it is not shown.
 */
int qemu_process_mark(int pid, char ret_mark[static QEMU_PROCESS_MARK_SIZE], struct error *err);

/*
 * The mark of the QEMU that runs the domain of that name and uuid, by NAME.pid. EIO when there is
 * no such file, or the process is not shown or is not that guest's, as where processes of the host
 * have other pids.
 */
int qemu_process_mark_of(const char *pid_directory, const char *name, const char *uuid,
                         char ret_mark[static QEMU_PROCESS_MARK_SIZE], struct error *err);

/*
 * Where the libvirt of that URI keeps its NAME.pid: QEMU_PID_DIRECTORY, or that of a user's own
 * session. ENOENT where that is not known, as of other drivers.
 */
int qemu_process_directory(const char *uri, char ret_path[static PATH_MAX], struct error *err);
