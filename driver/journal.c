/* SPDX-License-Identifier: Apache-2.0 */
/* See journal.h. */
#include "driver/journal.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"

#define ENTRIES_MAX 256 /* of as many images as there are disks, one after the other */

int driver_journal_write(const struct driver_journal *journal, json_t *entry, struct error *err)
{
    if (!entry)
        return error_nomem(err);
    int r = journal ? journal->write(journal->arg, entry, err) : 0;
    if (journal)
        log_debug("journal: %s: %s", json_string_member(entry, "step"),
                  r < 0 ? err->message : "written down");
    json_decref(entry);
    return r;
}

int driver_journal_freezing(const struct driver_journal *journal, struct error *err)
{
    int r = driver_journal_write(journal, json_pack("{s:s}", "step", "freeze"), err);
    return r < 0 || !journal ? r : journal->frozen(journal->arg, true, err);
}

void driver_journal_thawed(const struct driver_journal *journal)
{
    struct error none = ERROR_INIT; /* it fails only for a freeze */
    if (journal)
        (void)journal->frozen(journal->arg, false, &none);
}

int driver_entry_bad(struct error *err, const char *what)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "an entry of the driver's journal %s", what);
}

static int driver_entry_read(const json_t *entry, struct driver_entries *entries, struct error *err)
{
    const char *step = json_string_member(entry, "step");
    if (!step)
        return driver_entry_bad(err, "names no step");
    if (strcmp(step, "begin") == 0)
        *entries = (struct driver_entries){.begin = entry};
    else if (strcmp(step, "undone") == 0)
        *entries = (struct driver_entries){0};
    else if (strcmp(step, "freeze") == 0)
        entries->frozen = true;
    else if (strcmp(step, "thaw") == 0)
        entries->frozen = false;
    else if (strcmp(step, "image") == 0)
        entries->image = entry;
    else
        return driver_entry_bad(err, "names a step that there is not");
    return 0;
}

int driver_entries_read(const json_t *array, struct driver_entries *ret_entries, struct error *err)
{
    struct driver_entries entries = {0};
    if ((array && !json_is_array(array)) || json_array_size(array) > ENTRIES_MAX)
        return driver_entry_bad(err, "is in no list, or in one that is too long");
    for (size_t i = 0; i < json_array_size(array); i++) {
        int r = driver_entry_read(json_array_get(array, i), &entries, err);
        if (r < 0)
            return r;
    }
    *ret_entries = entries;
    return 0;
}

static int driver_entry_copy_one(const json_t *entry, const struct driver_entry_member *member,
                                 struct error *err)
{
    const char *text = json_string_member(entry, member->key);
    size_t length = text ? json_string_length(json_object_get(entry, member->key)) : 0;
    if (length == 0 || length >= member->size || strlen(text) != length)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "an entry of the driver's journal has no usable \"%s\"", member->key);
    memcpy(member->ret_text, text, length + 1);
    return 0;
}

int driver_entry_copy(const json_t *entry, const struct driver_entry_member *members, size_t count,
                      struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        int r = driver_entry_copy_one(entry, &members[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}
