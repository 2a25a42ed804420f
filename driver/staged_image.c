/* See staged_image.h. */
#include "driver/staged_image.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "driver/driver_entries.h"
#include "driver/driver_journal.h"

static json_int_t mtime_ns(const struct stat *st)
{
    return (json_int_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

int staged_image_write(const struct driver_journal *journal, const struct staging *staging,
                       const char *format, struct error *err)
{
    struct stat st;
    if (!journal)
        return 0;
    if (lstat(staging_image_path(staging), &st) < 0)
        return error_errno(err, errno, "cannot stat %s", staging_image_path(staging));
    return driver_journal_write(journal,
                                json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "step", "image", "path",
                                          staging_image_path(staging), "format", format,
                                          "size_bytes", (json_int_t)st.st_size, "inode",
                                          (json_int_t)st.st_ino, "mtime_ns", mtime_ns(&st)),
                                err);
}

int staged_image_check(const struct staging *staging, const json_t *entry, struct error *err)
{
    const char *path = json_string_member(entry, "path");
    if (!json_is_integer(json_object_get(entry, "size_bytes")) ||
        !json_is_integer(json_object_get(entry, "inode")) ||
        !json_is_integer(json_object_get(entry, "mtime_ns")) || !path)
        return driver_entry_bad(err, "tells of an image without its path, size, inode or time");
    if (strcmp(path, staging_image_path(staging)) != 0)
        return driver_entry_bad(err, "tells of an image elsewhere than its snapshot makes it");
    return 0;
}

static bool is_value(const json_t *entry, const char *key, json_int_t value)
{
    return json_integer_value(json_object_get(entry, key)) == value;
}

int staged_image_find(struct staging *staging, const json_t *entry, struct image_source **ret_image,
                      struct error *err)
{
    struct stat st;
    *ret_image = NULL;
    if (lstat(staging_image_path(staging), &st) < 0 || !S_ISREG(st.st_mode) ||
        !is_value(entry, "size_bytes", (json_int_t)st.st_size) ||
        !is_value(entry, "inode", (json_int_t)st.st_ino) ||
        !is_value(entry, "mtime_ns", mtime_ns(&st)))
        return 0;
    int r = staging_remove_delta(staging, err);
    return r < 0 ? r : staging_open_image(staging, ret_image, err);
}
