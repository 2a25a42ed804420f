/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator may ask of the daemon: HTTP with JSON on a UNIX socket, docs/design.md lists the
 * requests. Each connection has a thread of its own, so that an answer that takes its time holds up
 * nobody; it ends after seconds of silence, and has a bound on what it may send. When there are too
 * many, the next one is turned away.
 */
#pragma once

#include "common/error.h"
#include "control/control_ops.h"

struct control;

/*
 * Listens on `path` from now on; the folder is there and trusted. `ops` and `arg` are borrowed.
 * EADDRINUSE when another process listens there. Returns owned.
 */
int control_start(const char *path, const struct control_ops *ops, void *arg,
                  struct control **ret_control, struct error *err);

/* Answers nobody any more; waits for answers that are being made. NULL-safe. */
void control_stop(struct control *control);
