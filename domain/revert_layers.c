/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_layers.h. */
#include "domain/revert_layers.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/json.h"
#include "domain/file_folder.h"
#include "domain/layer_map.h"
#include "domain/merge_chain.h"
#include "domain/new_layer.h"

static json_t *look(const char *path, const struct stat *st)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I}", "path", path, "dev", (json_int_t)st->st_dev,
                     "ino", (json_int_t)st->st_ino, "size_bytes", (json_int_t)st->st_size,
                     "mtime_ns", (json_int_t)clock_ns(&st->st_mtim));
}

int revert_layers_note(const struct session *session, const struct checkpoint_disk *disks,
                       size_t disk_count, struct error *err)
{
    json_t *layers = json_array();
    struct stat st;
    json_int_t folder = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < disk_count; i++) {
        const char *path = disks[i].overlay;
        r = lstat(path, &st) < 0 ? error_errno(err, errno, "cannot look at %s", path)
                                 : file_folder_note(path, &folder, err);
        json_t *layer = r < 0 ? NULL : look(path, &st);
        if (r == 0 && (json_object_set_new(layer, "folder", json_integer(folder)) < 0 ||
                       json_array_append(layers, layer) < 0))
            r = error_nomem(err);
        json_decref(layer);
    }
    if (r < 0) {
        json_decref(layers);
        return r;
    }
    return record_note(session->record, "layers", layers, err);
}

static const json_t *find(const struct session *session, const char *path)
{
    size_t i, j;
    const json_t *layers, *layer;
    json_array_foreach (record_all(session->record, "layers"), i, layers) {
        json_array_foreach (layers, j, layer) {
            const char *noted = json_string_member(layer, "path");
            if (noted && strcmp(noted, path) == 0)
                return layer;
        }
    }
    return NULL;
}

static bool is_as_noted(const struct session *session, const json_t *then, const char *path,
                        const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return false;
    json_t *now = look(path, st);
    bool is_same =
        merge_chain_is_same(then, now, record_host_rebooted(session->record)) &&
        json_equal(json_object_get(then, "size_bytes"), json_object_get(now, "size_bytes")) &&
        json_equal(json_object_get(then, "mtime_ns"), json_object_get(now, "mtime_ns"));
    json_decref(now);
    return is_same;
}

static int look_at(const struct session *session, const char *path, enum revert_layers *ret_layer,
                   struct error *err)
{
    struct stat st;
    const json_t *then = path ? find(session, path) : NULL;
    if (!then) {
        *ret_layer = REVERT_LAYERS_WRITTEN;
        return 0;
    }
    if (lstat(path, &st) == 0) {
        *ret_layer =
            is_as_noted(session, then, path, &st) ? REVERT_LAYERS_UNTOUCHED : REVERT_LAYERS_WRITTEN;
        return 0;
    }
    if (errno != ENOENT)
        return error_errno(err, errno, "cannot look at %s", path);
    int r = file_folder_check(path, json_object_get(then, "folder"), err);
    if (r == 0)
        *ret_layer = REVERT_LAYERS_GONE;
    return r;
}

int revert_layers_look(const struct session *session, const json_t *disks,
                       enum revert_layers *ret_layers, struct error *err)
{
    enum revert_layers all = REVERT_LAYERS_UNTOUCHED, layer = REVERT_LAYERS_UNTOUCHED;
    const json_t *disk;
    size_t i;
    json_array_foreach (disks, i, disk) {
        int r = look_at(session, json_string_member(disk, "overlay"), &layer, err);
        if (r < 0)
            return r;
        all = layer > all ? layer : all;
    }
    *ret_layers = all;
    return 0;
}

int revert_layers_remove(const struct session *session, const json_t *disks, bool are_noted,
                         struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    size_t i;
    const json_t *disk;
    int r = layer_map_read(session, &map, err);
    json_array_foreach (disks, i, disk) {
        enum revert_layers layer = REVERT_LAYERS_UNTOUCHED;
        const char *path = json_string_member(disk, "overlay");
        const char *base = json_string_member(disk, "base");
        if (r == 0 && are_noted)
            r = look_at(session, path, &layer, err);
        if (r == 0 && path && base && layer == REVERT_LAYERS_UNTOUCHED)
            r = new_layer_remove(&map, path, base, NULL, err);
    }
    return r;
}
