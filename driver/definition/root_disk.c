/* SPDX-License-Identifier: Apache-2.0 */
/* Is the root disk what its definition says? See root_disk.h. */
#include "driver/definition/root_disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/same_file.h"
#include "driver/ceph/rbd_name.h"
#include "driver/definition/layer_place.h"
#include "driver/image/qemu_img.h"

enum disk_source_type root_disk_source_type(const struct domain_disk *disk)
{
    char descriptor[DRIVER_PATH_MAX + 32];
    const char *path = disk->layers[0].path;
    struct stat st;
    if (strncmp(path, "/dev/", 5) == 0)
        return DISK_SOURCE_LVM;
    if (strncmp(path, "rbd:", 4) == 0)
        return DISK_SOURCE_RBD;
    (void)snprintf(descriptor, sizeof(descriptor), "%s/DiskDescriptor.xml", path);
    return stat(descriptor, &st) == 0 ? DISK_SOURCE_PLOOP : DISK_SOURCE_FILE;
}

/* The way down the chain of layers. */
struct walk {
    const struct domain_disk *disk;
    const char *uuid;
    const struct root_disk_policy *policy;
    char path[DRIVER_PATH_MAX]; /* of the layer that is looked at */
    size_t place;               /* which layer of the chain it is */
    dev_t devices[DISK_LAYERS_MAX];
    ino_t inodes[DISK_LAYERS_MAX];
};

static int refuse_layer(struct error *err, const char *path, const char *what)
{
    return error_set(err, EINVAL, EXC_INVALID_DISK_INFO, "Disk info file is invalid: %s: %s", path,
                     what);
}

static int refuse_encrypted(struct error *err, const char *path)
{
    return error_set(err, ENOTSUP, EXC_INVALID_DISK_INFO,
                     "Disk info file is invalid: %s: it is encrypted, and its image would not be",
                     path);
}

/* Whether the kernel decrypts what is read from the device: it has nova's name for that, or a uuid
 * that cryptsetup gives. */
static bool is_dm_crypt(const char *path)
{
    static const char suffix[] = "-dmcrypt";
    char name[64], uuid[8] = "";
    struct stat st;
    size_t length = strlen(path);
    if (length >= sizeof(suffix) && strcmp(path + length - (sizeof(suffix) - 1), suffix) == 0)
        return true;
    if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
        return false;
    (void)snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/dm/uuid", major(st.st_rdev),
                   minor(st.st_rdev));
    cleanup_fclose FILE *file = fopen(name, "re");
    return file && fgets(uuid, sizeof(uuid), file) && strncmp(uuid, "CRYPT-", 6) == 0;
}

static int check_definition(const struct domain_disk *disk, enum disk_source_type source_type,
                            struct error *err)
{
    const char *path = disk->layers[0].path, *format = disk->layers[0].format;
    if (!format[0])
        return refuse_layer(err, path, "the domain definition names no format");
    if (source_type != DISK_SOURCE_FILE && strcmp(format, "raw") != 0)
        return refuse_layer(err, path, "a block device or RBD image is raw");
    for (size_t i = 0; i < disk->layer_count; i++)
        if (disk->layers[i].encrypted)
            return refuse_encrypted(err, disk->layers[i].path);
    return source_type == DISK_SOURCE_LVM && is_dm_crypt(path) ? refuse_encrypted(err, path) : 0;
}

/* `format` NULL: what qemu-img takes it for. */
static int read_header(const char *path, const char *format, struct qemu_img_info *ret_info,
                       struct error *err)
{
    int r = qemu_img_info(path, format, ret_info, err);
    if (r < 0)
        return r;
    if (ret_info->is_encrypted)
        return refuse_encrypted(err, path);
    return ret_info->has_data_file ? refuse_layer(err, path, "its data is in another file") : 0;
}

/* Each file of a chain is in it once. */
static int note_layer(struct walk *walk, struct error *err)
{
    struct stat st;
    if (stat(walk->path, &st) < 0)
        return error_set(err, ENOENT, EXC_DISK_NOT_FOUND, "No disk at %s", walk->path);
    for (size_t i = 0; i < walk->place; i++)
        if (walk->devices[i] == st.st_dev && walk->inodes[i] == st.st_ino)
            return refuse_layer(err, walk->path, "it is below itself");
    walk->devices[walk->place] = st.st_dev;
    walk->inodes[walk->place] = st.st_ino;
    return 0;
}

/* The header's backing file against what libvirt opened; an unnamed format is taken from there. */
static int check_known(const struct walk *walk, struct qemu_img_info *header, struct error *err)
{
    const struct disk_layer *layer = &walk->disk->layers[walk->place + 1];
    if (walk->place + 1 >= walk->disk->layer_count)
        return walk->disk->chain_known
                   ? refuse_layer(err, walk->path,
                                  "it has a backing file that the running guest does not have")
                   : 0;
    if (!same_file(layer->path, header->backing_path))
        return refuse_layer(err, walk->path,
                            "its backing file is not the one of the running guest");
    if (!header->backing_format[0])
        memcpy(header->backing_format, layer->format, DRIVER_FORMAT_MAX);
    if (strcmp(layer->format, header->backing_format) != 0)
        return refuse_layer(err, walk->path,
                            "its backing file's format is not that of the running guest");
    return 0;
}

