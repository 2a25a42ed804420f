/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libvirt is asked for when a checkpoint is made: which disks take part, which files come to
 * be, and what is left out. Changes nothing. On one thread.
 */
#pragma once

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/checkpoint_list.h"
#include "domain/checkpoint_request.h"
#include "domain/session.h"

#define CHECKPOINT_PLAN_DISKS_MAX 32

struct checkpoint_disk {
    char target[DRIVER_FORMAT_MAX];
    char format[DRIVER_FORMAT_MAX];
    char base[DRIVER_PATH_MAX];    /* what the guest writes to until then; keeps the instant */
    char overlay[DRIVER_PATH_MAX]; /* what it writes to from then on; "" = the same: internal */
};

/* What is to be told of a part of the guest. */
struct checkpoint_remark {
    char what[DRIVER_FORMAT_MAX]; /* a disk's target; "tpm", "nvram", "increments" */
    const char *why;              /* static; NULL: there is nothing to be told */
    bool is_dead_end;             /* there is no way back, or no merge, ever */
};

struct checkpoint_remarks {
    struct checkpoint_remark *all; /* owned */
    size_t count;
};

struct checkpoint_plan {
    char name[CHECKPOINT_NAME_SIZE];
    bool runs;        /* or is paused: there is a QEMU */
    bool is_running;  /* and it is not paused */
    bool has_bitmaps; /* checkpoints of increments */
    bool is_internal;
    bool has_memory;
    bool is_frozen;                    /* its filesystems will be, for the instant */
    char memory_file[DRIVER_PATH_MAX]; /* ""; of an external one with memory */
    struct checkpoint_disk *disks;     /* owned */
    size_t disk_count;
    struct checkpoint_remarks omissions; /* parts that the checkpoint does not hold */
    struct checkpoint_remarks cautions;  /* those that it does, and that there is no way back of */
};

/*
 * Reads the domain: all but the names, which checkpoint_name_all() gives. EINVAL naming the disk
 * that can take part in no such checkpoint. Free with checkpoint_plan_done(), also after a failure.
 */
int checkpoint_plan_read(const struct session *session, const struct checkpoint_request *request,
                         struct checkpoint_plan *ret_plan, struct error *err);

void checkpoint_plan_done(struct checkpoint_plan *plan);

/* libvirt's <domainsnapshot>, and what virDomainSnapshotCreateXML is to be called with. Returned
 * owned: free(). */
int checkpoint_plan_xml(const struct checkpoint_plan *plan, char **ret_xml, struct error *err);
unsigned checkpoint_plan_flags(const struct checkpoint_plan *plan,
                               const struct checkpoint_request *request);

/* For its test: a domain's <devices>, in their document, into a plan whose `is_internal` is set. */
int checkpoint_plan_read_devices(const xmlNode *devices, struct checkpoint_plan *plan,
                                 struct error *err);
