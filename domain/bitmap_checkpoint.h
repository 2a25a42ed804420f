/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirt's checkpoints (virDomainCheckpoint): dirty bitmaps in a running domain's qcow2 disks,
 * which tell what was written since the instant of an image. Ours have a description that names the
 * images of that instant, as JSON: {"nova_snapshot": id, "images": {"vda": {"path": path, "format":
 * format, "mark": mark}}} (driver/image/qcow2_mark.h).
 */
#pragma once

#include <jansson.h>

#include "common/error.h"
#include "domain/session.h"

#define BITMAP_CHECKPOINT_NAME_MAX 200

/* EEXIST when there is one of the name; EINVAL for a name that can be none. */
int bitmap_checkpoint_check_name(const struct session *session, const char *name,
                                 struct error *err);

/*
 * What libvirt is to make: bitmaps in the disks that `images` (by target, borrowed) names.
 * Returned owned: free().
 */
int bitmap_checkpoint_describe(const char *name, const char *id, json_t *images, char **ret_xml,
                               struct error *err);

/* A checkpoint's description as JSON, from its XML; owned, NULL when it is none of ours. Pure. */
json_t *bitmap_checkpoint_description(const char *xml);

/*
 * The images of one of ours, by target; returned owned. ENOENT when there is no checkpoint of
 * the name, EINVAL when it is none that was made with images.
 */
int bitmap_checkpoint_images(const struct session *session, const char *name, json_t **ret_images,
                             struct error *err);

/* Removes the one of that name and id, if there is one: another's stays. EAGAIN when the domain
 * does not run. */
int bitmap_checkpoint_remove(const struct session *session, const char *name, const char *id,
                             struct error *err);
