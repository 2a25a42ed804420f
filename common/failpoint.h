/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step boundaries at which a test makes the agent die or stand still. Nothing is armed without the
 * file <state_dir>/failpoint, which counts only when it and its folder belong to root and nobody
 * else may write them. It holds one line:
 *   <point> kill      the agent kills itself (SIGKILL) when it comes to the point; once, the file
 *                     is removed first
 *   <point> hold      the thread stands still there until the file is gone, at most 120 s;
 *                     <state_dir>/failpoint.reached tells that it has come there
 * A point is named after its component and what has just been done: "live:copy-ready".
 */
#pragma once

#include "common/log.h"

/* Where the file would be. Once, before threads start; without it nothing can be armed. */
void failpoint_init(const char *state_dir);

/*
 * Marks a step boundary: failpoint("live:copy-ready"). Its name is a debug line of the caller's
 * room. Thread-safe; one stat(2) when nothing is armed. Preserves errno.
 */
#define failpoint(point) failpoint_pass(point, LOG_HERE)
void failpoint_pass(const char *point, const struct log_place *place);
