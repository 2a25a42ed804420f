/* SPDX-License-Identifier: Apache-2.0 */
/* An NBD server of our own (qemu-nbd), and the connection to it. */
#pragma once

#include "common/error.h"
#include "driver/image/nbd_client.h"

/*
 * Starts a server that takes its socket by systemd's socket activation (qemu-nbd) and connects to
 * it. `argv` is borrowed for the time of the call, NULL-ended, argv[0] a constant. The server is
 * killed with the client, and when the calling thread ends. Returns owned.
 */
int nbd_launch(const char *const *argv, enum process_sandbox sandbox, unsigned stall_timeout_s,
               struct nbd_client **ret_client, struct error *err);
