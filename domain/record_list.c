/* SPDX-License-Identifier: Apache-2.0 */
/* See record_list.h. */
#include "domain/record_list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "domain/record.h"

#define RECORDS_MAX 4096

struct uuids {
    char (*list)[ID_UUID_SIZE]; /* owned */
    size_t count;
};

static int add_uuid(struct uuids *uuids, const char *name, struct error *err)
{
    if (uuids->count == RECORDS_MAX)
        return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "there are more than %d records",
                         RECORDS_MAX);
    void *grown = realloc(uuids->list, (uuids->count + 1) * sizeof(*uuids->list));
    if (!grown)
        return error_nomem(err);
    uuids->list = grown;
    memcpy(uuids->list[uuids->count++], name, ID_UUID_SIZE);
    return 0;
}

int record_list_uuids(const char *state_dir, char (**ret_uuids)[ID_UUID_SIZE], size_t *ret_count,
                      struct error *err)
{
    char folder[PATH_MAX];
    struct uuids uuids = {0};
    int n = snprintf(folder, sizeof(folder), "%s/records", state_dir);
    DIR *records = n > 0 && (size_t)n < sizeof(folder) ? opendir(folder) : NULL;
    int r = records || errno == ENOENT ? 0 : error_errno(err, errno, "cannot read %s", folder);
    for (const struct dirent *entry; r == 0 && records && (entry = readdir(records));)
        if (id_is_uuid(entry->d_name))
            r = add_uuid(&uuids, entry->d_name, err);
    if (records)
        (void)closedir(records);
    if (r < 0) {
        free(uuids.list);
        return r;
    }
    *ret_uuids = uuids.list;
    *ret_count = uuids.count;
    return 0;
}

static bool is_of_merge(const char *state_dir, const char *uuid)
{
    struct error ignored = ERROR_INIT;
    struct record *record = NULL;
    if (record_open(state_dir, uuid, &record, &ignored) < 0)
        return false;
    bool is_it = record_all(record, "merge") != NULL;
    record_close(record);
    return is_it;
}

void record_list_put_merges_last(const char *state_dir, char (*uuids)[ID_UUID_SIZE], size_t count)
{
    char other[ID_UUID_SIZE];
    for (size_t i = 0, others = 0; i < count; i++) {
        if (is_of_merge(state_dir, uuids[i]))
            continue;
        memcpy(other, uuids[i], sizeof(other));
        memmove(uuids[i], uuids[others], sizeof(other)); /* it may be the same */
        memcpy(uuids[others++], other, sizeof(other));
    }
}

char *record_list_libvirt(const char *state_dir, const char *uuid)
{
    struct error ignored = ERROR_INIT;
    struct record *record = NULL;
    if (record_open(state_dir, uuid, &record, &ignored) < 0)
        return NULL;
    const char *of_record = record_libvirt(record);
    char *uri = of_record ? strdup(of_record) : NULL;
    record_close(record);
    return uri;
}

/* One that cannot be read is of no name: it is found by its uuid. */
static bool is_of_name(const char *state_dir, const char *uuid, const char *name)
{
    struct error ignored = ERROR_INIT;
    struct record *record = NULL;
    if (record_open(state_dir, uuid, &record, &ignored) < 0)
        return false;
    const json_t *note = json_array_get(record_all(record, "domain"), 0);
    const char *of_record = json_string_member(note, "name");
    bool is_it = of_record && strcmp(of_record, name) == 0;
    record_close(record);
    return is_it;
}

int record_list_find(const char *state_dir, const char *name, char ret_uuid[static ID_UUID_SIZE],
                     struct error *err)
{
    cleanup_free char(*uuids)[ID_UUID_SIZE] = NULL;
    size_t count = 0, found = 0, matches = 0;
    int r = record_list_uuids(state_dir, &uuids, &count, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(uuids[i], name) != 0 && !is_of_name(state_dir, uuids[i], name))
            continue;
        found = i;
        matches++;
    }
    if (matches != 1)
        return error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND, "%s records are of domain %s",
                         matches == 0 ? "no" : "several", name);
    memcpy(ret_uuid, uuids[found], ID_UUID_SIZE);
    return 0;
}
