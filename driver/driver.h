/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent asks of a hypervisor. libvirt_driver_new() makes one.
 *
 * The order of calls for one snapshot: inspect → plan (chosen by the agent from what inspect found)
 * → extract. extract always leaves the guest as it found it: running, paused or stopped as before,
 * thawed, with its persistent definition and devices back, no block job and no file left of its
 * own except the returned image. Only a streamed image of a running guest leaves more: a backup job
 * that ends as it is closed, and files, for recover to remove.
 *
 * Every function may be called from any thread; calls for one instance must not overlap.
 * Names begin with driver_ and snapshot_method_.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/image_source.h"

/* nova.compute.power_state: the integers are what the database holds. */
enum power_state {
    POWER_STATE_NOSTATE = 0,
    POWER_STATE_RUNNING = 1,
    POWER_STATE_PAUSED = 3,
    POWER_STATE_SHUTDOWN = 4,
    POWER_STATE_CRASHED = 6,
    POWER_STATE_SUSPENDED = 7,
};

/* Where the root disk lives; nova's source_type (get_disk_type_from_path). */
enum disk_source_type { DISK_SOURCE_FILE, DISK_SOURCE_LVM, DISK_SOURCE_RBD, DISK_SOURCE_PLOOP };

#define DRIVER_PATH_MAX 4096
#define DRIVER_FORMAT_MAX 32
#define DRIVER_UUID_MAX 37
#define DRIVER_TEXT_MAX 128

/* The guest's own agent (qemu-ga), by the channel its definition has for it. */
enum guest_agent { GUEST_AGENT_NO_CHANNEL, GUEST_AGENT_AWAY, GUEST_AGENT_CONNECTED };

/* A guest, and what tells its root disk from its other disks. Strings are borrowed. */
struct guest_id {
    const char *uuid;
    const char *root_device_name; /* the instance's: "/dev/vda"; NULL = not known */
};

/* The root disk as the domain XML names it: its format is never probed. */
struct guest_info {
    char uuid[DRIVER_UUID_MAX];
    enum power_state power_state;
    int domain_id;           /* of this run of the guest; -1: none, it is not active */
    bool connection_is_qemu; /* virConnectGetType() == "QEMU" */
    bool persistent;
    enum disk_source_type source_type;
    char disk_path[DRIVER_PATH_MAX];     /* file or device path, "rbd:pool/name" for RBD */
    char disk_target[DRIVER_FORMAT_MAX]; /* vda */
    char disk_format[DRIVER_FORMAT_MAX]; /* <driver type=.../> */
    uint64_t virtual_size_bytes;         /* from here on: as the disk's header says; "" or 0 for */
    uint64_t cluster_size_bytes;         /* what it lacks, all of them 0 for RBD and ploop */
    char backing_path[DRIVER_PATH_MAX];
    char backing_format[DRIVER_FORMAT_MAX];
};

/*
 * Where a driver writes down what it is about to do, so that a later process can bring it to its
 * end: driver_ops.recover. Given by the agent, used on the thread of the call.
 */
struct driver_journal {
    /* Writes an entry before the side effect it tells of; durable when it returns 0, else the
     * driver may not go on. Entries are the driver's own; borrowed. They may hold secrets. */
    int (*write)(void *arg, const json_t *entry, struct error *err);

    /* Before the guest is frozen (true), after it is known to be thawed (false). Fails only for
     * true, and then the guest may not be frozen. */
    int (*frozen)(void *arg, bool frozen, struct error *err);

    void *arg;
};

/* Who knows what nova means to do with an instance: the agent. Asked on the thread of the call. */
struct driver_owner {
    /*
     * Whether the instance is still to be on this host, asked before the domain of a guest that is
     * gone is defined again, and before a saved one is started on a host that went down: one that
     * was deleted or has moved away meanwhile stays gone. Fails as long as that cannot be known,
     * and then it is not defined yet.
     */
    int (*has_instance)(void *arg, bool *ret_has, struct error *err);

    /* Whether the guest is still to run, asked before one that was saved for the copy is started
     * again: its user may have stopped it. */
    bool (*guest_is_to_run)(void *arg);
    void *arg;
};

/* Who is told how a snapshot goes on, on the thread of the call, which may not wait for it. */
struct driver_observer {
    void (*instant)(void *arg); /* the disk is what the image will be; it may come again */
    void (*copied)(void *arg, uint64_t done_bytes, uint64_t total_bytes); /* of a copy */
    void *arg;

    /* At which a running guest's disk is to be copied now, in bytes per second, 0 = no limit; asked
     * again and again. `usual` is that of set_disk_rate(). NULL: the usual. */
    uint64_t (*copy_rate)(void *arg, uint64_t usual);
};

/* Tell it; NULL-safe. */
void driver_tell_instant(const struct driver_observer *observer);
void driver_tell_copied(const struct driver_observer *observer, uint64_t done_bytes,
                        uint64_t total_bytes);

/* What it answers; `usual` without one. */
uint64_t driver_ask_copy_rate(const struct driver_observer *observer, uint64_t usual);

