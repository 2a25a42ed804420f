/* SPDX-License-Identifier: Apache-2.0 */
/* The QEMU process of a running guest, as this host shows it. */
#pragma once

#include "common/error.h"

/* A.B.C as libvirt counts versions (virConnectGetVersion). */
#define QEMU_VERSION(major, minor, micro) ((major)*1000000u + (minor)*1000u + (micro))

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
