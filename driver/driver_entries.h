/*
 * What the journal tells of the driver's last call, for driver_ops.recover: the entries that
 * driver_journal.h lists. Only the last "begin" counts, for every call ends its own work before
 * the next one begins.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

struct driver_entries {
    const json_t *begin; /* borrowed; NULL: nothing was begun, or all is undone */
    bool frozen;         /* a freeze was begun, and no thaw is known */
    const json_t *image; /* borrowed; NULL: no image was finished */
};

/* EINVAL when `array` holds anything but entries of the driver. NULL: it is empty. */
int driver_entries_read(const json_t *array, struct driver_entries *ret_entries, struct error *err);

/* EINVAL naming `what` is wrong with an entry. */
int driver_entry_bad(struct error *err, const char *what);

/* Copies a string member, "" where it is absent and not needed. EINVAL when it does not fit. */
int driver_entry_copy(const json_t *entry, const char *key, bool needed, char *ret_text,
                      size_t size, struct error *err);