/* What a process has left that died. All of it is borrowed for the time of the call. */
struct driver_recovery {
    const char *uuid;
    const json_t *entries; /* an array of what was written down then, in order; NULL: nothing was */
    bool host_rebooted;    /* what was on disk then may be incomplete, what was in memory is gone */
    const struct driver_owner *owner; /* as in snapshot_plan */
};

/* From the one that writes least to the one that is always possible. */
enum snapshot_method {
    SNAPSHOT_METHOD_STREAM,      /* read while it is uploaded: from a backup job, or a stopped
                                    guest's disk */
    SNAPSHOT_METHOD_BLOCKCOPY,   /* copied, then converted; the domain stays defined */
    SNAPSHOT_METHOD_BLOCKREBASE, /* the same as nova does it */
    SNAPSHOT_METHOD_COLD,        /* converted while the guest is saved to disk, or does not run */
};

/* "stream", "blockcopy", "blockrebase", "cold". */
const char *snapshot_method_name(enum snapshot_method method);

/* How the snapshot is to be taken. Strings are borrowed for the time of the call. */
struct snapshot_plan {
    enum snapshot_method method;
    const char *image_format;     /* raw, qcow2, vmdk, vdi: format of the finished image */
    bool compress;                /* qemu-img -c, for qcow2 targets */
    const char *compression_type; /* of these: zlib, zstd */
    bool quiesce;                 /* freeze and thaw around the instant (hw_qemu_guest_agent) */
    bool require_quiesce;         /* os_require_quiesce: give up when the guest cannot be frozen */
    const struct driver_journal *journal;   /* NULL: nothing is written down */
    const struct driver_owner *owner;       /* NULL: the instance is to be here and to run */
    const struct driver_observer *observer; /* NULL: nobody is told */
};

/*
 * A snapshot of an RBD root disk that never leaves the cluster. Strings are borrowed for the time
 * of the call.
 */
struct direct_snapshot {
    const char *image_id;                /* the Glance image, which names the new RBD image */
    const char *const *parent_locations; /* of the image the instance was booted from: rbd://...,
                                            NULL-ended; where Glance keeps its data when the disk
                                            has no parent itself */
    bool quiesce;                        /* as in snapshot_plan */
    bool require_quiesce;
    const struct driver_journal *journal;
    const struct driver_observer *observer; /* as in snapshot_plan */
};

/* A volume's new top layer; nova's create_info. Strings are borrowed for the time of the call. */
struct volume_overlay {
    const char *volume_id; /* <serial> of the disk */
    const char *new_file;  /* a file name beside the volume's present file, made by Cinder */
    bool quiesce;          /* try to freeze; without require_quiesce a refusal is no failure */
    bool require_quiesce;
    const struct driver_journal *journal; /* NULL: nothing is written down */
};

/* A layer of a volume that goes; nova's delete_info. Strings are borrowed. */
struct volume_merge {
    const char *volume_id;         /* <serial> of the disk */
    const char *file_to_merge;     /* NULL: the volume then has no layer below its top one */
    const char *merge_target_file; /* NULL: merge into the top layer (pull), else commit down */
};

/* What happened, for the log and the image's provenance. */
struct snapshot_result {
    struct image_source *image; /* owned by the caller; closing it removes the file */
    bool quiesced;
    bool streamed;            /* reading the image reads the guest's disk */
    bool guest_is_back;       /* else its disk is shown to us for as long as the image is open, and
                                 driver_ops.recover ends that */
    uint32_t guest_paused_ms; /* managed save to start; 0 for live */
};

/* A file of a guest, or one that a job on its disk writes to. Strings are borrowed. */
enum driver_file_use { DRIVER_FILE_DISK, DRIVER_FILE_COPY, DRIVER_FILE_BACKUP };

struct driver_file {
    enum driver_file_use use;
    const char *uuid;
    const char *disk_target; /* vda */
    const char *path;        /* as the definition has it */
};

typedef void (*driver_file_visit)(void *arg, const struct driver_file *file);

struct driver;

struct driver_ops {
    /*
     * Whether the host is as snapshots need it: the hypervisor answers, and there is a place to
     * write to. InternalError telling what is not. Takes seconds at most; to be called again.
     */
    int (*check_host)(struct driver *driver, struct error *err);

    /* Who answers, for people: "libvirt 9.0.0, QEMU 7.2.22". Changes nothing. */
    int (*describe_host)(struct driver *driver, char ret_text[static DRIVER_TEXT_MAX],
                         struct error *err);

    /* The UUID of the guest the hypervisor knows by this name. InstanceNotFound (ENOENT). */
    int (*find_guest)(struct driver *driver, const char *name,
                      char ret_uuid[static DRIVER_UUID_MAX], struct error *err);

    /* NOSTATE when the hypervisor knows no such domain; nova: _get_power_state. */
    int (*get_power_state)(struct driver *driver, const char *uuid, enum power_state *ret_state,
                           struct error *err);

    /*
     * Reads the domain and checks its root disk against it. InstanceNotRunning when there is no
     * such domain; InternalError when it is not clear which disk is the root disk; InvalidDiskInfo
     * when the disk's format, backing files or data file is not what the definition says, or when
     * it is encrypted, which its image would not be. Changes nothing.
     */
    int (*inspect)(struct driver *driver, const struct guest_id *guest, struct guest_info *ret_info,
                   struct error *err);

