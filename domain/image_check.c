/* SPDX-License-Identifier: Apache-2.0 */
/* See image_check.h. */
#include "domain/image_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/process.h"
#include "driver/image/qcow2_mark.h"
#include "driver/image/qemu_img.h"

#define CHECK_STALL_MS 120000
#define FOUND_DAMAGE 2 /* qemu-img(1), check */
#define FOUND_LEAKS 3

bool image_check_can(const char *format)
{
    static const char *const formats[] = {"qcow2", "vmdk", "vdi"};
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (strcmp(format, formats[i]) == 0)
            return true;
    return false;
}

static int check_file(const char *path, const char *format, bool leaks_are_damage,
                      struct error *err)
{
    const char *const argv[] = {"qemu-img", "check", "-q", "-f", format, path, NULL};
    int status = 0;
    const struct process_options options = {.argv = argv,
                                            .stall_timeout_ms = CHECK_STALL_MS,
                                            .sandbox = qemu_img_sandbox(path),
                                            .ret_status = &status};
    struct error failure = ERROR_INIT;
    if (process_run(&options, NULL, NULL, &failure) == 0)
        return 0;
    if (cancel_check(err) < 0)
        return -ECANCELED;
    if (status == FOUND_LEAKS && !leaks_are_damage)
        return 0;
    return error_set(err, EINVAL, EXC_INVALID_DISK_INFO, "%s %s: %s", path,
                     status == FOUND_DAMAGE || status == FOUND_LEAKS ? "is damaged"
                                                                     : "cannot be checked",
                     failure.message);
}

int image_check_run(const char *path, const char *format, struct error *err)
{
    return check_file(path, format, true, err);
}

int image_check_content(const char *path, const char *format, struct error *err)
{
    return check_file(path, format, false, err);
}

static int refuse_layer(struct error *err, const char *path, const char *what)
{
    return error_set(err, EINVAL, EXC_INVALID_DISK_INFO, "%s: %s", path, what);
}

/* Each file is in a chain once. */
static int look_at_file(const struct image_chain *chain, struct image_layer *layer,
                        struct error *err)
{
    struct stat st, other;
    if (stat(layer->path, &st) < 0)
        return error_errno(err, errno, "%s", layer->path);
    if (!S_ISREG(st.st_mode))
        return refuse_layer(err, layer->path, "it is no plain file");
    for (size_t i = 0; i < chain->count; i++)
        if (stat(chain->layers[i].path, &other) == 0 && other.st_dev == st.st_dev &&
            other.st_ino == st.st_ino)
            return refuse_layer(err, layer->path, "it is below itself");
    layer->size_on_disk_bytes = (uint64_t)st.st_blocks * 512;
    return 0;
}

/* `format` "": what qemu-img takes it for, as of the first layer alone. */
static int read_layer(struct image_layer *layer, struct qemu_img_info *ret_info,
                      struct qcow2_marks *ret_marks, struct error *err)
{
    int r = qemu_img_info(layer->path, layer->format[0] ? layer->format : NULL, ret_info, err);
    if (r < 0)
        return r;
    memcpy(layer->format, ret_info->format, sizeof(layer->format));
    layer->virtual_size_bytes = ret_info->virtual_size_bytes;
    if (ret_info->has_data_file || ret_info->is_encrypted)
        return refuse_layer(err, layer->path, "it is encrypted, or its data is in another file");
    if (ret_info->backing_path[0] && !ret_info->backing_format[0])
        return refuse_layer(err, layer->path, "it names no format for the image it stands on");
    *ret_marks = (struct qcow2_marks){0};
    if (strcmp(layer->format, "qcow2") == 0 && qcow2_mark_read(layer->path, ret_marks, err) < 0)
        return -err->errnum;
    layer->base = ret_info->backing_path[0] == '\0' ? IMAGE_BASE_NONE
                  : ret_marks->base[0] == '\0'      ? IMAGE_BASE_UNKNOWN
                                                    : IMAGE_BASE_KNOWN;
    return 0;
}

/* `wanted`: the mark of the image that the layer above was made on. */
static int check_base(const struct image_chain *chain, const char *wanted, const char *found,
                      struct error *err)
{
    if (wanted[0] == '\0' || strcmp(wanted, found) == 0)
        return 0;
    return error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                     "%s stands on another image than the one it was made on: %s has %s",
                     chain->layers[chain->count - 1].path, chain->layers[chain->count].path,
                     found[0] != '\0' ? "another mark" : "no mark");
}

static int read_chain(const char *path, struct image_chain *chain, struct error *err)
{
    struct qemu_img_info info = {0};
    struct qcow2_marks marks = {0};
    (void)snprintf(info.backing_path, sizeof(info.backing_path), "%s", path);
    while (info.backing_path[0]) {
        struct image_layer *layer = &chain->layers[chain->count];
        char wanted[sizeof(marks.base)];
        if (chain->count == IMAGE_CHECK_LAYERS_MAX)
            return refuse_layer(err, path, "it stands on too many images");
        memcpy(layer->path, info.backing_path, sizeof(layer->path));
        memcpy(layer->format, info.backing_format, sizeof(layer->format));
        memcpy(wanted, marks.base, sizeof(wanted));
        int r = look_at_file(chain, layer, err);
        if (r == 0)
            r = read_layer(layer, &info, &marks, err);
        if (r == 0)
            r = check_base(chain, wanted, marks.own, err);
        if (r < 0)
            return r;
        chain->count++;
    }
    return 0;
}

/* qemu-img opens what is below as well: from below on, so that the one at fault is named. */
int image_check_chain(const char *path, struct image_chain *ret_chain, struct error *err)
{
    *ret_chain =
        (struct image_chain){.layers = calloc(IMAGE_CHECK_LAYERS_MAX, sizeof(*ret_chain->layers))};
    int r = ret_chain->layers ? read_chain(path, ret_chain, err) : error_nomem(err);
    for (size_t i = ret_chain->count; r == 0 && i-- > 0;) {
        struct image_layer *layer = &ret_chain->layers[i];
        layer->is_checked = image_check_can(layer->format);
        if (layer->is_checked)
            r = image_check_run(layer->path, layer->format, err);
    }
    return r;
}

void image_check_chain_done(struct image_chain *chain)
{
    free(chain->layers);
    *chain = (struct image_chain){0};
}
