/* SPDX-License-Identifier: Apache-2.0 */
/* What restore.c and restore_check.c share. */
#pragma once

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/restore.h"

struct restoring {
    struct session *session;
    const struct restore_request *request;
    char path[PATH_MAX]; /* of the record of the disks */
    json_t *record;      /* owned; NULL: there is none */
    char *xml;           /* owned: the definition that is kept with the memory */
    char *name;          /* owned */
    json_t *seen;        /* owned: the disks as they were before they were compared */
};

/*
 * With a record and a definition. EINVAL for another memory's record, or when disks are not the
 * layers they were, or are hard disks that the domain has at another file now; ESTALE naming disks
 * that have changed; ECANCELED while they are read.
 */
int restore_check_disks(struct restoring *restoring, struct error *err);

/* That all is as that has found it, by what costs no reading; of a device nothing tells. Errors as
 * above. */
int restore_check_again(const struct restoring *restoring, struct error *err);

/* Starts it, however it was asked for; it may have been started also after a failure. */
int restore_start(const struct restoring *restoring, struct error *err);

/* Whether the guest is to run then; false also where nobody knows the memory's file, to read it. */
bool restore_start_is_to_run(const struct restoring *restoring);
