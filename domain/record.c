/* SPDX-License-Identifier: Apache-2.0 */
/* See record.h. */
#include "domain/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/id.h"
#include "common/json.h"
#include "common/secret.h"
#include "domain/record_file.h"

#define BOOT "boot"
#define LIBVIRT "uri"
#define RESTART "restart"

struct record {
    struct record_file file;
    char *libvirt; /* its URI; NULL: not known */
    json_t *notes; /* name -> array of its values */
    bool host_rebooted;
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
    int r = json_parse(line, length, RECORD_FILE_MAX_BYTES, "it", &object, err);
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
    for (; r == 0 && (end = memchr(line, '\n', length - (size_t)(line - text))); line = end + 1)
        r = add_line(record, line, (size_t)(end - line), err);
    if (r < 0)
        return error_set(
            err, EBADMSG, EXC_INTERNAL_ERROR,
            "%s, which tells what an earlier command has left, cannot be read: look at the domain, "
            "then remove it",
            record->file.path);
    record->file.whole_bytes = line - text;
    return 0;
}

static json_t *first_of(const struct record *record, const char *name)
{
    return json_array_get(record_all(record, name), 0);
}

static int read_record(struct record *record, struct error *err)
{
    char boot_id[ID_UUID_SIZE];
    char *text = NULL;
    size_t length = 0;
    if (record_is_empty(record))
        return 0;
    int r = record_file_read(&record->file, &text, &length, err);
    if (r == 0)
        r = add_lines(record, text, length, err);
    if (text)
        explicit_bzero(text, length); /* secure domain XML */
    free(text);
    if (r == 0)
        r = id_read_boot(boot_id, err);
    if (r < 0)
        return r;
    const char *of_record = json_string_value(first_of(record, BOOT));
    record->host_rebooted = of_record && strcmp(of_record, boot_id) != 0;
    return 0;
}

int record_open(const char *state_dir, const char *uuid, struct record **ret_record,
                struct error *err)
{
    struct record *record = calloc(1, sizeof(*record));
    if (!record)
        return error_nomem(err);
    record->notes = json_object();
    int r = record_file_open(&record->file, state_dir, uuid, err);
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
                         record->file.path, of_record);
    char *copy = strdup(uri);
    if (!copy)
        return error_nomem(err);
    free(record->libvirt);
    record->libvirt = copy;
    return 0;
}

const char *record_libvirt(const struct record *record)
{
    return json_string_value(first_of(record, LIBVIRT));
}

void record_close(struct record *record)
{
    if (!record)
        return;
    record_file_close(&record->file);
    json_decref(record->notes);
    free(record->libvirt);
    free(record);
}

/* By `write`, of record_file.h. */
static int write_line(struct record *record, const json_t *line,
                      int (*write)(struct record_file *file, const char *text, size_t length,
                                   struct error *err),
                      struct error *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (!text)
        return error_nomem(err);
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the NUL */
    int r = write(&record->file, text, length + 1, err);
    text[length] = '\0';
    secret_free(text);
    return r;
}

/* Takes it. */
static int note_line(struct record *record, json_t *line, struct error *err)
{
    int r = write_line(record, line, record_file_append, err);
    if (r == 0)
        r = add_values(record, line, err);
    json_decref(line);
    return r;
}

static int begin_file(struct record *record, struct error *err)
{
    char boot_id[ID_UUID_SIZE];
    int r = record_file_begin(&record->file, err);
    if (r == 0)
        r = id_read_boot(boot_id, err);
    if (r < 0)
        return r;
    return note_line(record, json_pack("{s:s, s:s*}", BOOT, boot_id, LIBVIRT, record->libvirt),
                     err);
}

int record_note(struct record *record, const char *name, json_t *value, struct error *err)
{
    int r = value ? 0 : error_nomem(err);
    if (r == 0 && record_is_empty(record))
        r = begin_file(record, err);
    if (r == 0)
        r = note_line(record, json_pack("{s:O}", name, value), err);
    json_decref(value);
    return r;
}

int record_restart(struct record *record, json_t *kept, struct error *err)
{
    json_t *line = kept ? json_pack("{s:O*, s:O*, s:O}", BOOT, first_of(record, BOOT), LIBVIRT,
                                    first_of(record, LIBVIRT), RESTART, kept)
                        : NULL;
    int r = write_line(record, line, record_file_replace, err);
    if (r == 0)
        r = restart_notes(record, kept, err);
    json_decref(line);
    json_decref(kept);
    return r;
}

json_t *record_all(const struct record *record, const char *name)
{
    return json_object_get(record->notes, name);
}

const char *record_path(const struct record *record)
{
    return record->file.path;
}

bool record_is_empty(const struct record *record)
{
    return record->file.fd < 0;
}

bool record_host_rebooted(const struct record *record)
{
    return record->host_rebooted;
}

int record_end(struct record *record, struct error *err)
{
    int r = record_file_remove(&record->file, err);
    if (r < 0)
        return r;
    record->host_rebooted = false;
    (void)json_object_clear(record->notes);
    return 0;
}
