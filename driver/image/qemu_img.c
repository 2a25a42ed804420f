/* SPDX-License-Identifier: Apache-2.0 */
/* See qemu_img.h. Command lines follow nova/virt/images.py and nova/privsep/qemu.py. */
#include "driver/image/qemu_img.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/process.h"

#define INFO_DEADLINE_MS 60000
#define INFO_OUTPUT_MAX_BYTES (4U << 20)
#define CREATE_DEADLINE_MS 60000
#define LAYER_NAME_SIZE (DRIVER_PATH_MAX + 256)
#define LOCK_BYTE_OF_WRITERS 101 /* RAW_LOCK_PERM_BASE + 1, the place of BLK_PERM_WRITE */

static struct {
    unsigned cpu_s;
    uint64_t address_space_bytes;
} limits = {.cpu_s = 30, .address_space_bytes = UINT64_C(1) << 30};

void qemu_img_set_limits(unsigned cpu_limit_s, uint64_t address_space_limit_bytes)
{
    limits.cpu_s = cpu_limit_s;
    limits.address_space_bytes = address_space_limit_bytes;
}

enum process_sandbox qemu_img_sandbox(const char *path)
{
    if (strncmp(path, "rbd:", 4) == 0)
        return PROCESS_SANDBOX_NETWORK;
    return strncmp(path, "nbd:unix:", 9) == 0 ? PROCESS_SANDBOX_UNIX : PROCESS_SANDBOX_FILES;
}

/* Copies a string member into a buffer; absent leaves it "". False when it does not fit. */
static bool copy_info_member(const json_t *object, const char *key, char *ret_text, size_t size)
{
    const char *text = json_string_member(object, key);
    ret_text[0] = '\0';
    return !text || (size_t)snprintf(ret_text, size, "%s", text) < size;
}

static bool copy_size(const json_t *object, const char *key, bool needed, uint64_t *ret_bytes)
{
    const json_t *value = json_object_get(object, key);
    *ret_bytes = 0;
    if (!value)
        return !needed;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret_bytes = (uint64_t)json_integer_value(value);
    return true;
}

/* qcow2's data file, vmdk's extents: whatever a description that anybody may have written names. */
static bool names_other_file(const json_t *specific, const char *path)
{
    size_t i;
    const json_t *extent;
    if (json_object_get(specific, "data-file"))
        return true;
    json_array_foreach (json_object_get(specific, "extents"), i, extent) {
        const char *name = json_string_member(extent, "filename");
        if (!name || strcmp(name, path) != 0)
            return true;
    }
    return false;
}

static bool read_info(const json_t *root, const char *path, struct qemu_img_info *info)
{
    if (!copy_info_member(root, "format", info->format, sizeof(info->format)) || !info->format[0])
        return false;
    if (!copy_size(root, "virtual-size", true, &info->virtual_size_bytes) ||
        !copy_size(root, "cluster-size", false, &info->cluster_size_bytes))
        return false;
    const char *full = json_object_get(root, "full-backing-filename") ? "full-backing-filename"
                                                                      : "backing-filename";
    if (!copy_info_member(root, full, info->backing_path, sizeof(info->backing_path)) ||
        !copy_info_member(root, "backing-filename-format", info->backing_format,
                          sizeof(info->backing_format)))
        return false;
    if (json_object_get(root, "backing-filename") && !info->backing_path[0])
        return false;
    const json_t *specific = json_object_get(json_object_get(root, "format-specific"), "data");
    info->has_data_file = names_other_file(specific, path);
    info->is_encrypted = json_is_true(json_object_get(root, "encrypted"));
    info->has_snapshots = json_array_size(json_object_get(root, "snapshots")) > 0;
    info->has_bitmaps = json_array_size(json_object_get(specific, "bitmaps")) > 0;
    return true;
}

int qemu_img_parse_info(const char *text, size_t size, const char *path,
                        struct qemu_img_info *ret_info, struct error *err)
{
    json_t *root = NULL;
    if (json_parse(text, size, INFO_OUTPUT_MAX_BYTES, "qemu-img info", &root, err) < 0)
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO, "disk info of %s is no JSON", path);
    struct qemu_img_info info = {0};
    bool good = read_info(root, path, &info);
    json_decref(root);
    if (!good)
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                         "disk info of %s lacks a member or has one out of range", path);
    log_debug("qemu-img info of %s: %s of %" PRIu64 " bytes, backing file '%s' (%s)", path,
              info.format, info.virtual_size_bytes, info.backing_path, info.backing_format);
    *ret_info = info;
    return 0;
}

/* A look at an image, within nova's limits. */
static int run_limited(const char *const *argv, const char *path, char **ret_text, size_t *ret_size,
                       struct error *err)
{
    const struct process_options options = {.argv = argv,
                                            .deadline_ms = INFO_DEADLINE_MS,
                                            .cpu_limit_s = limits.cpu_s,
                                            .address_space_limit_bytes = limits.address_space_bytes,
                                            .sandbox = qemu_img_sandbox(path),
                                            .output_max_bytes = INFO_OUTPUT_MAX_BYTES};
    return process_run(&options, ret_text, ret_size, err);
}

