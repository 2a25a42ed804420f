/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether fingerprints of a saved guest's disks that are taken late, since the save was killed
 * before, tell what the disks were when it was saved. On one thread.
 */
#pragma once

#include <jansson.h>

#define LATE_FINGERPRINT_REASON_SIZE 512

/*
 * They do when each layer is the file it was before the save (`before`, of disk_fingerprint_look())
 * and was not written to since the memory was: its last word comes when the guest has let go of its
 * disks. Times of two file systems may be those of two clocks, and tell nothing. `now` has the same
 * layers in their order; `memory` NULL: a file nobody can name. "" in `ret_reason` when they do.
 */
void late_fingerprint_doubt(const json_t *before, const json_t *now, const char *memory,
                            char ret_reason[static LATE_FINGERPRINT_REASON_SIZE]);
