/* SPDX-License-Identifier: Apache-2.0 */
/* The records there are, also of domains that libvirt does not know any more. See record.h. */
#pragma once

#include <stddef.h>

#include "common/error.h"
#include "common/id.h"

/*
 * The uuids of their domains, in no order; none where nothing was ever written down. Returned
 * owned: free().
 */
int record_list_uuids(const char *state_dir, char (**ret_uuids)[ID_UUID_SIZE], size_t *ret_count,
                      struct error *err);

/* A merge may take hours, and its guest goes on meanwhile; any other guest may stand still. */
void record_list_put_merges_last(const char *state_dir, char (*uuids)[ID_UUID_SIZE], size_t count);

/* The URI of the libvirt that the record is of. Owned; NULL: it does not tell, or cannot be read.
 */
char *record_list_libvirt(const char *state_dir, const char *uuid);

/*
 * The uuid of the domain that has a record and this name or uuid. ENOENT when there is none, and
 * when two have the name.
 */
int record_list_find(const char *state_dir, const char *name, char ret_uuid[static ID_UUID_SIZE],
                     struct error *err);
