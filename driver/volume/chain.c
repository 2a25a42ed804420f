/* SPDX-License-Identifier: Apache-2.0 */
/* See chain.h. */
#include "driver/volume/chain.h"

#include <errno.h>
#include <libxml/xmlstring.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/same_file.h"
#include "driver/image/qemu_img.h"

static bool is_file_name(const char *name)
{
    size_t length = strnlen(name, NAME_MAX + 1);
    if (length == 0 || length > NAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '/' || *c == ':')
            return false;
    return xmlCheckUTF8((const xmlChar *)name) == 1;
}

/* The length of "/dir/" in front of the first layer's name. */
static size_t directory_length(const struct volume_disk *disk)
{
    const char *path = disk->layers[0].path;
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

int volume_chain_join(const struct volume_disk *disk, const char *name, char **ret_path,
                      struct error *err)
{
    size_t length = directory_length(disk);
    char *path = NULL;
    if (!is_file_name(name))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "a file of volume disk %s is called by what is no file name",
                         disk->target);
    if (length == 0 || length + strlen(name) >= DRIVER_PATH_MAX)
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "the path of file %s is too long",
                         name);
    if (asprintf(&path, "%.*s%s", (int)length, disk->layers[0].path, name) < 0)
        return error_nomem(err);
    *ret_path = path;
    return 0;
}

int volume_chain_invalid(struct error *err, const char *path, const char *what)
{
    return error_set(err, EINVAL, EXC_INVALID_DISK_INFO, "Disk info file is invalid: %s: %s", path,
                     what);
}

/* In the volume's directory, by whatever name for that, and no link. */
static int chain_check_path(const struct volume_disk *disk, const char *path, struct error *err)
{
    struct stat st;
    cleanup_free char *directory = strndup(disk->layers[0].path, directory_length(disk));
    if (!directory)
        return error_nomem(err);
    if (!same_file_in_folder(path, directory))
        return volume_chain_invalid(err, path, "a backing file outside of the volume's directory");
    if (lstat(path, &st) < 0)
        return error_set(err, ENOENT, EXC_DISK_NOT_FOUND, "No disk at %s", path);
    return S_ISREG(st.st_mode) ? 0 : volume_chain_invalid(err, path, "it is no regular file");
}

/* Reads the last layer's header; *ret_more when it names one below. */
static int chain_read_header(struct volume_disk *disk, bool *ret_more, struct error *err)
{
    const struct volume_layer *last = &disk->layers[disk->layer_count - 1];
    struct qemu_img_info info = {0};
    int r = chain_check_path(disk, last->path, err);
    if (r < 0)
        return r;
    r = qemu_img_info(last->path, last->format, &info, err);
    if (r < 0)
        return r;
    if (info.has_data_file)
        return volume_chain_invalid(err, last->path, "its data is in another file");
    *ret_more = info.backing_path[0] != '\0';
    if (!*ret_more)
        return 0;
    if (!info.backing_format[0])
        return volume_chain_invalid(err, last->path, "it names no format for its backing file");
    return volume_disk_add_layer(disk, info.backing_path, info.backing_format, -1, err);
}

int volume_chain_read_headers(struct volume_disk *disk, struct error *err)
{
    bool more = true;
    volume_disk_drop_chain(disk);
    if (!disk->layers[0].format[0])
        return volume_chain_invalid(err, disk->layers[0].path,
                                    "the domain definition names no format");
    while (more) {
        int r = chain_read_header(disk, &more, err);
        if (r < 0)
            return r;
    }
    disk->chain_known = true;
    return 0;
}

static int chain_find_layer(const struct volume_disk *disk, const char *name, size_t *ret_place,
                            struct error *err)
{
    cleanup_free char *path = NULL;
    int r = volume_chain_join(disk, name, &path, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < disk->layer_count; i++) {
        if (!same_file(disk->layers[i].path, path))
            continue;
        *ret_place = i;
        return 0;
    }
    return error_set(err, ENOENT, EXC_INTERNAL_ERROR, "file %s is no layer of disk %s", name,
                     disk->target);
}

/* file_to_merge becomes the layer right below the first one. */
static int chain_plan_pull(const struct volume_disk *disk, const struct volume_merge *merge,
                           struct volume_merge_plan *ret_plan, struct error *err)
{
    size_t base = disk->layer_count;
    int r = merge->file_to_merge ? chain_find_layer(disk, merge->file_to_merge, &base, err) : 0;
    if (r < 0)
        return r;
    if (base == 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "file %s is what the guest writes to: it cannot be below that",
                         merge->file_to_merge);
    if (merge->file_to_merge && base > 2)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "more than one layer of disk %s lies above file %s", disk->target,
                         merge->file_to_merge);
    *ret_plan = (struct volume_merge_plan){.first = 1, .end = base};
    return 0;
}

static int chain_plan_commit(const struct volume_disk *disk, const struct volume_merge *merge,
                             struct volume_merge_plan *ret_plan, struct error *err)
{
    size_t top = 0, base = 0;
    struct error missing = ERROR_INIT;
    if (!merge->file_to_merge)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "there is no file to merge into %.255s",
                         merge->merge_target_file);
    int r = chain_find_layer(disk, merge->merge_target_file, &base, err);
    if (r < 0)
        return r;
    r = chain_find_layer(disk, merge->file_to_merge, &top, &missing);
    if (r == -ENOENT && base > 0) {
        *ret_plan = (struct volume_merge_plan){.commit = true, .first = base, .end = base};
        return 0; /* what was above the target has been merged into it */
    }
    if (r < 0) {
        *err = missing;
        return r;
    }
    if (top == 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "file %s is what the guest writes to: it cannot be merged into %s",
                         merge->file_to_merge, merge->merge_target_file);
    if (base != top + 1)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "file %s is not right below file %s",
                         merge->merge_target_file, merge->file_to_merge);
    *ret_plan = (struct volume_merge_plan){.commit = true, .first = top, .end = base};
    return 0;
}

int volume_chain_plan(const struct volume_disk *disk, const struct volume_merge *merge,
                      struct volume_merge_plan *ret_plan, struct error *err)
{
    return merge->merge_target_file ? chain_plan_commit(disk, merge, ret_plan, err)
                                    : chain_plan_pull(disk, merge, ret_plan, err);
}

bool volume_chain_is_merged(const struct volume_disk *before, const struct volume_merge_plan *plan,
                            const struct volume_disk *now)
{
    size_t gone = plan->end - plan->first;
    if (!now->chain_known || now->layer_count != before->layer_count - gone)
        return false;
    for (size_t i = 0; i < now->layer_count; i++) {
        const struct volume_layer *expected = &before->layers[i < plan->first ? i : i + gone];
        if (!same_file(now->layers[i].path, expected->path))
            return false;
    }
    return true;
}
