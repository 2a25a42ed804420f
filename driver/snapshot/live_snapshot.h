/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live snapshot: taking it by a copy (live.c) or by a backup job (live_stream.c), and undoing
 * either (live_undo.c), also for a process that has died (live_recover.c). On one thread.
 */
#pragma once

#include <libvirt/libvirt.h>

#include "common/error.h"
#include "driver/block/backup_job.h"
#include "driver/block/block_copy.h"
#include "driver/image/disk_space.h"
#include "driver/image/qemu_user.h"
#include "driver/image/staging.h"
#include "driver/libvirt/guest_freeze.h"
#include "driver/libvirt/guest_quiesce.h"
#include "driver/libvirt/saved_definition.h"
#include "driver/libvirt_driver_private.h"

struct live_snapshot {
    struct libvirt_driver *driver;
    const struct guest_info *info;
    const struct snapshot_plan *plan;
    const struct driver_owner *owner; /* borrowed; may be NULL */
    virDomainPtr domain; /* owned; NULL when there is none any more, or none was found again */
    bool gone;           /* libvirt knows no such domain any more */
    bool deleting;       /* nova-compute deletes the instance at the same time */
    bool stays_gone;     /* there is to be no domain of it any more */
    struct staging *staging;
    uint64_t needed_bytes; /* the most that is written */
    struct disk_space *space;
    struct saved_definition definition;
    struct block_copy copy;
    struct backup_job backup;
    bool looks_only;     /* nothing is changed, taken or reserved: check_plan.c */
    bool may_be_stopped; /* QEMU may stop the guest whose overwritten data the backup cannot keep */
    struct guest_quiesce quiesce;
    struct guest_freeze freeze;
};

/* The operation before anything is done. Borrows all of them. */
struct live_snapshot live_snapshot_of(struct libvirt_driver *driver, const struct guest_info *info,
                                      const struct snapshot_plan *plan);

/* Whether the image is made while it is read, or has to be a file first. */
bool live_snapshot_is_streamed(const struct live_snapshot *op);

/* Whether the guest can be frozen where it has to be, and its disk has no block job (EBUSY). */
int live_snapshot_check(const struct live_snapshot *op, struct error *err);

/*
 * Chooses the names, reserves room for `disk_space_parts` (enum disk_space_part), and for the image
 * where it has to be a file, and writes down what is about to be done, before anything is.
 */
int live_snapshot_begin(struct live_snapshot *op, unsigned disk_space_parts, struct error *err);

/*
 * All that comes before anything is done, by blockRebase or blockCopy (live.c), by a backup job
 * (live_stream.c): whether the method can be used, and live_snapshot_begin().
 */
int live_copy_prepare(struct live_snapshot *op, struct error *err);
int live_stream_prepare(struct live_snapshot *op, struct error *err);

/* Lets QEMU open the file at staging_delta_path(), in case that libvirt does not. */
int live_snapshot_give_delta(const struct live_snapshot *op, struct error *err);

/*
 * In live_stream.c: begins the backup job that shows the disk, and those of op->backup.others,
 * whose scratch files are there already, at op->backup.socket_path. live_undo() ends it, also after
 * a failure.
 */
int libvirt_live_stream_show(struct live_snapshot *op, bool *ret_quiesced, struct error *err);

/*
 * The failure of libvirt to begin, or to undefine, is one of the method, unless the guest or
 * libvirtd has gone: turns *err into EOPNOTSUPP. Returns -errno.
 */
int live_snapshot_unusable(const struct live_snapshot *op, struct error *err);

/*
 * Brings the guest back from wherever the snapshot has come to. Every step runs, if need be twice,
 * whatever became of the others; *err keeps the first error. Does not touch op->staging.
 */
void live_undo(struct live_snapshot *op, struct error *err);

/*
 * Converts the copy, of whatever name and format, into the image at staging_image_path() and writes
 * down that it is whole.
 */
int live_snapshot_convert(struct live_snapshot *op, const char *source_path,
                          const char *source_format, struct error *err);

/* The image has taken the staging, and nothing more is written: op->staging and op->space go. */
void live_snapshot_give_files(struct live_snapshot *op);

/* Opens that image once the guest is back. Takes op->staging and op->space. Returns owned. */
int live_snapshot_open(struct live_snapshot *op, struct image_source **ret_image,
                       struct error *err);

/* Frees what the snapshot holds, and removes its files. */
void live_snapshot_done(struct live_snapshot *op);