static int check_standalone(const char *path, const char *format, struct qemu_img_info *ret_info,
                            struct error *err)
{
    int r = read_header(path, format, ret_info, err);
    if (r < 0)
        return r;
    return ret_info->backing_path[0]
               ? refuse_layer(err, path, "a base image may not have a backing file")
               : 0;
}

/*
 * nova's create_image: the base image stands alone, whatever its format turns out to be. A format
 * that neither the header nor the definition names is what qemu-img takes it for, as nova does.
 */
static int check_base(const struct walk *walk, struct qemu_img_info *header, struct error *err)
{
    const char *path = header->backing_path;
    char *format = header->backing_format;
    struct qemu_img_info base = {0};
    if (walk->place + 2 < walk->disk->layer_count)
        return refuse_layer(err, path, "it lacks the backing file that the running guest has");
    if (!format[0] || walk->policy->deep_image_inspection) {
        int r = check_standalone(path, NULL, &base, err);
        if (r < 0)
            return r;
        if (!format[0]) {
            log_debug("root disk: no format is named for base image %s, qemu-img says %s", path,
                      base.format);
            memcpy(format, base.format, DRIVER_FORMAT_MAX);
        }
    }
    return strcmp(base.format, format) == 0 ? 0 : check_standalone(path, format, &base, err);
}

static enum layer_place find_place(const struct walk *walk, const char *path)
{
    const struct root_disk_policy *policy = walk->policy;
    return policy->instances_path ? layer_place_of(path, walk->uuid, policy->instances_path,
                                                   policy->snapshots_directory)
                                  : LAYER_OWN;
}

/* Checks what is below the layer. *ret_last: nothing, or a base image, which is the end. */
static int check_below(const struct walk *walk, struct qemu_img_info *header, bool *ret_last,
                       struct error *err)
{
    bool lacks = walk->place + 1 < walk->disk->layer_count;
    *ret_last = true;
    if (!header->backing_path[0])
        return lacks ? refuse_layer(err, walk->path,
                                    "it lacks the backing file that the running guest has")
                     : 0;
    if (header->backing_path[0] == '/' && access(header->backing_path, F_OK) < 0 && errno == ENOENT)
        return error_set(err, ENOENT, EXC_DISK_NOT_FOUND, "No disk at %s, the backing file of %s",
                         header->backing_path, walk->path);
    enum layer_place place = find_place(walk, header->backing_path);
    if (place == LAYER_ELSEWHERE)
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                         "Disk info file is invalid: %s: its backing file %s is neither in the "
                         "instance's folder nor a base image below instances_path",
                         walk->path, header->backing_path);
    int r = check_known(walk, header, err);
    if (r < 0)
        return r;
    log_debug("root disk: below %s is %s (%s), %s", walk->path, header->backing_path,
              header->backing_format, place == LAYER_BASE ? "a base image" : "the instance's own");
    if (place == LAYER_BASE)
        return check_base(walk, header, err);
    *ret_last = false;
    return header->backing_format[0]
               ? 0
               : refuse_layer(err, walk->path, "it names no format for its backing file");
}

/* Checks layer after layer while they are the instance's own; *header is that of the first one. */
static int check_chain(struct walk *walk, struct qemu_img_info *header, struct error *err)
{
    struct qemu_img_info own = {0}, *present = header;
    bool last = false;
    for (;;) {
        int r = note_layer(walk, err);
        if (r < 0)
            return r;
        r = check_below(walk, present, &last, err);
        if (r < 0 || last)
            return r;
        if (++walk->place == DISK_LAYERS_MAX)
            return refuse_layer(err, walk->path, "too many layers are above it");
        char format[DRIVER_FORMAT_MAX];
        memcpy(walk->path, present->backing_path, sizeof(walk->path));
        memcpy(format, present->backing_format, sizeof(format));
        present = &own;
        r = read_header(walk->path, format, present, err);
        if (r < 0)
            return r;
    }
}

int root_disk_inspect(const struct domain_disk *disk, const char *uuid,
                      const struct root_disk_policy *policy, struct guest_info *info,
                      struct error *err)
{
    struct walk walk = {.disk = disk, .uuid = uuid, .policy = policy};
    struct qemu_img_info header = {0};
    const char *path = disk->layers[0].path;
    enum disk_source_type source_type = root_disk_source_type(disk);
    int r = check_definition(disk, source_type, err);
    if (r < 0)
        return r;
    if (source_type == DISK_SOURCE_RBD) {
        struct rbd_name name;
        return rbd_name_parse(path, &name, err);
    }
    (void)snprintf(walk.path, sizeof(walk.path), "%s", path);
    r = read_header(path, disk->layers[0].format, &header, err);
    if (r < 0)
        return r;
    r = check_chain(&walk, &header, err);
    if (r < 0)
        return r;
    info->virtual_size_bytes = header.virtual_size_bytes;
    info->cluster_size_bytes = header.cluster_size_bytes;
    memcpy(info->backing_path, header.backing_path, sizeof(info->backing_path));
    memcpy(info->backing_format, header.backing_format, sizeof(info->backing_format));
    return 0;
}
