/* SPDX-License-Identifier: Apache-2.0 */
/* The map itself. How it is filled: layer_map_read.c. See layer_map.h. */
#include "domain/layer_map_int.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 16384
#define NAMES_MAX 65536

static int grow(void **array, size_t count, size_t max, size_t size, struct error *err)
{
    if (count == max)
        return error_set(err, E2BIG, EXC_INTERNAL_ERROR,
                         "this host's domains have more than %zu files", max);
    if ((count & (count - 1)) != 0) /* there is room up to the next power of two */
        return 0;
    void *grown = realloc(*array, (count > 0 ? 2 * count : 1) * size);
    if (!grown)
        return error_nomem(err);
    *array = grown;
    return 0;
}

static size_t find_file(const struct layer_map *map, const char *path, const struct stat *st)
{
    for (size_t i = 0; i < map->file_count; i++) {
        const struct layer_file *file = &map->files[i];
        if (st ? file->is_there && file->st.st_dev == st->st_dev && file->st.st_ino == st->st_ino
               : !file->is_there && strcmp(file->path, path) == 0)
            return i;
    }
    return LAYER_MAP_NONE;
}

size_t layer_map_find(const struct layer_map *map, const char *path)
{
    struct stat st;
    return find_file(map, path, stat(path, &st) == 0 ? &st : NULL);
}

bool layer_map_reaches(const struct layer_map *map, size_t file, size_t layer)
{
    for (size_t depth = 0; file != LAYER_MAP_NONE && depth < map->file_count; depth++) {
        if (file == layer)
            return true;
        file = map->files[file].below;
    }
    return false;
}

const struct layer_name *layer_map_find_user(const struct layer_map *map, const char *path)
{
    size_t file = layer_map_find(map, path);
    for (size_t i = 0; file != LAYER_MAP_NONE && i < map->name_count; i++) {
        if (layer_map_reaches(map, map->names[i].file, file))
            return &map->names[i];
    }
    return NULL;
}

void layer_map_name_holder(const struct layer_name *name, char *text, size_t size)
{
    if (name->snapshot)
        (void)snprintf(text, size, "checkpoint %s of domain %s", name->snapshot, name->domain);
    else
        (void)snprintf(text, size, "the %s of domain %s",
                       name->kind == LAYER_NAME_SAVED ? "saved memory" : "definition",
                       name->domain);
}

int layer_map_refuse(const struct layer_map *map, size_t file, const struct layer_name *user,
                     struct error *err)
{
    char holder[LAYER_MAP_HOLDER_MAX];
    layer_map_name_holder(user, holder, sizeof(holder));
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s is needed as it is: %s names %s%s",
                     map->files[file].path, holder, map->files[user->file].path,
                     user->snapshot && user->is_own
                         ? "; it may be possible when that one is deleted (delete-checkpoint)"
                         : "");
}

int layer_map_refuse_layer(const struct layer_map *map, size_t file, size_t layer,
                           struct error *err)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "%s is needed as it is: %s, of a branch, stands on it", map->files[file].path,
                     map->files[layer].path);
}

int layer_map_add_file(struct layer_map *map, const char *path, const char *format,
                       size_t *ret_file, struct error *err)
{
    struct layer_file file = {.below = LAYER_MAP_NONE};
    file.is_there = stat(path, &file.st) == 0;
    if (!file.is_there && errno != ENOENT && errno != ENOTDIR)
        return error_errno(err, errno, "cannot look at %s", path);
    size_t known = find_file(map, path, file.is_there ? &file.st : NULL);
    if (known == LAYER_MAP_NONE) {
        void *files = map->files;
        int r = grow(&files, map->file_count, FILES_MAX, sizeof(*map->files), err);
        if (r < 0)
            return r;
        map->files = files;
        (void)snprintf(file.path, sizeof(file.path), "%s", path);
        known = map->file_count++;
        map->files[known] = file;
    }
    /* Whoever names it raw knows of no header: it may have one for another. */
    bool is_raw = strcmp(map->files[known].format, "raw") == 0;
    if (map->files[known].format[0] == '\0' || (is_raw && format[0] != '\0'))
        (void)snprintf(map->files[known].format, sizeof(file.format), "%s", format);
    *ret_file = known;
    return 0;
}

int layer_map_too_long(const struct layer_name *name, struct error *err)
{
    return error_set(err, ENAMETOOLONG, EXC_INVALID_DISK_INFO,
                     "domain %s has a disk whose file's name is too long to be looked at",
                     name->domain);
}

int layer_map_add_name(struct layer_map *map, const struct layer_name *name, const char *path,
                       const char *format, struct error *err)
{
    struct layer_name copy = *name;
    void *names = map->names;
    if (path[0] != '/')
        return 0;
    if (strlen(path) >= DRIVER_PATH_MAX)
        return layer_map_too_long(name, err);
    int r = layer_map_add_file(map, path, format, &copy.file, err);
    if (r == 0)
        r = grow(&names, map->name_count, NAMES_MAX, sizeof(copy), err);
    if (r < 0)
        return r;
    map->names = names;
    copy.domain = strdup(name->domain);
    copy.snapshot = name->snapshot ? strdup(name->snapshot) : NULL;
    map->names[map->name_count++] = copy;
    return copy.domain && (copy.snapshot || !name->snapshot) ? 0 : error_nomem(err);
}

void layer_map_done(struct layer_map *map)
{
    for (size_t i = 0; i < map->name_count; i++) {
        free(map->names[i].domain);
        free(map->names[i].snapshot);
    }
    free(map->names);
    free(map->files);
    if (map->conn)
        (void)virConnectClose(map->conn);
    *map = (struct layer_map){0};
}
