/* SPDX-License-Identifier: Apache-2.0 */
/* See clean_files.h. */
#include "agent/clean_files.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/same_file.h"

struct reading {
    const char *parent;
    struct clean_files files;
    bool no_memory;
};

/* The name of its folder, if that is in `parent`. NULL otherwise, or without memory. Owned. */
static char *folder_in(const char *path, const char *parent)
{
    cleanup_free char *copy = strdup(path);
    char *slash = copy ? strrchr(copy, '/') : NULL;
    if (!slash)
        return NULL;
    *slash = '\0';
    slash = strrchr(copy, '/');
    return slash && same_file_in_folder(copy, parent) ? strdup(slash + 1) : NULL;
}

static bool is_known(const struct clean_files *files, const struct driver_file *file)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->files[i].use == file->use && strcmp(files->files[i].path, file->path) == 0 &&
            strcmp(files->files[i].uuid, file->uuid) == 0)
            return true;
    return false;
}

static void add_file(struct reading *reading, const struct driver_file *file, const char *folder)
{
    struct clean_files *files = &reading->files;
    struct clean_file *grown = reallocarray(files->files, files->count + 1, sizeof(*files->files));
    struct clean_file added = {
        .use = file->use, .path = strdup(file->path), .folder = strdup(folder)};
    if (grown)
        files->files = grown;
    if (!grown || !added.path || !added.folder) {
        free(added.path);
        free(added.folder);
        reading->no_memory = true;
        return;
    }
    (void)snprintf(added.uuid, sizeof(added.uuid), "%s", file->uuid);
    (void)snprintf(added.disk_target, sizeof(added.disk_target), "%s", file->disk_target);
    added.name = strrchr(added.path, '/') + 1;
    grown[files->count++] = added;
}

/* By what it is called, and by what that leads to. */
static void take_file(void *arg, const struct driver_file *file)
{
    struct reading *reading = arg;
    cleanup_free char *real = realpath(file->path, NULL);
    cleanup_free char *folder = folder_in(file->path, reading->parent);
    if (!folder && real)
        folder = folder_in(real, reading->parent);
    if (folder && !is_known(&reading->files, file))
        add_file(reading, file, folder);
}

int clean_files_read(struct driver *driver, const char *snapshots_directory,
                     struct clean_files *ret_files, struct error *err)
{
    struct reading reading = {.parent = snapshots_directory};
    int r = driver->ops->visit_files(driver, take_file, &reading, err);
    if (r == 0 && reading.no_memory)
        r = error_nomem(err);
    if (r < 0)
        clean_files_done(&reading.files);
    else
        *ret_files = reading.files;
    return r;
}

void clean_files_done(struct clean_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->files[i].path);
        free(files->files[i].folder);
    }
    free(files->files);
    *files = (struct clean_files){0};
}
