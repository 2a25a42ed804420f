/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_check.h. */
#include "domain/revert_check.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/secret.h"
#include "domain/layer_age.h"
#include "domain/layer_map.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/connection.h"

struct files_check {
    const struct revert_point *point;
    struct layer_map map;
};

static int refuse_file(struct error *err, const char *path, const char *why)
{
    return error_set(err, ESTALE, EXC_INTERNAL_ERROR, "%s, which keeps it, %s", path, why);
}

static int check_definition(const struct session *session, const struct revert_point *point,
                            unsigned flags, struct error *err)
{
    char *xml = virDomainGetXMLDesc(session->domain, flags);
    int r = xml ? revert_point_check_now(point, xml, err)
                : libvirt_error(err, "cannot read the domain's definition");
    secret_free(xml);
    return r;
}

int revert_check_domain(const struct session *session, const struct revert_point *point,
                        struct error *err)
{
    int persistent = virDomainIsPersistent(session->domain);
    int bitmaps = virDomainListAllCheckpoints(session->domain, NULL, 0);
    bool has_none = bitmaps < 0 && virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
    if (persistent < 0 || (bitmaps < 0 && !has_none))
        return libvirt_error(err, "cannot read what the domain is");
    if (persistent == 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the domain has no definition of its own, and would be gone");
    if (bitmaps > 0)
        return error_set(
            err, EINVAL, EXC_INTERNAL_ERROR,
            "the domain has checkpoints of increments, which would be of another "
            "disk: have libvirt forget them with `virsh checkpoint-delete --metadata`; "
            "without --metadata it writes to the files that keep this checkpoint. Files that still "
            "have their "
            "bitmaps are merged into no other, though, until `qemu-img bitmap --remove` while "
            "nobody uses them");
    int r = check_definition(session, point, 0, err);
    return r < 0 ? r : check_definition(session, point, VIR_DOMAIN_XML_INACTIVE, err);
}

/* Whether the checkpoint that a layer was made with had its disk where the layer stands on. */
static bool is_as_made(const struct layer_map *map, const struct layer_name *made)
{
    for (size_t i = 0; i < map->name_count; i++) {
        const struct layer_name *name = &map->names[i];
        if (name->kind == LAYER_NAME_STATE && name->is_own &&
            strcmp(name->snapshot, made->snapshot) == 0 &&
            name->file == map->files[made->file].below)
            return true;
    }
    return false;
}

/* A layer that was merged by somebody has changed the one below, whatever that one is now. */
static int check_account(const struct layer_map *map, struct error *err)
{
    for (size_t i = 0; i < map->name_count; i++) {
        const struct layer_name *name = &map->names[i];
        if (name->kind == LAYER_NAME_OVERLAY && name->is_own && map->files[name->file].is_there &&
            !is_as_made(map, name))
            return error_set(err, ESTALE, EXC_INTERNAL_ERROR,
                             "%s does not stand on the disk of checkpoint %s, as it did when that "
                             "was made: layers were merged since, and may have changed others",
                             map->files[name->file].path, name->snapshot);
    }
    return 0;
}

/* Nobody's disk, and of no other instant. */
static int check_names(const struct files_check *check, size_t file, struct error *err)
{
    const struct layer_map *map = &check->map;
    for (size_t i = 0; i < map->name_count; i++) {
        const struct layer_name *name = &map->names[i];
        bool is_of_it =
            name->is_own && name->snapshot && strcmp(name->snapshot, check->point->name) == 0;
        if (name->file != file || is_of_it || name->kind == LAYER_NAME_OVERLAY)
            continue;
        char holder[LAYER_MAP_HOLDER_MAX];
        layer_map_name_holder(name, holder, sizeof(holder));
        return error_set(err, ESTALE, EXC_INTERNAL_ERROR,
                         "%s, which keeps it, is named by %s as well: it may have been written to "
                         "since",
                         map->files[file].path, holder);
    }
    return 0;
}

static bool is_own(const struct layer_map *map, size_t file, enum layer_name_kind kind)
{
    for (size_t i = 0; i < map->name_count; i++)
        if (map->names[i].file == file && map->names[i].is_own && map->names[i].kind == kind)
            return true;
    return false;
}

/* What the new layer is to stand on: read to the end by QEMU, and changed by nobody. */
static int check_layer(const struct layer_map *map, size_t file, struct error *err)
{
    const struct layer_file *layer = &map->files[file];
    struct qemu_img_info info = {0};
    if (!layer->is_there || !S_ISREG(layer->st.st_mode))
        return refuse_file(err, layer->path, layer->is_there ? "is no file" : "has gone");
    if (layer->format[0] == '\0')
        return refuse_file(err, layer->path, "is of a format that nobody names");
    if (is_own(map, file, LAYER_NAME_DISK))
        return refuse_file(err, layer->path, "is what the domain writes to now");
    if (qemu_img_is_written(layer->path))
        return refuse_file(err, layer->path, "is written to by a QEMU now");
    int r = qemu_img_info(layer->path, layer->format, &info, err);
    if (r < 0)
        return r;
    if (info.is_encrypted || info.has_data_file)
        return refuse_file(err, layer->path, "is encrypted, or has its data in another file");
    return (info.backing_path[0] != '\0') == (layer->below != LAYER_MAP_NONE)
               ? 0
               : refuse_file(err, layer->path, "stands on something that is no file");
}

/* By when its layer was made, where the file system knows. */
static int check_unwritten(const char *path, const struct stat *st, const char *above,
                           struct error *err)
{
    return layer_age_is_unwritten(st, above)
               ? 0
               : refuse_file(err, path, "was written to after the guest had left it");
}

static const struct layer_name *find_disk(const struct layer_map *map, size_t file)
{
    for (size_t i = 0; i < map->name_count; i++)
        if (map->names[i].file == file && map->names[i].kind == LAYER_NAME_DISK)
            return &map->names[i];
    return NULL;
}

/* One of a checkpoint's layers, or one that keeps an earlier checkpoint, is to be as it was then; a
 * template below them is the host's matter. */
static int check_below(const struct layer_map *map, size_t file, struct error *err)
{
    size_t below = map->files[file].below;
    if (below == LAYER_MAP_NONE ||
        !(is_own(map, file, LAYER_NAME_OVERLAY) || is_own(map, below, LAYER_NAME_STATE)))
        return 0;
    const struct layer_name *disk = find_disk(map, below);
    if (disk)
        return error_set(err, ESTALE, EXC_INTERNAL_ERROR,
                         "%s, which it stands on, is a disk of domain %s as well: it may have been "
                         "written to since",
                         map->files[below].path, disk->domain);
    return check_unwritten(map->files[below].path, &map->files[below].st, map->files[file].path,
                           err);
}

static int check_chain(const struct layer_map *map, size_t file, struct error *err)
{
    int r = 0;
    for (size_t depth = 0; r == 0 && file != LAYER_MAP_NONE; depth++) {
        if (depth > map->file_count)
            return refuse_file(err, map->files[file].path, "stands on itself");
        r = check_layer(map, file, err);
        if (r == 0)
            r = check_below(map, file, err);
        file = map->files[file].below;
    }
    return r;
}

static bool is_same(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

static int check_seen(const char *path, const struct revert_seen *seen, struct stat *st,
                      const struct stat *now, struct error *err)
{
    if (seen->is_filled && !is_same(st, now))
        return refuse_file(err, path, "has changed in this moment");
    *st = *now;
    return 0;
}

static int check_disk(const struct files_check *check, size_t place, struct revert_seen *seen,
                      struct error *err)
{
    const struct checkpoint_disk *disk = &check->point->disks[place];
    const struct layer_map *map = &check->map;
    size_t file = layer_map_find(map, disk->base), above = layer_map_find(map, disk->overlay);
    if (file == LAYER_MAP_NONE)
        return refuse_file(err, disk->base, "has gone");
    if (above == LAYER_MAP_NONE || !map->files[above].is_there || map->files[above].below != file)
        return error_set(err, ESTALE, EXC_INTERNAL_ERROR,
                         "%s, which was put on %s then, does not stand on it any more",
                         disk->overlay, disk->base);
    if (strcmp(map->files[file].format, disk->format) != 0)
        return refuse_file(err, disk->base, "is of another format for somebody else");
    int r = check_names(check, file, err);
    if (r == 0)
        r = check_chain(map, file, err);
    if (r == 0)
        r = check_unwritten(disk->base, &map->files[file].st, disk->overlay, err);
    return r < 0 ? r : check_seen(disk->base, seen, &seen->disks[place], &map->files[file].st, err);
}

static int check_memory(const struct files_check *check, struct revert_seen *seen,
                        struct error *err)
{
    const struct revert_point *point = check->point;
    size_t file = layer_map_find(&check->map, point->memory_file);
    if (file == LAYER_MAP_NONE || !check->map.files[file].is_there)
        return refuse_file(err, point->memory_file, "has gone");
    const struct layer_file *memory = &check->map.files[file];
    if (!S_ISREG(memory->st.st_mode))
        return refuse_file(err, memory->path, "is no file");
    int r = check_names(check, file, err);
    if (r == 0)
        r = check_unwritten(memory->path, &memory->st, point->disks[0].overlay, err);
    return r < 0 ? r : check_seen(memory->path, seen, &seen->memory, &memory->st, err);
}

int revert_check_files(const struct session *session, const struct revert_point *point,
                       struct revert_seen *seen, struct error *err)
{
    struct files_check check = {.point = point};
    int r = layer_map_read(session, &check.map, err);
    if (r == 0)
        r = check_account(&check.map, err);
    for (size_t i = 0; r == 0 && i < point->disk_count; i++)
        r = check_disk(&check, i, seen, err);
    if (r == 0 && point->memory_file[0] != '\0')
        r = check_memory(&check, seen, err);
    layer_map_done(&check.map);
    seen->is_filled |= r == 0;
    return r;
}