int qemu_img_info(const char *path, const char *format, struct qemu_img_info *ret_info,
                  struct error *err)
{
    if (access(path, F_OK) < 0)
        return error_set(err, ENOENT, EXC_DISK_NOT_FOUND, "No disk at %s", path);
    const char *const argv[] = {"qemu-img",           "info", "--force-share",      "--output=json",
                                format ? "-f" : path, format, format ? path : NULL, NULL};
    cleanup_free char *text = NULL;
    size_t size = 0;
    struct error failure = ERROR_INIT;
    if (run_limited(argv, path, &text, &size, &failure) == 0)
        return qemu_img_parse_info(text, size, path, ret_info, err);
    if (cancel_check(err) < 0)
        return -ECANCELED;
    return error_set(err, failure.errnum, EXC_INVALID_DISK_INFO,
                     "Disk info file is invalid: %s (%s): %s", path,
                     format ? format : "format not known", failure.message);
}

static int count_named(const json_t *root, const char *name, size_t *ret_count, struct error *err)
{
    size_t i, count = 0;
    const json_t *snapshot;
    json_array_foreach (json_object_get(root, "snapshots"), i, snapshot) {
        const char *of_snapshot = json_string_member(snapshot, "name");
        const char *id = json_string_member(snapshot, "id");
        bool is_named = of_snapshot && strcmp(of_snapshot, name) == 0;
        if (!is_named && id && strcmp(id, name) == 0)
            return error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                             "QEMU takes %s for %s, whose ID it is", name,
                             of_snapshot ? of_snapshot : "another");
        count += is_named;
    }
    *ret_count = count;
    return 0;
}

int qemu_img_count_snapshots(const char *path, const char *name, size_t *ret_count,
                             struct error *err)
{
    const char *const argv[] = {"qemu-img", "info", "--force-share", "--output=json", "-f", "qcow2",
                                path,       NULL};
    cleanup_free char *text = NULL;
    size_t size = 0;
    json_t *root = NULL;
    struct error failure = ERROR_INIT;
    int r = run_limited(argv, path, &text, &size, &failure);
    if (r == 0)
        r = json_parse(text, size, INFO_OUTPUT_MAX_BYTES, "qemu-img info", &root, &failure);
    if (r == 0)
        r = count_named(root, name, ret_count, &failure);
    json_decref(root);
    return r < 0 ? error_set(err, failure.errnum, EXC_INVALID_DISK_INFO,
                             "cannot read the snapshots inside %s: %s", path, failure.message)
                 : 0;
}

static int read_measure(const char *text, size_t size, uint64_t *ret_bytes, struct error *err)
{
    json_t *root = NULL;
    int r = json_parse(text, size, INFO_OUTPUT_MAX_BYTES, "qemu-img measure", &root, err);
    if (r < 0)
        return r;
    bool good = copy_size(root, "required", true, ret_bytes);
    json_decref(root);
    return good ? 0 : error_set(err, EINVAL, EXC_INTERNAL_ERROR, "qemu-img measure tells no size");
}

static int run_measure(const char *const *argv, const char *path, uint64_t *ret_bytes,
                       struct error *err)
{
    cleanup_free char *text = NULL;
    size_t size = 0;
    uint64_t bytes = 0;
    struct error failure = ERROR_INIT;
    int r = run_limited(argv, path, &text, &size, &failure);
    if (r == 0)
        r = read_measure(text, size, &bytes, &failure);
    if (r < 0)
        return error_set(err, failure.errnum, EXC_INVALID_DISK_INFO,
                         "Disk info file is invalid: %s: %s", path, failure.message);
    log_debug("qemu-img measure of %s: %" PRIu64 " bytes", path, bytes);
    *ret_bytes = bytes;
    return 0;
}

int qemu_img_measure(const char *path, const char *format, uint64_t *ret_bytes, struct error *err)
{
    const char *const argv[] = {
        "qemu-img", "measure", "--force-share", "--output=json", "-f", format, "-O", "qcow2",
        path,       NULL};
    return run_measure(argv, path, ret_bytes, err);
}

/* The file without what it stands on, as qemu-img is told of it. */
static int name_layer_alone(const char *path, const char *format, char *ret_name, size_t size,
                            struct error *err)
{
    cleanup_free char *layer = NULL;
    json_t *options = json_pack("{s:s, s:n, s:{s:s, s:s}}", "driver", format, "backing", "file",
                                "driver", "file", "filename", path);
    if (strcmp(format, "qcow2") != 0)
        (void)json_object_del(options, "backing"); /* which others may not know */
    layer = options ? json_dumps(options, JSON_COMPACT) : NULL;
    json_decref(options);
    if (!layer)
        return error_nomem(err);
    return (size_t)snprintf(ret_name, size, "json:%s", layer) < size
               ? 0
               : error_set(err, ENAMETOOLONG, EXC_INVALID_DISK_INFO, "%s is too long", path);
}

