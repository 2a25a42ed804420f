/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver without a hypervisor, for tests of the agent: it answers what its script says and keeps
 * what it was asked. Thread-safe; the script may be changed between calls.
 */
#pragma once

#include <stddef.h>

#include "driver/driver.h"

enum fake_call {
    FAKE_CHECK_HOST,
    FAKE_DESCRIBE_HOST,
    FAKE_FIND_GUEST,
    FAKE_GUEST_AGENT,
    FAKE_CHECK_PLAN,
    FAKE_GET_POWER_STATE,
    FAKE_INSPECT,
    FAKE_EXTRACT,
    FAKE_FREEZE,
    FAKE_THAW,
    FAKE_DIRECT_SNAPSHOT,
    FAKE_UNDO_DIRECT_SNAPSHOT,
    FAKE_VOLUME_SNAPSHOT_CREATE,
    FAKE_VOLUME_SNAPSHOT_DELETE,
    FAKE_RECOVER,
    FAKE_VISIT_FILES,
    FAKE_END_JOB,
    FAKE_CALL_MAX
};

/* What happens. All zero: the instance's guest is stopped and its image is empty. */
struct fake_script {
    struct guest_info info; /* answer of inspect; its power_state of get_power_state */
    const void *image;      /* the bytes extract gives back; copied at each extract */
    size_t image_size;
    bool quiesced;                      /* told by extract */
    const char *location;               /* told by direct_snapshot; copied at each */
    uint32_t guest_paused_ms;           /* told by extract */
    bool shows_disk;                    /* extract leaves the guest to recover */
    const json_t *entries;              /* array: extract, also one that fails, and
                                           direct_snapshot write them down */
    bool recovers_image;                /* recover finds the image */
    const struct driver_file *files;    /* told by visit_files, but for that of a job that ended; */
    size_t n_files;                     /* borrowed */
    struct error errors[FAKE_CALL_MAX]; /* a call whose errnum is not 0 fails with it */
    struct error plan_errors[SNAPSHOT_METHOD_COLD + 1]; /* of check_plan, by its method */
    uint64_t plan_bytes;                                /* told by check_plan */
    enum guest_agent agent;
    struct error read_error;  /* reading the image fails with it, if its errnum is not 0, */
    size_t read_error_offset; /* from this byte on */
    /* Runs inside the call, before it answers or fails; may block. NULL = nothing. */
    void (*on_call)(enum fake_call call, const char *uuid, void *userdata);
    void *userdata;
};

/* What was asked. */
struct fake_record {
    unsigned calls[FAKE_CALL_MAX];
    char uuid[DRIVER_UUID_MAX];               /* of the last call */
    char root_device_name[DRIVER_FORMAT_MAX]; /* of the last inspect */
    struct snapshot_plan plan;                /* of the last extract; image_format points below */
    char image_format[DRIVER_FORMAT_MAX];
    bool frozen;
    uint64_t disk_bytes_per_s;             /* of the last set_disk_rate */
    char volume_id[DRIVER_UUID_MAX];       /* of the last volume snapshot ... */
    char file[DRIVER_PATH_MAX];            /* ... its new_file or file_to_merge, "" = NULL ... */
    char target[DRIVER_PATH_MAX];          /* ... and its merge_target_file */
    bool quiesce, require_quiesce;         /* of the last direct or volume snapshot */
    char undone_location[DRIVER_PATH_MAX]; /* of the last undo_direct_snapshot */
    size_t recovered_entries;              /* of the last recover: how many it was given */
    bool host_rebooted;                    /* of the last recover */
    char ended_job[256];                   /* the file of the last end_job, cut off there */
    unsigned images_made;
    unsigned images_closed; /* equal to images_made when nothing leaks */
    unsigned images_left;   /* of these: with what they were made of */
};

/* Copies *script. Returns owned: driver_free(). */
int fake_driver_new(const struct fake_script *script, struct driver **ret_driver,
                    struct error *err);

/* Another script from now on; copied. */
void fake_driver_set_script(struct driver *driver, const struct fake_script *script);

/* The record so far. Its plan.image_format stays good while *ret_record is where it is. */
void fake_driver_get_record(struct driver *driver, struct fake_record *ret_record);
