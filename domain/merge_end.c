/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_end.h. */
#include "domain/merge_end.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/layer_map.h"
#include "domain/merge_chain.h"
#include "domain/merge_plan.h"
#include "domain/merge_rest.h"
#include "domain/new_layer.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/connection.h"

static void set_age(const json_t *file, const json_t *as_old_as)
{
    const char *path = merge_chain_path(file);
    char text[128];
    const struct timespec times[] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = (time_t)json_integer_value(json_object_get(as_old_as, "written_s"))}};
    if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
        log_warning("the age of %s cannot be set: %s; there may be no way back to the checkpoint "
                    "it holds",
                    path, strerror_r(errno, text, sizeof(text)));
}

void merge_end_keep_age(const json_t *disk, const json_t *chain, bool host_rebooted)
{
    const json_t *above = json_object_get(disk, "above");
    if (!above)
        return; /* the guest writes to base */
    set_age(json_object_get(disk, "base"), json_array_get(json_object_get(disk, "gone"), 0));
    if (merge_chain_find(chain, above, host_rebooted) > 0)
        set_age(above, above);
}

int merge_end_metadata(virDomainPtr domain, const char *name, struct error *err)
{
    virDomainSnapshotPtr snapshot = name ? virDomainSnapshotLookupByName(domain, name, 0) : NULL;
    if (!snapshot)
        return !name || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_SNAPSHOT
                   ? 0
                   : libvirt_error(err, "cannot look for checkpoint %s", name);
    int r = virDomainSnapshotDelete(snapshot, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY);
    if (r < 0)
        r = libvirt_error(err, "libvirt does not forget checkpoint %s", name);
    (void)virDomainSnapshotFree(snapshot);
    return r;
}

/* The files that are to go, and those of them that stay after all. */
struct ending {
    const struct session *session;
    const json_t *merge;
    struct layer_map map;
    bool *stays;     /* of the map's files; owned */
    bool is_written; /* a file of a branch, since: all of them are of one guest */
};

static bool goes_as_well(const struct ending *ending, size_t place)
{
    const json_t *disk, *file;
    size_t i, j;
    json_array_foreach (json_object_get(ending->merge, "disks"), i, disk) {
        json_array_foreach (json_object_get(disk, "gone"), j, file) {
            if (layer_map_find(&ending->map, merge_chain_path(file)) == place)
                return !ending->stays[place];
        }
    }
    return false;
}

/* Nobody names it, and nothing that stays stands on it. */
static bool is_needless(const struct ending *ending, const char *path)
{
    const struct layer_map *map = &ending->map;
    size_t place = layer_map_find(map, path);
    if (layer_map_find_user(map, path))
        return false;
    for (size_t i = 0; place != LAYER_MAP_NONE && i < map->file_count; i++)
        if (map->files[i].below == place && access(map->files[i].path, F_OK) == 0 &&
            !goes_as_well(ending, i))
            return false;
    return true;
}

/* The guest of a merge writes to its layers until they are merged; to those of a branch nobody
 * does. */
static bool is_written_since(const json_t *merge, const json_t *file, const struct stat *st)
{
    return json_is_true(json_object_get(merge, "branch")) &&
           st->st_mtim.tv_sec > json_integer_value(json_object_get(file, "written_s"));
}

static const char *find_reason(struct ending *ending, const json_t *file, const struct stat *st)
{
    const char *path = merge_chain_path(file);
    json_t *now = json_pack("{s:s, s:I, s:I}", "path", path, "dev", (json_int_t)st->st_dev, "ino",
                            (json_int_t)st->st_ino);
    bool is_it = merge_chain_is_same(file, now, record_host_rebooted(ending->session->record));
    json_decref(now);
    if (!is_it)
        return "another file than it was";
    if (!is_needless(ending, path) || qemu_img_is_written(path))
        return "in use";
    if (is_written_since(ending->merge, file, st)) {
        ending->is_written = true;
        return "written to since";
    }
    return ending->is_written ? "of a branch that was written to since" : NULL;
}

/* Of a file that the merge was planned with: why it stays; NULL: it goes, or has gone. */
static int judge(struct ending *ending, const json_t *file, const char **ret_reason,
                 struct error *err)
{
    struct stat st;
    const char *path = merge_chain_path(file);
    *ret_reason = NULL;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "cannot look at %s", path);
    *ret_reason = find_reason(ending, file, &st);
    size_t place = layer_map_find(&ending->map, path);
    if (*ret_reason && place != LAYER_MAP_NONE)
        ending->stays[place] = true;
    return 0;
}

static size_t count_staying(const struct ending *ending)
{
    size_t count = 0;
    for (size_t i = 0; i < ending->map.file_count; i++)
        count += ending->stays[i];
    return count;
}

/* What stays keeps all that it stands on. */
static int judge_all(struct ending *ending, struct error *err)
{
    const json_t *disk, *file;
    const char *reason;
    size_t i, j, before;
    int r = 0;
    do {
        before = count_staying(ending);
        json_array_foreach (json_object_get(ending->merge, "disks"), i, disk) {
            json_array_foreach (json_object_get(disk, "gone"), j, file) {
                if (r == 0)
                    r = judge(ending, file, &reason, err);
            }
        }
    } while (r == 0 && count_staying(ending) > before);
    return r;
}

static int remove_file(struct ending *ending, const json_t *file, struct error *err)
{
    const char *reason = NULL, *path = merge_chain_path(file);
    int r = file ? judge(ending, file, &reason, err) : 0;
    if (r < 0 || !file)
        return r;
    if (reason) {
        log_warning("%s is %s: it stays", path, reason);
        return 0;
    }
    if (unlink(path) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "cannot remove %s", path);
    failpoint("merge:file-removed");
    return 0;
}

/* QEMU itself does not: a header that goes on naming a file which has gone is nobody's to read. */
static int write_through(const json_t *disk, struct error *err)
{
    const json_t *above = json_object_get(disk, "above");
    const char *base = merge_chain_path(json_object_get(disk, "base"));
    int r = merge_rest_write_through(base, err);
    if (r == 0 && above)
        r = merge_rest_write_through(merge_chain_path(above), err);
    return r < 0 ? r : new_layer_sync_folder(base, err);
}

static int remove_files(struct ending *ending, struct error *err)
{
    const json_t *disk, *file;
    size_t i, j;
    ending->stays = calloc(ending->map.file_count + 1, sizeof(*ending->stays));
    int r = ending->stays ? judge_all(ending, err) : error_nomem(err);
    json_array_foreach (json_object_get(ending->merge, "disks"), i, disk) {
        json_array_foreach (json_object_get(disk, "gone"), j, file) {
            if (r == 0)
                r = remove_file(ending, file, err);
        }
    }
    if (r == 0)
        r = remove_file(ending, json_object_get(ending->merge, "memory"), err);
    free(ending->stays);
    return r;
}

int merge_end_files(const struct session *session, const json_t *merge, struct error *err)
{
    struct ending ending = {.session = session, .merge = merge};
    const json_t *disk;
    size_t i;
    int r = layer_map_read(session, &ending.map, err);
    json_array_foreach (json_object_get(merge, "disks"), i, disk) {
        if (r == 0)
            r = merge_plan_look_beside(&ending.map, disk, err);
        if (r == 0)
            r = write_through(disk, err);
    }
    if (r == 0)
        r = remove_files(&ending, err);
    layer_map_done(&ending.map);
    return r;
}
