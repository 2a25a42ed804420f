/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint as a point to go back to: what libvirt's <domainsnapshot> says the domain was then.
 * Pure: no libvirt call, no file.
 */
#pragma once

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/checkpoint_list.h"
#include "domain/checkpoint_plan.h"

struct revert_point {
    char name[CHECKPOINT_NAME_SIZE];
    char parent[CHECKPOINT_NAME_SIZE]; /* "": it has none */
    bool is_internal;
    bool has_memory;
    bool was_running; /* then; of one without memory the disks are as after a power cut */
    bool was_paused;
    char memory_file[DRIVER_PATH_MAX]; /* ""; of an external one with memory */
    struct checkpoint_disk *disks;     /* owned: its overlay is the one it was made with */
    size_t disk_count;
    char *definition;                       /* owned, secret: the domain's persistent one of then */
    char domain_name[CHECKPOINT_NAME_SIZE]; /* which is in it */
};

/*
 * Reads the XML, with its secrets. EINVAL naming what keeps it from being one to go back to: a
 * writable disk that is not in it, a state that is in no disk (UEFI's variables, a TPM), libvirt's
 * own work on it. Free with revert_point_done(), also after a failure.
 */
int revert_point_parse(const char *xml, struct revert_point *ret_point, struct error *err);

/* Frees what is in it. */
void revert_point_done(struct revert_point *point);

/*
 * Whether the domain of now has those disks, and no other that a guest writes to, at whatever
 * files, and, for an external one, is called as it was then: EINVAL naming what differs.
 */
int revert_point_check_now(const struct revert_point *point, const char *domain_xml,
                           struct error *err);
