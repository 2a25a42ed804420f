/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_layers.h. */
#include "domain/revert_layers.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/json.h"
#include "domain/merge_chain.h"

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
    for (size_t i = 0; i < disk_count; i++) {
        if (lstat(disks[i].overlay, &st) < 0) {
            int code = errno;
            json_decref(layers);
            return error_errno(err, code, "cannot look at %s", disks[i].overlay);
        }
        (void)json_array_append_new(layers, look(disks[i].overlay, &st));
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

bool revert_layers_is_untouched(const struct session *session, const char *path)
{
    struct stat st;
    const json_t *then = find(session, path);
    if (!then || lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    json_t *now = look(path, &st);
    bool is_same =
        merge_chain_is_same(then, now, record_host_rebooted(session->record)) &&
        json_equal(json_object_get(then, "size_bytes"), json_object_get(now, "size_bytes")) &&
        json_equal(json_object_get(then, "mtime_ns"), json_object_get(now, "mtime_ns"));
    json_decref(now);
    return is_same;
}
