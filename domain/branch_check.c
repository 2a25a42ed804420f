/* SPDX-License-Identifier: Apache-2.0 */
/* See branch_check.h. */
#include "domain/branch_check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/same_file.h"
#include "common/secret.h"
#include "domain/merge_chain.h"
#include "driver/definition/xml_node.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/connection.h"

static int check_file(const json_t *file, struct error *err)
{
    const char *path = merge_chain_path(file), *problem = json_string_member(file, "problem");
    if (problem)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s: %s", path, problem);
    return qemu_img_is_written(path)
               ? error_set(err, EBUSY, EXC_INTERNAL_ERROR, "a QEMU writes to %s", path)
               : 0;
}

/* As that of a guest that somebody has put on the file below since. */
static int check_empty(const char *layer, struct error *err)
{
    bool is_empty = false;
    int r = qemu_img_layer_is_empty(layer, &is_empty, err);
    return r < 0 || is_empty
               ? r
               : error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                           "%s holds what was written after the checkpoint, and no other one keeps "
                           "that: remove that file first when nothing of it is missed",
                           layer);
}

static int check_files(const json_t *branch, const struct checkpoint_disk *disks, size_t disk_count,
                       struct error *err)
{
    const json_t *disk, *file;
    size_t i, j;
    int r = 0;
    json_array_foreach (json_object_get(branch, "disks"), i, disk) {
        json_array_foreach (json_object_get(disk, "gone"), j, file) {
            if (r == 0)
                r = check_file(file, err);
            if (r == 0 && j == 0 && i < disk_count &&
                same_file(merge_chain_path(file), disks[i].overlay))
                r = check_empty(merge_chain_path(file), err);
        }
    }
    return r;
}

/* A file that was made later is another one of that name. */
static bool was_there(const char *path, const struct stat *memory)
{
    struct statx made = {0};
    return statx(AT_FDCWD, path, 0, STATX_BTIME, &made) < 0 || !(made.stx_mask & STATX_BTIME) ||
           made.stx_btime.tv_sec <= memory->st_mtime;
}

static const char *find_gone(const json_t *branch, const char *path, const struct stat *memory)
{
    const json_t *disk, *file;
    size_t i, j;
    json_array_foreach (json_object_get(branch, "disks"), i, disk) {
        json_array_foreach (json_object_get(disk, "gone"), j, file) {
            if (same_file(path, merge_chain_path(file)) && was_there(path, memory))
                return merge_chain_path(file);
        }
    }
    return NULL;
}

static int check_disks(const struct layer_name *name, const struct stat *memory, const char *xml,
                       const json_t *branch, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    char path[DRIVER_PATH_MAX];
    int r = xml_node_parse_domain(xml, &document, &devices, err);
    if (r < 0)
        return r;
    for (xmlNode *disk = xml_node_child_named(devices, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk")) {
        const xmlNode *source = xml_node_child_named(disk, "source");
        bool is_file =
            xml_node_copy_attribute(source, "file", path, sizeof(path)) && path[0] == '/';
        const char *gone = is_file ? find_gone(branch, path, memory) : NULL;
        if (gone)
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                             "%s is needed as it is: the memory of checkpoint %s names it", gone,
                             name->snapshot);
    }
    return 0;
}

/* What a guest has in it that is woken by other means than `domain revert`. */
static int check_memory(const struct layer_map *map, const struct layer_name *name,
                        const json_t *branch, struct error *err)
{
    const struct layer_file *file = &map->files[name->file];
    if (!file->is_there)
        return 0;
    char *xml = virDomainSaveImageGetXMLDesc(map->conn, file->path, 0);
    int r = xml ? check_disks(name, &file->st, xml, branch, err)
                : libvirt_error(err, "cannot tell which disks the memory of checkpoint %s names",
                                name->snapshot);
    secret_free(xml);
    return r;
}

int branch_check(const struct layer_map *map, const json_t *branch,
                 const struct checkpoint_disk *disks, size_t disk_count, struct error *err)
{
    const char *deleted = json_string_member(branch, "snapshot");
    int r = check_files(branch, disks, disk_count, err);
    for (size_t i = 0; r == 0 && i < map->name_count; i++) {
        const struct layer_name *name = &map->names[i];
        if (name->kind == LAYER_NAME_MEMORY && name->is_own &&
            (!deleted || strcmp(name->snapshot, deleted) != 0))
            r = check_memory(map, name, branch, err);
    }
    return r;
}
