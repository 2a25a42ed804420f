/* SPDX-License-Identifier: Apache-2.0 */
/* Which disk is the root disk. See root_disk.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/log.h"
#include "common/same_file.h"
#include "driver/definition/root_disk.h"
#include "driver/definition/xml_node.h"

/*
 * What nova calls the disk: "disk", "disk.eph0", "disk.swap"... NULL when the name is none of
 * nova's. Only a file that could be one is looked for: volumes are on shares that may hang.
 */
static const char *novas_name(const char *path, const char *uuid, const char *instances_path)
{
    char folder[DRIVER_PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (strncmp(path, "rbd:", 4) == 0 || strncmp(path, "/dev/", 5) == 0)
        return strncmp(name, uuid, ID_UUID_SIZE - 1) == 0 && name[ID_UUID_SIZE - 1] == '_'
                   ? name + ID_UUID_SIZE
                   : NULL;
    int n = snprintf(folder, sizeof(folder), "%s/%s", instances_path, uuid);
    bool may_be = strcmp(name, "disk") == 0 || strncmp(name, "disk.", 5) == 0;
    return may_be && n > 0 && (size_t)n < sizeof(folder) && same_file_in_folder(path, folder)
               ? name
               : NULL;
}

static bool is_called_root(const char *name)
{
    return strcmp(name, "disk") == 0 || strcmp(name, "disk-dmcrypt") == 0;
}

/* nova.virt.libvirt.blockinfo:get_disk_mapping */
static bool is_called_otherwise(const char *name)
{
    static const char *const others[] = {"disk.eph", "disk.local", "disk.swap", "disk.config",
                                         "disk.rescue"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (strncmp(name, others[i], strlen(others[i])) == 0)
            return true;
    return false;
}

static bool has_name(const struct domain_disk *disk, const char *uuid, const char *instances_path,
                     bool (*is_called)(const char *name))
{
    for (size_t i = 0; i < disk->layer_count; i++) {
        const char *name = novas_name(disk->layers[i].path, uuid, instances_path);
        if (name && is_called(name))
            return true;
    }
    return false;
}

static int refuse_ambiguous(struct error *err, const struct domain_disk *a,
                            const struct domain_disk *b, const char *what)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "it is not known which disk is the root disk: both %.31s (%.255s) and %.31s "
                     "(%.255s) %s",
                     a->target, a->layers[0].path, b->target, b->layers[0].path, what);
}

/* The one disk of that name; *ret_disk stays NULL when there is none. */
static int find_by_name(const struct domain_description *description, const char *uuid,
                        const char *instances_path, const struct domain_disk **ret_disk,
                        struct error *err)
{
    for (size_t i = 0; i < description->disk_count; i++) {
        const struct domain_disk *disk = &description->disks[i];
        if (!has_name(disk, uuid, instances_path, is_called_root))
            continue;
        if (*ret_disk)
            return refuse_ambiguous(err, *ret_disk, disk, "have the name of the root disk");
        *ret_disk = disk;
    }
    return 0;
}

static const struct domain_disk *find_by_target(const struct domain_description *description,
                                                const char *root_device_name)
{
    if (!root_device_name)
        return NULL;
    if (strncmp(root_device_name, "/dev/", 5) == 0)
        root_device_name += 5;
    return root_device_name[0] ? domain_description_disk(description, root_device_name) : NULL;
}

static int check_root_disk(const struct domain_disk *disk, struct error *err)
{
    const char *path = disk->layers[0].path;
    if (disk->problem)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "domain XML: the root disk: %s",
                         disk->problem);
    if (!path[0])
        return xml_node_bad_domain(
            err, "Can't retrieve root device path from instance libvirt configuration");
    if (path[0] != '/' && strncmp(path, "rbd:", 4) != 0)
        return xml_node_bad_domain(err, "the root disk's path is not absolute");
    return 0;
}

int root_disk_find(const struct domain_description *description, const struct guest_id *guest,
                   const char *instances_path, const struct domain_disk **ret_disk,
                   struct error *err)
{
    const char *device = guest->root_device_name;
    const struct domain_disk *by_name = NULL;
    int r = find_by_name(description, guest->uuid, instances_path, &by_name, err);
    if (r < 0)
        return r;
    const struct domain_disk *by_target = find_by_target(description, device);
    const struct domain_disk *disk = by_name ? by_name : by_target;
    if (!disk)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "it is not known which disk is the root disk: none of %zu is %.63s, and "
                         "none has the name nova gives it",
                         description->disk_count, device ? device : "named as root device");
    if (by_target && by_target != disk)
        return refuse_ambiguous(
            err, by_target, disk,
            "could be: the first by the instance's root device, the other by name");
    if (!by_name && has_name(disk, guest->uuid, instances_path, is_called_otherwise))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "it is not known which disk is the root disk: %.63s is %.255s, another "
                         "disk of the instance",
                         device, disk->layers[0].path);
    r = check_root_disk(disk, err);
    if (r < 0)
        return r;
    log_debug("root disk: %s, %s (%s), %zu layers, by its %s", disk->target, disk->layers[0].path,
              disk->layers[0].format, disk->layer_count,
              !by_name    ? "target, the instance's root device"
              : by_target ? "name and target"
                          : "name");
    *ret_disk = disk;
    return 0;
}
