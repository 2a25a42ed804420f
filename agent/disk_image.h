/* SPDX-License-Identifier: Apache-2.0 */
/* The image of a server whose root disk is a file, a block device or in Ceph. */
#pragma once

#include "agent/operation.h"

/*
 * From the guest's root disk to an active image: looks at everything before anything is touched,
 * then takes the copy and hands it to Glance. Moves the task state to image_pending_upload and
 * image_uploading. On failure the guest is as it was and nothing is left but the image's record.
 */
int disk_image_make(struct operation *op, struct error *err);

/*
 * The second half alone: a finished image (borrowed) of the format to Glance, with the states and
 * notes that belong to it.
 */
int disk_image_upload(struct operation *op, struct image_source *image, const char *image_format,
                      struct error *err);

/*
 * Closes an image (may be NULL) whose upload came to `r`; what the next start of the agent is to
 * upload stays.
 */
void disk_image_let_go(const struct operation *op, struct image_source *image, int r);

/*
 * Brings the guest and the host back from what an earlier life of the operation has noted.
 * *ret_image is the finished image or NULL; owned. To be called again after a failure.
 */
int disk_image_recover(struct operation *op, struct image_source **ret_image, struct error *err);

/* The same for an operation that has failed, unless that has been done. */
int disk_image_undo(struct operation *op, struct error *err);
