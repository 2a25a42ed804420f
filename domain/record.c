/* SPDX-License-Identifier: Apache-2.0 */
/* See record.h. */
#include "domain/record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/json.h"
#include "common/log.h"
#include "common/private_file.h"
#include "common/secret.h"

#define FILE_MAX_BYTES (16U << 20)
#define BOOT "boot"
#define LIBVIRT "uri"
#define RESTART "restart"

struct record {
    char folder[PRIVATE_FILE_FOLDER_SIZE];
    char name[ID_UUID_SIZE];
    char path[PATH_MAX];
    char *libvirt; /* its URI; NULL: not known */
    int folder_fd;
    int fd;        /* -1: there is no file yet */
    json_t *notes; /* name -> array of its values */
    bool host_rebooted;
    off_t whole_bytes; /* of whole lines: what is behind is cut off before anything is added */
};

/* What was noted before counts no more; `kept` is of the form of record->notes. */
static int restart_notes(struct record *record, json_t *kept, struct error *err)
{
    json_t *head = json_pack("{s:O*, s:O*}", BOOT, json_object_get(record->notes, BOOT), LIBVIRT,
                             json_object_get(record->notes, LIBVIRT));
    (void)json_object_clear(record->notes);
    bool is_done = head && json_object_update(record->notes, kept) == 0 &&
                   json_object_update(record->notes, head) == 0;
    json_decref(head);
    return is_done ? 0 : error_nomem(err);
}

static int add_value(struct record *record, const char *name, json_t *value, struct error *err)
{
    json_t *values = json_object_get(record->notes, name);
    if (strcmp(name, RESTART) == 0)
        return restart_notes(record, value, err);
    if (!values) {
        values = json_array();
        if (json_object_set_new(record->notes, name, values) < 0)
            return error_nomem(err);
    }
    return json_array_append(values, value) < 0 ? error_nomem(err) : 0;
}

static int add_values(struct record *record, json_t *line, struct error *err)
{
    const char *name;
    json_t *value;
    int r = 0;
    json_object_foreach (line, name, value) {
        if (r == 0)
            r = add_value(record, name, value, err);
    }
    return r;
}

static int add_line(struct record *record, const char *line, size_t length, struct error *err)
{
    json_t *object = NULL;
    int r = json_parse(line, length, FILE_MAX_BYTES, "it", &object, err);
    if (r == 0)
        r = add_values(record, object, err);
    json_decref(object);
    return r;
}

/* Half a line at the end tells of nothing: what it was to tell of was not begun. */
static int add_lines(struct record *record, const char *text, size_t length, struct error *err)
{
    const char *line = text, *end;
    int r = 0;
    record->whole_bytes = 0;
    for (; r == 0 && (end = memchr(line, '\n', length - (size_t)(line - text))); line = end + 1)
        r = add_line(record, line, (size_t)(end - line), err);
    if (r < 0)
        return error_set(
            err, EBADMSG, EXC_INTERNAL_ERROR,
            "%s, which tells what an earlier command has left, cannot be read: look at the domain, "
            "then remove it",
            record->path);
    record->whole_bytes = line - text;
    return 0;
}

static int read_text(int fd, char **ret_text, size_t *ret_length, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "cannot read a record");
    if (st.st_size > (off_t)FILE_MAX_BYTES)
        return error_set(err, EFBIG, EXC_INTERNAL_ERROR, "a record has more than %u bytes",
                         FILE_MAX_BYTES);
    char *text = malloc((size_t)st.st_size + 1);
    ssize_t n = text ? pread(fd, text, (size_t)st.st_size, 0) : -1;
    if (n < 0) {
        int saved_errno = errno;
        free(text);
        return error_errno(err, saved_errno, "cannot read a record");
    }
    *ret_text = text;
    *ret_length = (size_t)n;
    return 0;
}

static int read_record(struct record *record, struct error *err)
{
    char boot_id[ID_UUID_SIZE];
    char *text = NULL;
    size_t length = 0;
    if (faccessat(record->folder_fd, record->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
        errno == ENOENT)
        return 0;
    int r = private_file_open(record->folder_fd, record->folder, record->name, O_RDWR | O_APPEND,
                              &record->fd, err);
    if (r == 0)
        r = read_text(record->fd, &text, &length, err);
    if (r == 0)
        r = add_lines(record, text, length, err);
    if (text)
        explicit_bzero(text, length); /* secure domain XML */
    free(text);
    if (r == 0)
        r = id_read_boot(boot_id, err);
    if (r < 0)
        return r;
    const char *of_record = json_string_value(json_array_get(record_all(record, BOOT), 0));
    record->host_rebooted = of_record && strcmp(of_record, boot_id) != 0;
    return 0;
}

int record_open(const char *state_dir, const char *uuid, struct record **ret_record,
                struct error *err)
{
    struct record *record = calloc(1, sizeof(*record));
    if (!record)
        return error_nomem(err);
    record->folder_fd = record->fd = -1;
    record->notes = json_object();
    (void)snprintf(record->name, sizeof(record->name), "%s", uuid);
    int n = snprintf(record->folder, sizeof(record->folder), "%s/records", state_dir);
    int r = n < 0 || (size_t)n >= sizeof(record->folder)
                ? error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "the state folder %s", state_dir)
                : private_file_open_folder(record->folder, &record->folder_fd, err);
    (void)snprintf(record->path, sizeof(record->path), "%s/%s", record->folder, record->name);
    if (r == 0)
        r = record->notes ? read_record(record, err) : error_nomem(err);
    if (r < 0) {
        record_close(record);
        return r;
    }
    *ret_record = record;
    return 0;
}

