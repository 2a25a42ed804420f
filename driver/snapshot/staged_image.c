/* SPDX-License-Identifier: Apache-2.0 */
/* See staged_image.h. */
#include "driver/snapshot/staged_image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/metric.h"
#include "driver/image/image_stream.h"
#include "driver/journal.h"

static const char *staged_path(const struct staging *staging, enum staged_image_kind kind)
{
    return kind == STAGED_FILE ? staging_image_path(staging) : staging_delta_path(staging);
}

int staged_image_reserve(const struct staging *staging, uint64_t bytes,
                         const struct libvirt_driver *driver, struct disk_space **ret_space,
                         struct error *err)
{
    uint64_t keep_free_bytes = driver->scratch_reserve_bytes;
    log_debug("staging in %s: needs %" PRIu64 " bytes, keeps %" PRIu64 " bytes free",
              staging_directory(staging), bytes, keep_free_bytes);
    return ret_space ? disk_space_reserve(staging, bytes, keep_free_bytes, ret_space, err)
                     : disk_space_fits(staging, bytes, keep_free_bytes, err);
}

struct qemu_img_conversion staged_image_conversion(const struct staging *staging,
                                                   const struct snapshot_plan *plan,
                                                   const struct libvirt_driver *driver)
{
    return (struct qemu_img_conversion){.target_path = staging_image_path(staging),
                                        .target_format = plan->image_format,
                                        .compress = plan->compress,
                                        .compression_type = plan->compression_type,
                                        .bytes_per_s = driver->disk_bytes_per_s,
                                        .stall_timeout_s = driver->stall_timeout_s};
}

int staged_image_write(const struct driver_journal *journal, const struct staging *staging,
                       enum staged_image_kind kind, const char *format, struct error *err)
{
    struct stat st;
    const char *path = staged_path(staging, kind);
    if (!journal)
        return 0;
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "cannot stat %s", path);
    metric_add(METRIC_STAGED_BYTES, 0, (int64_t)st.st_blocks * 512);
    return driver_journal_write(journal,
                                json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "step", "image", "path",
                                          path, "format", format, "size_bytes",
                                          (json_int_t)st.st_size, "inode", (json_int_t)st.st_ino,
                                          "mtime_ns", (json_int_t)clock_ns(&st.st_mtim)),
                                err);
}

static int staged_stream_overlay(struct staging *staging, const char *format,
                                 const struct libvirt_driver *driver,
                                 struct image_source **ret_image, struct error *err)
{
    const struct image_stream_disk overlay = {staging_delta_path(staging), "qcow2",
                                              driver->disk_bytes_per_s, driver->stall_timeout_s};
    struct image_source *stream = NULL;
    int r = image_stream_of_disk(&overlay, format, &stream, err);
    if (r < 0)
        return r;
    log_debug("the image is made from the copy as it is sent, %" PRIu64 " bytes",
              stream->size_bytes);
    r = staging_own(staging, stream, ret_image, err);
    if (r < 0)
        image_source_close(stream);
    return r;
}

/* The overlay stays: it is what a later process would look for. */
static int staged_convert_overlay(struct staging *staging, const char *format,
                                  const struct libvirt_driver *driver,
                                  struct image_source **ret_image, struct error *err)
{
    const struct qemu_img_conversion conversion = {.source_path = staging_delta_path(staging),
                                                   .source_format = "qcow2",
                                                   .target_path = staging_image_path(staging),
                                                   .target_format = format,
                                                   .bytes_per_s = driver->disk_bytes_per_s,
                                                   .stall_timeout_s = driver->stall_timeout_s};
    int r = qemu_img_convert(&conversion, err);
    return r < 0 ? r : staging_open_image(staging, ret_image, err);
}

int staged_image_open_overlay(struct staging *staging, const char *format,
                              const struct libvirt_driver *driver, struct image_source **ret_image,
                              struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = staged_stream_overlay(staging, format, driver, ret_image, &failure);
    if (r < 0 && r != -ECANCELED) {
        log_warning("cannot stream the copy, converting it first: %s", failure.message);
        r = staged_convert_overlay(staging, format, driver, ret_image, &failure);
    }
    if (r < 0)
        *err = failure;
    return r;
}

static bool staged_is_overlay(const struct staging *staging, const json_t *entry)
{
    const char *path = json_string_member(entry, "path");
    return path && strcmp(path, staging_delta_path(staging)) == 0;
}

int staged_image_check(const struct staging *staging, const json_t *entry, struct error *err)
{
    const char *path = json_string_member(entry, "path");
    const char *format = json_string_member(entry, "format");
    if (!json_is_integer(json_object_get(entry, "size_bytes")) ||
        !json_is_integer(json_object_get(entry, "inode")) ||
        !json_is_integer(json_object_get(entry, "mtime_ns")) || !path || !format)
        return driver_entry_bad(err, "tells of an image without its path, format, size, inode or "
                                     "time");
    if (staged_is_overlay(staging, entry) && image_stream_can_make(format, false))
        return 0;
    if (strcmp(path, staging_image_path(staging)) != 0)
        return driver_entry_bad(err, "tells of an image elsewhere than its snapshot makes it");
    return 0;
}

static bool staged_is_value(const json_t *entry, const char *key, json_int_t value)
{
    return json_integer_value(json_object_get(entry, key)) == value;
}

static bool staged_is_unchanged(const char *path, const json_t *entry)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           staged_is_value(entry, "size_bytes", (json_int_t)st.st_size) &&
           staged_is_value(entry, "inode", (json_int_t)st.st_ino) &&
           staged_is_value(entry, "mtime_ns", clock_ns(&st.st_mtim));
}

int staged_image_find(struct staging *staging, const json_t *entry,
                      const struct libvirt_driver *driver, struct image_source **ret_image,
                      struct error *err)
{
    enum staged_image_kind kind = staged_is_overlay(staging, entry) ? STAGED_OVERLAY : STAGED_FILE;
    *ret_image = NULL;
    if (!staged_is_unchanged(staged_path(staging, kind), entry))
        return 0;
    if (kind == STAGED_OVERLAY)
        return staged_image_open_overlay(staging, json_string_member(entry, "format"), driver,
                                         ret_image, err);
    int r = staging_remove_delta(staging, err);
    return r < 0 ? r : staging_open_image(staging, ret_image, err);
}
