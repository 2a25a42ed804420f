/* The image of a server whose root disk is a file, a block device or in Ceph. */
#pragma once

#include "agent/operation.h"

/*
 * From the guest's root disk to an active image: looks at everything before anything is touched,
 * then takes the copy and hands it to Glance. Moves the task state to image_pending_upload and
 * image_uploading. On failure the guest is as it was and nothing is left but the image's record.
 */
int disk_image_make(struct operation *op, struct error *err);
