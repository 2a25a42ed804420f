/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's memory to a file, with what tells its disks from changed ones. On one thread. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "domain/image_file.h"
#include "domain/session.h"

/* Strings are borrowed. */
struct save_request {
    const char *file;  /* NULL: libvirt keeps it (managed save) */
    unsigned flags;    /* VIR_DOMAIN_SAVE_RUNNING, _PAUSED: how it is to go on; 0: as it is */
    bool verify_disks; /* with a SHA-256 of each layer */
    const struct image_observer *observer;
};

struct save_report {
    char memory[PATH_MAX]; /* "": libvirt keeps it */
    char disks[PATH_MAX];  /* the record of its disks */
    size_t layer_count;
    int64_t stopped_ms; /* of the epoch: since when the guest stands still */
    int64_t took_ms;    /* until its memory was written */
};

/*
 * The guest is saved and stopped when it returns 0; the files have their names. Refused as
 * save_check() and disk_layers_list() say, and EEXIST for a file that is there, before anything is
 * touched. When writing the memory fails or is interrupted the guest runs on as before, and nothing
 * is left; what fails or is interrupted later leaves it saved, and says so.
 */
int save_take(struct session *session, const struct save_request *request,
              struct save_report *ret_report, struct error *err);
