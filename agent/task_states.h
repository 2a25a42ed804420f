/* SPDX-License-Identifier: Apache-2.0 */
/* The task states of a snapshot (nova.compute.task_states). */
#pragma once

#define IMAGE_SNAPSHOT_PENDING "image_snapshot_pending"
#define IMAGE_SNAPSHOT "image_snapshot"
#define IMAGE_BACKUP "image_backup"
#define IMAGE_PENDING_UPLOAD "image_pending_upload"
#define IMAGE_UPLOADING "image_uploading"
