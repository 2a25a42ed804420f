/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the libvirt driver share; for driver/ only. What the operations do, their
 * errors and who owns what is said in driver.h.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "driver/ceph/rbd_options.h"
#include "driver/definition/root_disk.h"
#include "driver/driver.h"
#include "driver/image/staging.h"
#include "driver/libvirt/connection.h"

struct libvirt_driver {
    struct driver base;
    struct libvirt_connection *connection;
    char *snapshots_directory;
    char staging_mark[STAGING_MARK_SIZE]; /* of the folders made there */
    char *instances_path;
    unsigned stall_timeout_s;
    unsigned freeze_timeout_s;
    unsigned detach_timeout_ms;             /* for the guest to let go of a host device */
    atomic_uint_least64_t disk_bytes_per_s; /* at which a copy is made; 0 = no limit */
    uint64_t scratch_reserve_bytes;         /* what a snapshot leaves free where it writes */
    struct root_disk_policy policy;         /* borrows both directories */
    char *ceph_conf;
    char *rbd_user;
    struct rbd_options rbd; /* borrows ceph_conf and rbd_user */
    atomic_bool is_checked; /* check_host has told what it tells once */
};

/* driver_ops.inspect: driver/libvirt_inspect.c. */
int libvirt_inspect(struct libvirt_driver *driver, const struct guest_id *guest,
                    struct guest_info *ret_info, struct error *err);

/* driver_ops.describe_host, find_guest, guest_agent: driver/libvirt_look.c. */
int libvirt_describe_host(struct libvirt_driver *driver, char ret_text[static DRIVER_TEXT_MAX],
                          struct error *err);
int libvirt_find_guest(struct libvirt_driver *driver, const char *name,
                       char ret_uuid[static DRIVER_UUID_MAX], struct error *err);
int libvirt_guest_agent(struct libvirt_driver *driver, const char *uuid,
                        enum guest_agent *ret_agent, struct error *err);

/* driver_ops.check_plan: driver/snapshot/check_plan.c. */
int libvirt_check_plan(struct libvirt_driver *driver, const struct guest_info *info,
                       const struct snapshot_plan *plan, uint64_t *ret_bytes, struct error *err);

/* driver_ops.extract for each method: live.c, cold.c, live_stream.c, stopped_stream.c. */
int libvirt_live_snapshot(struct libvirt_driver *driver, const struct guest_info *info,
                          const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                          struct error *err);
int libvirt_cold_snapshot(struct libvirt_driver *driver, const struct guest_info *info,
                          const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                          struct error *err);
int libvirt_live_stream(struct libvirt_driver *driver, const struct guest_info *info,
                        const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                        struct error *err);
int libvirt_stopped_stream(struct libvirt_driver *driver, const struct guest_info *info,
                           const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                           struct error *err);

/* driver_ops.freeze and driver_ops.thaw: driver/libvirt_freeze.c. */
int libvirt_freeze(struct libvirt_driver *driver, const char *uuid, struct error *err);
int libvirt_thaw(struct libvirt_driver *driver, const char *uuid, struct error *err);

/* driver_ops.direct_snapshot, undo_direct_snapshot: driver/snapshot/direct.c, direct_copy.c. */
int libvirt_direct_snapshot(struct libvirt_driver *driver, const struct guest_info *info,
                            const struct direct_snapshot *direct, char **ret_location,
                            struct error *err);
int libvirt_direct_undo(struct libvirt_driver *driver, const char *location,
                        const struct driver_journal *journal, struct error *err);

/* driver_ops.volume_snapshot_create, volume_snapshot_delete: driver/volume/create.c, delete.c. */
int libvirt_volume_create(struct libvirt_driver *driver, const char *uuid,
                          const struct volume_overlay *overlay, struct error *err);
int libvirt_volume_delete(struct libvirt_driver *driver, const char *uuid,
                          const struct volume_merge *merge, struct error *err);

/* driver_ops.visit_files and driver_ops.end_job: driver/libvirt_files.c. */
int libvirt_visit_files(struct libvirt_driver *driver, driver_file_visit visit, void *arg,
                        struct error *err);
int libvirt_end_job(struct libvirt_driver *driver, const struct driver_file *file,
                    struct error *err);
