/* SPDX-License-Identifier: Apache-2.0 */
/* See layer_place.h. */
#include "driver/definition/layer_place.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/id.h"
#include "common/log.h"
#include "common/same_file.h"

/* The name of an instance's folder begins with its uuid: "_resize" or "_del" may follow. */
static bool is_of_instance(const char *folder_name)
{
    char uuid[ID_UUID_SIZE];
    (void)snprintf(uuid, sizeof(uuid), "%s", folder_name);
    return id_is_uuid(uuid);
}

/* What comes after "folder/"; NULL when the path does not begin so. Both are real paths. */
static const char *path_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && path[length] == '/' ? path + length + 1 : NULL;
}

/* A folder of instances_path may be a link to another file system: then its name is looked up. */
static bool is_in_linked_folder(const char *path, const char *real, const char *instances_path)
{
    char folder[PATH_MAX], linked[PATH_MAX];
    (void)snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    const char *name = strrchr(folder, '/');
    int n = name ? snprintf(linked, sizeof(linked), "%s%s", instances_path, name) : 0;
    return n > 0 && (size_t)n < sizeof(linked) && !is_of_instance(name + 1) &&
           same_file_in_folder(real, linked);
}

/*
 * Base images lie in instances_path/_base, or what [image_cache]subdirectory_name says here or on
 * another host of the same share. What is in an instance's folder, or below snapshots_directory,
 * may be a disk of another tenant.
 */
static bool is_base(const char *path, const char *real, const char *instances_path,
                    const char *snapshots_directory)
{
    char instances[PATH_MAX], snapshots[PATH_MAX];
    if (realpath(snapshots_directory, snapshots) && path_below(real, snapshots))
        return false;
    const char *name = realpath(instances_path, instances) ? path_below(real, instances) : NULL;
    if (name)
        return strchr(name, '/') && !is_of_instance(name);
    return is_in_linked_folder(path, real, instances_path);
}

enum layer_place layer_place_of(const char *path, const char *uuid, const char *instances_path,
                                const char *snapshots_directory)
{
    char own[PATH_MAX], real[PATH_MAX];
    struct stat st;
    int n = snprintf(own, sizeof(own), "%s/%s", instances_path, uuid);
    if (path[0] != '/' || !realpath(path, real) || stat(real, &st) < 0 || !S_ISREG(st.st_mode)) {
        log_debug("layer %s is no plain file", path);
        return LAYER_ELSEWHERE;
    }
    if (n > 0 && (size_t)n < sizeof(own) && same_file_in_folder(real, own))
        return LAYER_OWN;
    return is_base(path, real, instances_path, snapshots_directory) ? LAYER_BASE : LAYER_ELSEWHERE;
}
