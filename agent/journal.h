/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: what a request is about to do and has done, in files that outlive the agent. One
 * file per request in <state_dir>/<host>.journal (0700, files 0600: they hold tokens and secure
 * domain XML), a line of JSON per note, only ever appended to. The file goes when the request has
 * come to its end; one that is found at the start was left by an agent that died (recover.h).
 *
 * A journal may be used by several threads, a record by one at a time.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

struct journal;
struct journal_record;
struct rpc_request;

/* Makes the folder when missing; errors as private_file_open_folder(). Returns owned. */
int journal_open(const char *state_dir, const char *host, struct journal **ret_journal,
                 struct error *err);
void journal_free(struct journal *journal); /* NULL-safe. Open records stay good. */

/* A new record with the whole request in it, on disk when this returns. Returns owned. */
int journal_begin(struct journal *journal, const struct rpc_request *request,
                  struct journal_record **ret_record, struct error *err);

/*
 * Notes what is about to be done: on disk when it returns 0. Takes `value`, also on failure.
 * Names are the caller's; the values of a name are kept in their order.
 */
int journal_note(struct journal_record *record, const char *name, json_t *value, struct error *err);

/*
 * Notes what has been done: outlives the agent at once, the host after a while. Takes `value`. A
 * failure is logged: what was done is then found out anew.
 */
void journal_mark(struct journal_record *record, const char *name, json_t *value);

/* The last value of a name, NULL when there is none; all of them (an array, may be NULL). Borrowed.
 */
json_t *journal_last(const struct journal_record *record, const char *name);
json_t *journal_all(const struct journal_record *record, const char *name);

/* The host was started anew since the record was begun. */
bool journal_host_rebooted(const struct journal_record *record);

/* The request has come to its end. Removes the file and frees. NULL-safe. */
void journal_end(struct journal_record *record);

/* Frees and leaves the file for the next start. NULL-safe. */
void journal_leave(struct journal_record *record);

/*
 * The record cannot be understood: it is kept for people to look at, as *.unreadable with an error
 * in the log, but no agent takes it up any more. Frees.
 */
void journal_set_aside(struct journal_record *record, const struct error *why);

/* How many there are that were set aside, by earlier agents too, and are still there. Any thread.
 */
int journal_unreadable_count(const struct journal *journal, unsigned *ret_n, struct error *err);

/*
 * Reads what an earlier agent has left: calls visit() for each record with its request, in the
 * order they were begun, both owned by then. A line that cannot be read is left out, with an error
 * in the log; a file whose request cannot be read, or that others than the agent may have written,
 * is set aside; one that cannot be read for want of something on the host is tried again, and left
 * to the next start; one that was never finished writing tells of nothing and goes.
 */
int journal_read_all(struct journal *journal,
                     void (*visit)(void *arg, struct rpc_request *request,
                                   struct journal_record *record),
                     void *arg, struct error *err);

/*
 * Whether any record, of a request under way or set aside, has this text in it: a name or an id
 * that JSON writes as it is. Any thread.
 */
int journal_mentions(const struct journal *journal, const char *text, bool *ret_mentioned,
                     struct error *err);
