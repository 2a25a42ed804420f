/* SPDX-License-Identifier: Apache-2.0 */
/* A guest goes on from its saved memory, on the disks it was saved with. On one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "domain/image_file.h"
#include "domain/session.h"

/* Strings are borrowed. */
struct restore_request {
    const char *file;  /* absolute; NULL: what libvirt keeps (managed save) */
    unsigned flags;    /* VIR_DOMAIN_SAVE_RUNNING, _PAUSED; 0: as it was saved */
    bool verify_disks; /* by the SHA-256 of each layer, as well */
    bool force;        /* also with disks that have changed, or of which nothing is known */
    const struct image_observer *observer;
};

struct restore_report {
    bool is_paused;
    bool is_checked;        /* against the record of its disks, without a fault */
    int64_t stood_still_ms; /* 0: not known */
};

/*
 * Whose memory a file keeps. Begins a connection of its own, and ends it: before any session.
 * EIO and libvirt's class as libvirt says.
 */
int restore_read_uuid(const char *uri, const char *file, char ret_uuid[static DRIVER_UUID_MAX],
                      struct error *err);

/*
 * EBUSY when the guest runs, or libvirt keeps another memory of it; ENOENT when there is none; and
 * unless it is forced, before anything is touched: ESTALE naming disks that have changed, EINVAL
 * for a memory without a record of its disks, or with another's. A memory in a file stays, its
 * record tells when it was used. The session takes unknown domains.
 */
int restore_run(struct session *session, const struct restore_request *request,
                struct restore_report *ret_report, struct error *err);