    /* Whether its agent is there to freeze it, as the hypervisor sees it: nobody is asked. */
    int (*guest_agent)(struct driver *driver, const char *uuid, enum guest_agent *ret_agent,
                       struct error *err);

    /*
     * Whether extract could begin now, as far as that can be told without changing anything; else
     * its error: EOPNOTSUPP, ENOSPC. That a definition would be taken again is only tried by
     * extract. *ret_bytes is the most that is expected to be written.
     */
    int (*check_plan)(struct driver *driver, const struct guest_info *info,
                      const struct snapshot_plan *plan, uint64_t *ret_bytes, struct error *err);

    /*
     * Takes the snapshot and gives back the finished image, flattened, in plan->image_format.
     * InstanceNotFound when the domain vanished meanwhile. EOPNOTSUPP when plan->method cannot be
     * used here, ENOSPC when there is no room for what it writes: the guest is as it was, another
     * method may do. ESTALE when the guest is not as `info` says, or has run while its disk was
     * read: it may be inspected and planned for again.
     */
    int (*extract)(struct driver *driver, const struct guest_info *info,
                   const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                   struct error *err);

    /*
     * Freezes the guest's filesystems through its agent. On failure they are as they were, except
     * after ETIMEDOUT: the agent may still come to it, so that only a thaw that succeeds ends it.
     * InstanceQuiesceFailed when its agent does not respond, which not every release of nova knows;
     * InstanceNotRunning.
     */
    int (*freeze)(struct driver *driver, const char *uuid, struct error *err);

    /* Thaws them; a guest that has ended needs none (0). To be called again after a failure, whose
     * classes are those of freeze. */
    int (*thaw)(struct driver *driver, const char *uuid, struct error *err);

    /*
     * Copies the root disk within the Ceph cluster into the protected snapshot "snap" of an image
     * of Glance's pool: rbd://FSID/POOL/IMAGE_ID/snap, returned owned. The format is raw. On
     * failure nothing is left in the cluster, or recover is to be called; ImageUnacceptable or
     * Forbidden when nothing is left and the data has to go another way (extract). NULL: the driver
     * has no such storage.
     */
    int (*direct_snapshot)(struct driver *driver, const struct guest_info *info,
                           const struct direct_snapshot *direct, char **ret_location,
                           struct error *err);

    /* Removes what direct_snapshot made, and writes that down. After a failure recover does it. */
    int (*undo_direct_snapshot)(struct driver *driver, const char *location,
                                const struct driver_journal *journal, struct error *err);

    /*
     * After the process that called extract or direct_snapshot has died: brings the guest and the
     * host back from whatever the entries tell of, as the call itself would have: thawed, no block
     * job of ours, defined, started again from its saved memory, devices back, no file left. What
     * others have done since is respected, and to be called again after a failure is harmless.
     * EINVAL: some of the entries cannot be understood. What does not depend on that has been
     * done, and no other try will do. Files of ours stay where they are not below today's
     * snapshots_directory: that is no failure, but such an image is none.
     * *ret_image is the finished image when extract had come so far and it is whole, else NULL;
     * owned by the caller, closing it removes the file. An image that direct_snapshot had finished
     * is undone as well: not to be called once a record may point there.
     */
    int (*recover)(struct driver *driver, const struct driver_recovery *recovery,
                   struct image_source **ret_image, struct error *err);

    /*
     * Puts a new, empty layer on a volume of the running guest (external disk snapshot). 0 only
     * when the guest writes to it, which may be since an earlier call. InstanceNotRunning;
     * InternalError naming what is wrong with the overlay or the volume.
     */
    int (*volume_snapshot_create)(struct driver *driver, const char *uuid,
                                  const struct volume_overlay *overlay, struct error *err);

    /*
     * Takes a layer out of a volume: by pull or commit in a running guest, by rebase of a stopped
     * one. 0 only when the block job is known to have completed and the chain is as wanted, which
     * it may be since an earlier call; a merge that an earlier call began is waited for.
     */
    int (*volume_snapshot_delete)(struct driver *driver, const char *uuid,
                                  const struct volume_merge *merge, struct error *err);

    /*
     * Tells of every file in the definitions and jobs of all guests, also those that do not run;
     * some may come twice. On failure there may be more than were told.
     */
    int (*visit_files)(struct driver *driver, driver_file_visit visit, void *arg,
                       struct error *err);

    /*
     * Ends the copy or backup that writes to the file, and waits until it is gone; the guest goes
     * on with its disk. 0 also when there is no such job any more: others' are not touched.
     */
    int (*end_job)(struct driver *driver, const struct driver_file *file, struct error *err);

    /* At which disks are copied, from now on; 0 = no limit. A block job that runs follows, what
     * qemu-img reads does not. */
    void (*set_disk_rate)(struct driver *driver, uint64_t bytes_per_s);

    void (*free)(struct driver *driver);
};

struct driver {
    const struct driver_ops *ops;
};

/* NULL-safe. */
void driver_free(struct driver *driver);
