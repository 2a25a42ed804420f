/* SPDX-License-Identifier: Apache-2.0 */
/* The writing side. See journal.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "agent/journal_int.h"
#include "amqp/bus.h"
#include "common/cleanup.h"
#include "common/id.h"
#include "common/log.h"
#include "common/metric.h"
#include "common/private_file.h"
#include "common/secret.h"

int journal_open(const char *state_dir, const char *host, struct journal **ret_journal,
                 struct error *err)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    if (!journal)
        return error_nomem(err);
    journal->fd = -1;
    int r = private_file_open_state_folder(state_dir, host, "journal", journal->folder,
                                           &journal->fd, err);
    if (r == 0)
        r = id_read_boot(journal->boot_id, err);
    if (r < 0) {
        journal_free(journal);
        return r;
    }
    *ret_journal = journal;
    return 0;
}

void journal_free(struct journal *journal)
{
    if (journal && journal->fd >= 0)
        (void)close(journal->fd);
    free(journal);
}

struct journal_record *journal_record_new(const char *path, int fd)
{
    struct journal_record *record = calloc(1, sizeof(*record));
    json_t *notes = json_object();
    if (!record || !notes) {
        (void)close(fd);
        free(record);
        json_decref(notes);
        return NULL;
    }
    (void)snprintf(record->path, sizeof(record->path), "%s", path);
    record->fd = fd;
    record->notes = notes;
    metric_add(METRIC_JOURNAL_RECORDS, 0, 1);
    return record;
}

int journal_record_add(struct journal_record *record, const char *name, json_t *value,
                       struct error *err)
{
    json_t *values = json_object_get(record->notes, name);
    if (!values) {
        values = json_array();
        if (json_object_set_new(record->notes, name, values) < 0)
            return error_nomem(err);
    }
    return json_array_append(values, value) < 0 ? error_nomem(err) : 0;
}

void journal_record_undo(struct journal_record *record)
{
    if (ftruncate(record->fd, record->size) == 0)
        return;
    struct stat st;
    record->is_torn = true;
    if (fstat(record->fd, &st) == 0)
        record->size = st.st_size;
}

/*
 * One write: an agent that dies leaves a whole line or none that ends. Where the disk takes only a
 * part of it, nothing of it stays.
 */
static int write_text(struct journal_record *record, char *text, size_t length, struct error *err)
{
    char newline[] = "\n";
    struct iovec parts[] = {{newline, record->is_torn ? 1 : 0}, {text, length}};
    ssize_t n = writev(record->fd, parts, ARRAY_SIZE(parts));
    if (n == (ssize_t)(parts[0].iov_len + length)) {
        record->size += n;
        record->is_torn = false;
        return 0;
    }
    int saved_errno = n < 0 ? errno : ENOSPC;
    if (n > 0)
        journal_record_undo(record);
    return error_errno(err, saved_errno, "cannot write %s", record->path);
}

static int write_line(struct journal_record *record, const json_t *line, struct error *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    if (!text)
        return error_nomem(err);
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the NUL */
    int r = write_text(record, text, length + 1, err);
    text[length] = '\0';
    secret_free(text);
    return r;
}

static int sync_file(int fd, const char *path, struct error *err)
{
    return fdatasync(fd) < 0 ? error_errno(err, errno, "cannot write %s to disk", path) : 0;
}

static int sync_folder(const struct journal *journal, struct error *err)
{
    return fsync(journal->fd) < 0
               ? error_errno(err, errno, "cannot write %s to disk", journal->folder)
               : 0;
}

int journal_begin(struct journal *journal, const struct rpc_request *request,
                  struct journal_record **ret_record, struct error *err)
{
    char id[ID_HEX_SIZE], name[NAME_MAX];
    char path[PATH_MAX];
    struct timespec now;
    int fd = -1;
    id_new_hex(id);
    /* In the order of arrival, also of other lives: that is what they are served in. */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(name, sizeof(name), "%010lld.%09ld-%s" JOURNAL_SUFFIX, (long long)now.tv_sec,
                   now.tv_nsec, id);
    (void)snprintf(path, sizeof(path), "%s/%s", journal->folder, name);
    int r = private_file_open(journal->fd, journal->folder, name,
                              O_WRONLY | O_APPEND | O_CREAT | O_EXCL, &fd, err);
    if (r < 0)
        return r;
    struct journal_record *record = journal_record_new(path, fd);
    if (!record) {
        (void)unlink(path);
        return error_nomem(err);
    }
    json_t *line = journal_request_pack(request, journal->boot_id);
    r = write_line(record, line, err);
    json_decref(line);
    if (r == 0)
        r = sync_file(record->fd, record->path, err);
    if (r == 0)
        r = sync_folder(journal, err);
    if (r < 0) {
        journal_end(record);
        return r;
    }
    log_debug("%s of %s is in the journal: %s", request->method, request->context->request_id,
              record->path);
    *ret_record = record;
    return 0;
}

/* Takes `value`. */
static int append_value(struct journal_record *record, const char *name, json_t *value,
                        struct error *err)
{
    json_t *line = value ? json_pack("{s:O}", name, value) : NULL;
    int r = write_line(record, line, err);
    json_decref(line);
    if (r == 0)
        r = journal_record_add(record, name, value, err);
    json_decref(value);
    return r;
}

int journal_note(struct journal_record *record, const char *name, json_t *value, struct error *err)
{
    log_debug("journal, before it is done: %s", name);
    int r = append_value(record, name, value, err);
    return r < 0 ? r : sync_file(record->fd, record->path, err);
}

void journal_mark(struct journal_record *record, const char *name, json_t *value)
{
    struct error err = ERROR_INIT;
    log_debug("journal, after it is done: %s", name);
    if (append_value(record, name, value, &err) < 0)
        log_warning("cannot write '%s' into the journal: %s", name, err.message);
}

json_t *journal_all(const struct journal_record *record, const char *name)
{
    return json_object_get(record->notes, name);
}

json_t *journal_last(const struct journal_record *record, const char *name)
{
    json_t *values = journal_all(record, name);
    size_t n = json_array_size(values);
    return n > 0 ? json_array_get(values, n - 1) : NULL;
}

bool journal_host_rebooted(const struct journal_record *record)
{
    return record->host_rebooted;
}

void journal_end(struct journal_record *record)
{
    char text[128];
    if (record && unlink(record->path) < 0)
        log_error("cannot remove %s: %s", record->path, strerror_r(errno, text, sizeof(text)));
    else if (record)
        metric_add(METRIC_JOURNAL_RECORDS, 0, -1);
    journal_leave(record);
}

void journal_leave(struct journal_record *record)
{
    if (!record)
        return;
    (void)close(record->fd);
    json_decref(record->notes);
    free(record);
}

void journal_set_file_aside(const char *path, const struct error *why)
{
    char aside[PATH_MAX];
    int n = snprintf(aside, sizeof(aside), "%s" JOURNAL_UNREADABLE_SUFFIX, path);
    if (n > 0 && (size_t)n < sizeof(aside) && rename(path, aside) == 0) {
        log_error("the journal's record %s cannot be read and is set aside: %s", aside,
                  why->message);
        return;
    }
    log_error("the journal's record %s cannot be read: %s", path, why->message);
    metric_add(METRIC_JOURNAL_RECORDS, 0, 1); /* the next start looks at it again */
}

void journal_set_aside(struct journal_record *record, const struct error *why)
{
    if (record) {
        journal_set_file_aside(record->path, why);
        metric_add(METRIC_JOURNAL_RECORDS, 0, -1);
    }
    journal_leave(record);
}
