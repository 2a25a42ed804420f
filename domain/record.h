/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command is about to do to a domain, in a file that outlives it: <state>/records/<uuid>, a
 * line of JSON per note. It goes when the command has come to its end; one that is found was left
 * by a command that died, and the next one on that domain undoes it (leftover.h).
 *
 * Of one thread. Whoever opens it holds the domain's lock (common/domain_lock.h).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

struct record;

/*
 * Makes the folder where it is missing; errors as private_file_open_folder(). EBADMSG naming the
 * file when what is in it is none of ours. Returns owned.
 */
int record_open(const char *state_dir, const char *uuid, struct record **ret_record,
                struct error *err);

/*
 * Which libvirt's domain it is of, by the URI: written down with the first note. EINVAL naming the
 * other one where it is of another; one of an older version does not tell, and may be of any.
 */
int record_set_libvirt(struct record *record, const char *uri, struct error *err);

/* The URI that is written down; NULL: none. Borrowed. */
const char *record_libvirt(const struct record *record);

/* NULL-safe. The file stays. */
void record_close(struct record *record);

/*
 * On disk when it returns 0; after a failure the record is as it was, or takes no more. Takes
 * `value`, also on failure; NULL is one there was no memory for.
 */
int record_note(struct record *record, const char *name, json_t *value, struct error *err);

/*
 * All that was noted before is done, but for `kept`: an object whose members are what record_all()
 * is to return. In one step, on a record that is not empty, whose file shrinks to that. Takes it;
 * errors as record_note(), but where the folder's are told the file may be the new one.
 */
int record_restart(struct record *record, json_t *kept, struct error *err);

/* All values of a name in their order, an array; NULL: there is none. Borrowed. */
json_t *record_all(const struct record *record, const char *name);

/* The file's path, for messages. Borrowed. */
const char *record_path(const struct record *record);

/* Whether there is any. */
bool record_is_empty(const struct record *record);

/* The host was started anew since the first one. */
bool record_host_rebooted(const struct record *record);

/* All is done: the file goes, and the record is empty again. */
int record_end(struct record *record, struct error *err);