int record_set_libvirt(struct record *record, const char *uri, struct error *err)
{
    const char *of_record = record_libvirt(record);
    if (of_record && strcmp(of_record, uri) != 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "what an earlier command has left, of which %s tells, is of --connect %s: "
                         "give that, or, where there is no such libvirt any more and the guest is "
                         "well, remove that file",
                         record->path, of_record);
    char *copy = strdup(uri);
    if (!copy)
        return error_nomem(err);
    free(record->libvirt);
    record->libvirt = copy;
    return 0;
}

const char *record_libvirt(const struct record *record)
{
    return json_string_value(json_array_get(record_all(record, LIBVIRT), 0));
}

void record_close(struct record *record)
{
    if (!record)
        return;
    if (record->fd >= 0)
        (void)close(record->fd);
    if (record->folder_fd >= 0)
        (void)close(record->folder_fd);
    json_decref(record->notes);
    free(record->libvirt);
    free(record);
}

static int refuse_note(const struct record *record, int errnum, struct error *err)
{
    return error_errno(err, errnum, "cannot write %s", record->path);
}

/* What comes behind half a line could not be read. */
static int cut_to_whole(const struct record *record)
{
    return ftruncate(record->fd, record->whole_bytes) < 0 ? -errno : 0;
}

/* On disk when it returns 0, and else not begun. */
static int append(struct record *record, const char *text, size_t length, struct error *err)
{
    int r = cut_to_whole(record);
    if (r < 0)
        return refuse_note(record, -r, err);
    ssize_t n = write(record->fd, text, length);
    if (n == (ssize_t)length && fdatasync(record->fd) == 0) {
        record->whole_bytes += n;
        return 0;
    }
    int saved_errno = n < 0 || n == (ssize_t)length ? errno : ENOSPC;
    (void)cut_to_whole(record); /* else the next note does, or is refused */
    return refuse_note(record, saved_errno, err);
}

/* Takes it. */
static int write_line(struct record *record, json_t *line, struct error *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (!text) {
        json_decref(line);
        return error_nomem(err);
    }
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the NUL */
    int r = append(record, text, length + 1, err);
    text[length] = '\0';
    secret_free(text);
    if (r == 0)
        r = add_values(record, line, err);
    json_decref(line);
    return r;
}

static int begin_file(struct record *record, struct error *err)
{
    char boot_id[ID_UUID_SIZE];
    int r = private_file_open(record->folder_fd, record->folder, record->name,
                              O_RDWR | O_APPEND | O_CREAT | O_EXCL, &record->fd, err);
    if (r == 0 && fsync(record->folder_fd) < 0)
        r = error_errno(err, errno, "cannot write %s", record->folder);
    if (r == 0)
        r = id_read_boot(boot_id, err);
    if (r < 0)
        return r;
    return write_line(record, json_pack("{s:s, s:s*}", BOOT, boot_id, LIBVIRT, record->libvirt),
                      err);
}

int record_note(struct record *record, const char *name, json_t *value, struct error *err)
{
    int r = value ? 0 : error_nomem(err);
    if (r == 0 && record->fd < 0)
        r = begin_file(record, err);
    if (r == 0)
        r = write_line(record, json_pack("{s:O}", name, value), err);
    json_decref(value);
    return r;
}

int record_restart(struct record *record, json_t *kept, struct error *err)
{
    return record_note(record, RESTART, kept, err);
}

json_t *record_all(const struct record *record, const char *name)
{
    return json_object_get(record->notes, name);
}

const char *record_path(const struct record *record)
{
    return record->path;
}

bool record_is_empty(const struct record *record)
{
    return record->fd < 0;
}

bool record_host_rebooted(const struct record *record)
{
    return record->host_rebooted;
}

int record_end(struct record *record, struct error *err)
{
    if (record->fd < 0)
        return 0;
    if (unlinkat(record->folder_fd, record->name, 0) < 0)
        return error_errno(err, errno, "cannot remove %s", record->path);
    (void)close(record->fd);
    record->fd = -1;
    record->host_rebooted = false;
    record->whole_bytes = 0;
    (void)json_object_clear(record->notes);
    return 0;
}
