/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver writes into the journal the agent gives (struct driver_journal), and reads from
 * it for driver_ops.recover. A journal of NULL takes everything and keeps nothing.
 * Names begin with driver_.
 *
 * Entries of the driver are objects with a member "step":
 *   begin     before the first side effect of extract or direct_snapshot: all that undoing needs
 *   freeze    the guest is about to be frozen
 *   thaw      it is known to be thawed
 *   image     extract has finished this image
 *   undone    all of it has been undone: what was made under its names since is somebody else's
 * See recover.h for their members and for who reads them.
 * Only the last "begin" counts, for every call ends its own work before the next one begins.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "driver/driver.h"

/* Writes an entry, which it takes; NULL is one there was no memory for. */
int driver_journal_write(const struct driver_journal *journal, json_t *entry, struct error *err);

/* Before a freeze, which may only come when this returns 0. */
int driver_journal_freezing(const struct driver_journal *journal, struct error *err);

/* Once the guest is known not to be frozen by us. */
void driver_journal_thawed(const struct driver_journal *journal);

/* What it tells of the last call. */
struct driver_entries {
    const json_t *begin; /* borrowed; NULL: nothing was begun, or all is undone */
    bool frozen;         /* a freeze was begun, and no thaw is known */
    const json_t *image; /* borrowed; NULL: no image was finished */
};

/* EINVAL when `array` holds anything but entries of the driver. NULL: it is empty. */
int driver_entries_read(const json_t *array, struct driver_entries *ret_entries, struct error *err);

/* EINVAL naming `what` is wrong with an entry. */
int driver_entry_bad(struct error *err, const char *what);

/* A string in an entry, which may not be empty, and where it is wanted. */
struct driver_entry_member {
    const char *key;
    char *ret_text;
    size_t size; /* of ret_text */
};

/* Copies them in order. EINVAL naming the first that is absent, empty or does not fit. */
int driver_entry_copy(const json_t *entry, const struct driver_entry_member *members, size_t count,
                      struct error *err);
