/* SPDX-License-Identifier: Apache-2.0 */
/* See saved_file.h. */
#include "domain/saved_file.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/disk_fingerprint.h"
#include "domain/file_folder.h"
#include "domain/save_record.h"
#include "driver/libvirt/connection.h"

static int name_note(const struct session *session, char ret_path[static PATH_MAX],
                     struct error *err)
{
    char managed[PATH_MAX];
    int r = save_record_of_managed(session, managed, err);
    int n = r == 0 ? snprintf(ret_path, PATH_MAX, "%s.file", managed) : 0;
    return r < 0 || (n > 0 && n < PATH_MAX)
               ? r
               : error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s is too long", managed);
}

static const json_t *last_note(const struct session *session, const char *name)
{
    const json_t *all = record_all(session->record, name);
    return json_array_get(all, json_array_size(all) - 1);
}

static int forget(const char *path, struct error *err)
{
    return unlink(path) == 0 || errno == ENOENT ? 0
                                                : error_errno(err, errno, "cannot remove %s", path);
}

/* The file of a note; one that has no folder is of an older version. */
static bool has_gone(const json_t *note)
{
    struct stat st;
    struct error ignored = ERROR_INIT;
    const char *path = json_string_member(note, "path");
    const json_t *folder = json_object_get(note, "folder");
    if (!path || stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
        return false;
    return !folder || file_folder_check(path, folder, &ignored) == 0;
}

/* `memory` is the note of the file, {path, folder}. */
static int write_down(const char *path, const json_t *memory, struct error *err)
{
    struct stat st;
    json_int_t folder = 0;
    const char *file = json_string_member(memory, "path");
    if (has_gone(memory))
        return forget(path, err); /* it is nothing to keep in mind */
    int r = file_folder_note(file, &folder, err);
    if (r < 0)
        return r;
    if (stat(file, &st) < 0)
        return error_errno(err, errno, "cannot read %s", file);
    json_t *note = json_pack("{s:s, s:I, s:I, s:I}", "path", file, "folder", folder, "ino",
                             (json_int_t)st.st_ino, "mtime_ns", (json_int_t)clock_ns(&st.st_mtim));
    r = save_record_replace(path, note, err);
    json_decref(note);
    return r;
}

int saved_file_settle(const struct session *session, struct error *err)
{
    char path[PATH_MAX];
    const json_t *restore = last_note(session, "restore");
    const json_t *memory = json_object_get(last_note(session, "save"), "memory");
    bool is_saved = json_string_member(memory, "path") && record_all(session->record, "saved");
    bool goes_on = restore && !json_is_true(json_object_get(restore, "is_managed")) &&
                   session->domain && virDomainIsActive(session->domain) == 1;
    int r = is_saved || goes_on ? name_note(session, path, err) : 0;
    if (r < 0 || !(is_saved || goes_on))
        return r;
    return is_saved ? write_down(path, memory, err) : forget(path, err);
}

/* Where that cannot be told it is. */
static bool is_as_written(const json_t *note)
{
    struct stat st;
    const char *file = json_string_member(note, "path");
    if (file && stat(file, &st) < 0)
        return !has_gone(note);
    return file && json_integer_value(json_object_get(note, "ino")) == (json_int_t)st.st_ino &&
           json_integer_value(json_object_get(note, "mtime_ns")) == clock_ns(&st.st_mtim);
}

/* A SHA-256 decides where there is one. */
static bool was_written_to(const json_t *then, const json_t *now)
{
    struct error ignored = ERROR_INIT;
    if (!disk_fingerprint_differs(then, now, "size_bytes") &&
        !disk_fingerprint_differs(then, now, "inode") &&
        !disk_fingerprint_differs(then, now, "mtime_ns"))
        return false;
    if (!json_string_member(then, "sha256"))
        return true;
    json_t *layers = json_pack("[O]", then);
    int r = disk_fingerprint_compare(layers, false, NULL, &ignored);
    json_decref(layers);
    return r == -ESTALE;
}

/* What a guest writes to; a device tells nothing of it but by its content. */
static json_t *top_files(const json_t *layers)
{
    json_t *files = json_array(), *layer;
    size_t i;
    json_array_foreach (layers, i, layer) {
        if (json_is_true(json_object_get(layer, "is_top")) &&
            !json_is_true(json_object_get(layer, "is_device")))
            (void)json_array_append(files, layer);
    }
    return files;
}

/* By its disks: started without its memory, it has left that behind. Not known: it has not. */
static bool has_run_since(const json_t *note)
{
    char path[PATH_MAX];
    struct error ignored = ERROR_INIT;
    json_t *record = NULL, *now = NULL;
    const json_t *layer;
    size_t i;
    bool has_run = false;
    if (save_record_beside(json_string_member(note, "path"), path, &ignored) < 0 ||
        save_record_read(path, &record, &ignored) < 0)
        return false;
    json_t *then = top_files(json_object_get(record, "layers"));
    (void)disk_fingerprint_look(then, &now, &ignored);
    json_array_foreach (now, i, layer)
        has_run = has_run || was_written_to(json_array_get(then, i), layer);
    json_decref(now);
    json_decref(then);
    json_decref(record);
    return has_run;
}

static int refuse(const json_t *note, bool force, struct error *err)
{
    const char *file = json_string_member(note, "path");
    const char *way_out =
        access(file, F_OK) == 0
            ? "restore it first (`nova-snapshot domain restore`), or remove the file"
            : "mount its storage, since the folder it was in is not there, and restore it first "
              "(`nova-snapshot domain restore`)";
    if (force) {
        log_warning("the guest was saved to %s, and may not be restored from it afterwards", file);
        return 0;
    }
    return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                     "the guest was saved to %s, whose memory goes on with the disks as they are "
                     "now alone: %s, or it takes --force",
                     file, way_out);
}

int saved_file_check(const struct session *session, bool force, struct error *err)
{
    char path[PATH_MAX];
    json_t *note = NULL;
    struct error failure = ERROR_INIT;
    int r = name_note(session, path, err);
    int active = r == 0 ? virDomainIsActive(session->domain) : 0;
    if (r < 0 || active < 0)
        return r < 0 ? r : libvirt_error(err, "cannot read whether the guest runs");
    r = save_record_read_note(path, &note, &failure);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        *err = failure;
    else
        r = active == 0 && is_as_written(note) && !has_run_since(note) ? refuse(note, force, err)
                                                                       : forget(path, err);
    json_decref(note);
    return r;
}