int qemu_img_measure_layer(const char *path, const char *format, uint64_t cluster_size_bytes,
                           uint64_t *ret_bytes, struct error *err)
{
    char name[LAYER_NAME_SIZE], cluster[48] = "cluster_size=64k";
    int r = name_layer_alone(path, format, name, sizeof(name), err);
    if (r < 0)
        return r;
    if (cluster_size_bytes > 0)
        (void)snprintf(cluster, sizeof(cluster), "cluster_size=%" PRIu64, cluster_size_bytes);
    const char *const argv[] = {
        "qemu-img", "measure", "--force-share", "--output=json", "-O", "qcow2", "-o", cluster,
        name,       NULL};
    return run_measure(argv, path, ret_bytes, err);
}

/* "present" is what the layer itself has, zeroes too; without that member it cannot be told. */
static int read_map(const char *text, size_t size, bool *ret_empty, struct error *err)
{
    json_t *root = NULL, *extent;
    size_t i;
    int r = json_parse(text, size, INFO_OUTPUT_MAX_BYTES, "qemu-img map", &root, err);
    if (r < 0)
        return r;
    bool is_empty = json_is_array(root);
    json_array_foreach (root, i, extent)
        is_empty = is_empty && json_is_false(json_object_get(extent, "present"));
    json_decref(root);
    *ret_empty = is_empty;
    return 0;
}

int qemu_img_layer_is_empty(const char *path, bool *ret_empty, struct error *err)
{
    char name[LAYER_NAME_SIZE];
    cleanup_free char *text = NULL;
    size_t size = 0;
    struct error failure = ERROR_INIT;
    const char *const argv[] = {"qemu-img", "map", "--force-share", "--output=json", name, NULL};
    int r = name_layer_alone(path, "qcow2", name, sizeof(name), err);
    if (r < 0)
        return r;
    r = run_limited(argv, path, &text, &size, &failure);
    if (r == 0)
        r = read_map(text, size, ret_empty, &failure);
    return r == 0 ? 0
                  : error_set(err, failure.errnum, EXC_INVALID_DISK_INFO,
                              "cannot read what is written in %s: %s", path, failure.message);
}

int qemu_img_create_overlay(const struct qemu_img_overlay *overlay, struct error *err)
{
    char size[32], cluster[48];
    const char *argv[QEMU_IMG_ARGUMENTS_MAX] = {"qemu-img", "create", "-q", "-f", "qcow2"};
    size_t count = 5;
    if (overlay->backing_path) {
        argv[count++] = "-b";
        argv[count++] = overlay->backing_path;
        argv[count++] = "-F";
        argv[count++] = overlay->backing_format;
    }
    if (overlay->cluster_size_bytes > 0) {
        (void)snprintf(cluster, sizeof(cluster), "cluster_size=%" PRIu64,
                       overlay->cluster_size_bytes);
        argv[count++] = "-o";
        argv[count++] = cluster;
    }
    (void)snprintf(size, sizeof(size), "%" PRIu64, overlay->size_bytes);
    argv[count++] = overlay->path;
    argv[count++] = size;
    const struct process_options options = {
        .argv = argv, .deadline_ms = CREATE_DEADLINE_MS, .sandbox = PROCESS_SANDBOX_FILES};
    return process_run(&options, NULL, NULL, err);
}

bool qemu_img_is_written(const char *path)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BYTE_OF_WRITERS, .l_len = 1};
    cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    bool written = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    log_debug("%s: %s QEMU holds the lock of a writer", path, written ? "a" : "no");
    return written;
}

int qemu_img_rebase(const struct qemu_img_rebase *rebase, struct error *err)
{
    const char *argv[QEMU_IMG_ARGUMENTS_MAX] = {"qemu-img", "rebase", "-p", "-f", "qcow2"};
    size_t count = 5;
    if (rebase->header_alone)
        argv[count++] = "-u";
    argv[count++] = "-b";
    argv[count++] = rebase->backing_file ? rebase->backing_file : "";
    if (rebase->backing_file) {
        argv[count++] = "-F";
        argv[count++] = rebase->backing_format;
    }
    argv[count++] = rebase->path;
    const struct process_options options = {.argv = argv,
                                            .stall_timeout_ms = seconds_ms(rebase->stall_timeout_s),
                                            .sandbox = PROCESS_SANDBOX_FILES};
    return process_run(&options, NULL, NULL, err);
}

int qemu_img_commit(const char *path, const char *base, unsigned stall_timeout_s, struct error *err)
{
    const char *const argv[] = {"qemu-img", "commit", "-p", "-d", "-f",
                                "qcow2",    "-b",     base, path, NULL};
    const struct process_options options = {.argv = argv,
                                            .stall_timeout_ms = seconds_ms(stall_timeout_s),
                                            .sandbox = PROCESS_SANDBOX_FILES};
    return process_run(&options, NULL, NULL, err);
}
