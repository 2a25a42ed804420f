/* SPDX-License-Identifier: Apache-2.0 */
/* The reading side: what an earlier agent has left. See journal.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/journal_int.h"
#include "amqp/bus.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/metric.h"
#include "common/private_file.h"
#include "common/retry.h"

static int read_all(int fd, char **ret_text, size_t *ret_length, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "cannot read it");
    if (st.st_size > (off_t)JOURNAL_FILE_MAX_BYTES)
        return error_set(err, EFBIG, EXC_INTERNAL_ERROR, "it has more than %u bytes",
                         JOURNAL_FILE_MAX_BYTES);
    char *text = malloc((size_t)st.st_size + 1);
    if (!text)
        return error_nomem(err);
    size_t length = 0;
    ssize_t n;
    while ((n = read(fd, text + length, (size_t)st.st_size - length)) > 0)
        length += (size_t)n;
    if (n < 0) {
        free(text);
        return error_errno(err, errno, "cannot read it");
    }
    text[length] = '\0';
    *ret_text = text;
    *ret_length = length;
    return 0;
}

static int add_line(struct journal_record *record, const char *line, size_t length,
                    struct error *err)
{
    json_t *object = NULL;
    const char *name;
    json_t *value;
    int r = json_parse(line, length, JOURNAL_FILE_MAX_BYTES, "it", &object, err);
    if (r == 0 && !json_is_object(object))
        r = error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "it is no object");
    json_object_foreach (object, name, value) {
        if (r == 0)
            r = journal_record_add(record, name, value, err);
    }
    json_decref(object);
    return r;
}

/*
 * Nothing was done that a line tells of before the line was whole: one that cannot be read is left
 * out. Without its first line, the request, a record tells of nothing.
 */
static int add_lines(struct journal_record *record, const char *text, size_t length, size_t *ret_n,
                     struct error *err)
{
    const char *line = text, *end;
    size_t n = 0, n_bad = 0, first_bad = 0;
    struct error bad = ERROR_INIT;
    for (; (end = memchr(line, '\n', length - (size_t)(line - text))); line = end + 1) {
        struct error failure = ERROR_INIT;
        n++;
        int r = line == end && n > 1 ? 0 : add_line(record, line, (size_t)(end - line), &failure);
        if (r == -ENOMEM || (r < 0 && n == 1)) {
            *err = failure;
            return error_prepend(err, "line %zu", n);
        }
        if (r < 0 && n_bad++ == 0) {
            first_bad = n;
            bad = failure;
        }
    }
    if (n_bad > 0)
        log_error("%zu lines of the journal's record %s cannot be read and are left out, the "
                  "first is line %zu: %s",
                  n_bad, record->path, first_bad, bad.message);
    *ret_n = n;
    return 0;
}

/* The last line counts only with its end: the agent died while it wrote another. */
static void cut_torn_end(struct journal_record *record, const char *text, size_t length)
{
    const char *end = memrchr(text, '\n', length);
    size_t whole = end ? (size_t)(end + 1 - text) : 0;
    record->size = (off_t)whole;
    if (whole < length)
        journal_record_undo(record);
}

/* The first line's members are values of their own names. */
static int unpack_first(const struct journal *journal, struct journal_record *record,
                        struct rpc_request **ret_request, struct error *err)
{
    static const char *const names[] = {"journal", "boot_id",   "method", "namespace",
                                        "version", "unique_id", "args",   "context"};
    json_t *line = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)json_object_set(line, names[i], json_array_get(journal_all(record, names[i]), 0));
    const char *boot_id = json_string_member(line, "boot_id");
    record->host_rebooted = !boot_id || strcmp(boot_id, journal->boot_id) != 0;
    int r = journal_request_unpack(line, ret_request, err);
    json_decref(line);
    return r;
}

/* *ret_record stays NULL for a file that was never finished. */
static int read_record(const struct journal *journal, const char *name, const char *path,
                       struct rpc_request **ret_request, struct journal_record **ret_record,
                       struct error *err)
{
    char *text = NULL;
    size_t length = 0, n = 0;
    int fd = -1;
    int r = private_file_open(journal->fd, journal->folder, name, O_RDWR | O_APPEND, &fd, err);
    if (r < 0)
        return r;
    struct journal_record *record = journal_record_new(path, fd);
    if (!record)
        return error_nomem(err);
    r = read_all(fd, &text, &length, err);
    if (r == 0)
        r = add_lines(record, text, length, &n, err);
    if (r == 0 && n > 0)
        r = unpack_first(journal, record, ret_request, err);
    if (r == 0)
        cut_torn_end(record, text, length);
    if (text)
        explicit_bzero(text, length);
    free(text);
    if (r < 0) {
        journal_leave(record);
        metric_add(METRIC_JOURNAL_RECORDS, 0, -1);
        return r;
    }
    log_debug("the journal's record %s has %zu lines, its host %s since", path, n,
              record->host_rebooted ? "was rebooted" : "was not rebooted");
    if (n == 0)
        journal_end(record);
    else
        *ret_record = record;
    return 0;
}

/* What is wrong with the host, not with the record. */
static bool is_temporary(int r)
{
    static const int temporary[] = {EMFILE, ENFILE, ENOMEM, EIO, EINTR, EAGAIN, ESTALE, ETIMEDOUT};
    for (size_t i = 0; i < ARRAY_SIZE(temporary); i++)
        if (r == -temporary[i])
            return true;
    return false;
}

/* A moment later it may be over; a guest may wait for it. */
static int read_patiently(const struct journal *journal, const char *name, const char *path,
                          struct rpc_request **ret_request, struct journal_record **ret_record,
                          struct error *err)
{
    static const struct retry_policy policy = {4, 20, 500, 2000};
    struct retry retry = retry_begin(&policy);
    struct error failure = ERROR_INIT;
    int r;
    while ((r = read_record(journal, name, path, ret_request, ret_record, &failure)) < 0 &&
           is_temporary(r) && retry_wait(&retry, 0))
        failure = (struct error)ERROR_INIT;
    if (r < 0)
        *err = failure;
    return r;
}

static void hand_over_one(const struct journal *journal, const char *name,
                          void (*visit)(void *arg, struct rpc_request *request,
                                        struct journal_record *record),
                          void *arg)
{
    struct error failure = ERROR_INIT;
    struct rpc_request *request = NULL;
    struct journal_record *record = NULL;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", journal->folder, name);
    int r = read_patiently(journal, name, path, &request, &record, &failure);
    if (r < 0 && is_temporary(r)) {
        log_error("the journal's record %s is postponed to the next start of the agent: %s", path,
                  failure.message);
        metric_add(METRIC_JOURNAL_RECORDS, 0, 1);
    } else if (r < 0)
        journal_set_file_aside(path, &failure);
    else if (record)
        visit(arg, request, record);
}

static int is_record(const struct dirent *entry)
{
    const char *suffix = strrchr(entry->d_name, '.');
    return suffix && strcmp(suffix, JOURNAL_SUFFIX) == 0;
}

int journal_read_all(struct journal *journal,
                     void (*visit)(void *arg, struct rpc_request *request,
                                   struct journal_record *record),
                     void *arg, struct error *err)
{
    struct dirent **entries = NULL;
    int n = scandirat(journal->fd, ".", &entries, is_record, alphasort);
    if (n < 0)
        return error_errno(err, errno, "cannot list %s", journal->folder);
    for (int i = 0; i < n; i++) {
        hand_over_one(journal, entries[i]->d_name, visit, arg);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
