/* SPDX-License-Identifier: Apache-2.0 */
/* See files.h. */
#include "agent/clean/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/clean/folder.h"
#include "common/cleanup.h"

struct reading {
    struct clean_files files;
    bool no_memory;
};

static bool is_known(const struct clean_files *files, const struct driver_file *file)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->files[i].use == file->use && strcmp(files->files[i].path, file->path) == 0 &&
            strcmp(files->files[i].uuid, file->uuid) == 0)
            return true;
    return false;
}

static void take_file(void *arg, const struct driver_file *file)
{
    struct reading *reading = arg;
    struct clean_files *files = &reading->files;
    if (is_known(files, file))
        return;
    struct clean_file *grown = reallocarray(files->files, files->count + 1, sizeof(*files->files));
    struct clean_file added = {.use = file->use, .path = strdup(file->path)};
    if (grown)
        files->files = grown;
    if (!grown || !added.path) {
        free(added.path);
        reading->no_memory = true;
        return;
    }
    (void)snprintf(added.uuid, sizeof(added.uuid), "%s", file->uuid);
    (void)snprintf(added.disk_target, sizeof(added.disk_target), "%s", file->disk_target);
    added.real = realpath(file->path, NULL);
    added.name = strrchr(added.path, '/') + 1;
    grown[files->count++] = added;
}

int clean_files_read(struct driver *driver, struct clean_files *ret_files, struct error *err)
{
    struct reading reading = {.no_memory = false};
    int r = driver->ops->visit_files(driver, take_file, &reading, err);
    if (r == 0 && reading.no_memory)
        r = error_nomem(err);
    if (r < 0)
        clean_files_done(&reading.files);
    else
        *ret_files = reading.files;
    return r;
}

/* Calls is_it() for the name of each folder on the way to the file, until it says yes. */
static bool find_folder(const char *path, bool (*is_it)(const char *name, void *arg), void *arg)
{
    char name[NAME_MAX + 1];
    const char *step = path, *slash;
    for (; step && (slash = strchr(step, '/')); step = slash + 1) {
        size_t length = (size_t)(slash - step);
        if (length >= sizeof(name))
            continue;
        memcpy(name, step, length);
        name[length] = '\0';
        if (is_it(name, arg))
            return true;
    }
    return false;
}

static bool is_same(const char *name, void *folder)
{
    return strcmp(name, folder) == 0;
}

bool clean_files_is_in(const struct clean_file *file, const char *folder)
{
    void *wanted = (void *)(uintptr_t)folder;
    return find_folder(file->path, is_same, wanted) || find_folder(file->real, is_same, wanted);
}

static bool take_if_snapshots(const char *name, void *ret_folder)
{
    bool is_own;
    if (clean_folder_is_named(name, &is_own))
        (void)snprintf(ret_folder, NAME_MAX + 1, "%s", name);
    return false; /* the next may be one as well, in a folder that only looks like one */
}

void clean_files_folder(const struct clean_file *file, char ret_folder[static NAME_MAX + 1])
{
    ret_folder[0] = '\0';
    (void)find_folder(file->path, take_if_snapshots, ret_folder);
    if (ret_folder[0] == '\0')
        (void)find_folder(file->real, take_if_snapshots, ret_folder);
}

void clean_files_done(struct clean_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->files[i].path);
        free(files->files[i].real);
    }
    free(files->files);
    *files = (struct clean_files){0};
}
