/* SPDX-License-Identifier: Apache-2.0 */
/* The command `domain image`: a disk, or all disks at one instant, as image files. On one thread.
 */
#pragma once

#include "common/error.h"
#include "domain/image_report.h"
#include "domain/image_request.h"
#include "domain/session.h"

/*
 * Makes and verifies them. All of them are there when it returns 0, and none when it does not,
 * unless they were whole and only what was left could not be cleared up. The guest is as it was in
 * both cases, but for a checkpoint that was asked for. First what an earlier command has left is
 * undone. ENOENT when the domain is lost for good, EINVAL for a request that makes no sense,
 * EEXIST for a file that is there. Free with image_report_done(), also after a failure.
 */
int image_take(struct session *session, const struct image_request *request,
               struct image_report *ret_report, struct error *err);
