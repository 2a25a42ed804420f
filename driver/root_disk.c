/* See root_disk.h. */
#include "driver/root_disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/id.h"
#include "driver/qemu_img.h"
#include "driver/rbd_name.h"

static int invalid(struct error *err, const char *path, const char *what)
{
    return error_set(err, EINVAL, EXC_INVALID_DISK_INFO, "Disk info file is invalid: %s: %s", path,
                     what);
}

/* Absolute, and without a step that leads elsewhere than it reads. */
static bool is_plain_path(const char *path)
{
    return path[0] == '/' && !strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../");
}

/*
 * Base images lie in instances_path/_base (or what [image_cache]subdirectory_name says). A folder
 * with a uuid for a name is an instance's: a disk of another tenant.
 */
static bool is_base_image(const char *path, const char *instances_path)
{
    size_t length = strlen(instances_path);
    while (length > 1 && instances_path[length - 1] == '/')
        length--;
    if (!is_plain_path(path) || strncmp(path, instances_path, length) != 0 || path[length] != '/')
        return false;
    const char *name = path + length + 1;
    const char *slash = strchr(name, '/');
    if (!slash)
        return false;
    char folder[ID_UUID_SIZE];
    int n = snprintf(folder, sizeof(folder), "%.*s", (int)(slash - name), name);
    return n >= (int)sizeof(folder) || !id_is_uuid(folder);
}

/* The header's backing file against what libvirt opened and where nova keeps base images. */
static int check_backing(const struct domain_description *description,
                         const struct root_disk_policy *policy, const struct qemu_img_info *disk,
                         struct error *err)
{
    const char *path = description->disk_path;
    if (description->backing_known && description->has_backing != (disk->backing_path[0] != '\0'))
        return invalid(err, path,
                       disk->backing_path[0]
                           ? "it has a backing file that the running guest does not have"
                           : "it lacks the backing file that the running guest has");
    if (!disk->backing_path[0])
        return 0;
    if (!is_base_image(disk->backing_path, policy->instances_path))
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                         "Disk info file is invalid: %s: its backing file %s is not a base image "
                         "below instances_path",
                         path, disk->backing_path);
    if (!description->backing_known)
        return 0;
    if (strcmp(description->backing.path, disk->backing_path) != 0)
        return invalid(err, path, "its backing file is not the one of the running guest");
    if (disk->backing_format[0] && strcmp(description->backing.format, disk->backing_format) != 0)
        return invalid(err, path, "its backing file's format is not that of the running guest");
    return 0;
}

static int check_standalone(const char *path, const char *format, struct qemu_img_info *ret_info,
                            struct error *err)
{
    int r = qemu_img_info(path, format, ret_info, err);
    if (r < 0)
        return r;
    if (ret_info->backing_path[0])
        return invalid(err, path, "a base image may not have a backing file");
    if (ret_info->has_data_file)
        return invalid(err, path, "its data is in another file");
    return 0;
}

/*
 * nova's create_image: the base image stands alone, whatever its format turns out to be. A format
 * that neither the header nor the definition names is what qemu-img takes it for, as nova does.
 */
static int check_base(const struct domain_description *description,
                      const struct root_disk_policy *policy, struct qemu_img_info *disk,
                      struct error *err)
{
    const char *path = disk->backing_path;
    char *format = disk->backing_format;
    struct qemu_img_info base = {0};
    if (!format[0] && description->backing_known)
        memcpy(format, description->backing.format, DRIVER_FORMAT_MAX);
    if (!format[0] || policy->deep_image_inspection) {
        int r = check_standalone(path, NULL, &base, err);
        if (r < 0)
            return r;
        if (!format[0])
            memcpy(format, base.format, DRIVER_FORMAT_MAX);
    }
    return strcmp(base.format, format) == 0 ? 0 : check_standalone(path, format, &base, err);
}

int root_disk_inspect(const struct domain_description *description,
                      const struct root_disk_policy *policy, struct guest_info *info,
                      struct error *err)
{
    const char *path = description->disk_path;
    struct qemu_img_info disk = {0};
    if (!description->disk_format[0])
        return invalid(err, path, "the domain definition names no format");
    if (description->source_type != DISK_SOURCE_FILE &&
        strcmp(description->disk_format, "raw") != 0)
        return invalid(err, path, "a block device or RBD image is raw");
    if (description->source_type == DISK_SOURCE_RBD) {
        struct rbd_name name;
        return rbd_name_parse(path, &name, err);
    }
    int r = qemu_img_info(path, description->disk_format, &disk, err);
    if (r < 0)
        return r;
    if (disk.has_data_file)
        return invalid(err, path, "its data is in another file");
    r = check_backing(description, policy, &disk, err);
    if (r == 0 && disk.backing_path[0])
        r = check_base(description, policy, &disk, err);
    if (r < 0)
        return r;
    info->virtual_size_bytes = disk.virtual_size_bytes;
    info->cluster_size_bytes = disk.cluster_size_bytes;
    memcpy(info->backing_path, disk.backing_path, sizeof(info->backing_path));
    memcpy(info->backing_format, disk.backing_format, sizeof(info->backing_format));
    return 0;
}
