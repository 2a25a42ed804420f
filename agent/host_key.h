/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret of this host name and state folder, <state_dir>/<host>.key (0600), and the marks made
 * with it: by its mark an agent knows later what it has made itself. Nobody can make a mark for
 * something else, and one that is copied does not fit there.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"

#define HOST_KEY_BYTES 32
#define HOST_KEY_MARK_SIZE 65             /* hex digits */
#define HOST_KEY_STAGING "staging folder" /* of its folders in snapshots_directory */

struct host_key {
    bool known; /* else nothing is marked, and nothing known by its mark */
    unsigned char bytes[HOST_KEY_BYTES];
};

/*
 * Reads the key, or makes one. Errors as private_file_open(), EBADMSG. Only who holds the host's
 * lock (host_lock.h) may do so.
 */
int host_key_read(const char *state_dir, const char *host, struct host_key *ret_key,
                  struct error *err);

/* The mark of a text: HMAC-SHA-256 by the key. False when there is none. Any thread. */
bool host_key_mark(const struct host_key *key, const char *text,
                   char ret_mark[static HOST_KEY_MARK_SIZE]);

/* Whether `mark` (NULL: no) is the mark of the text. */
bool host_key_is_mark(const struct host_key *key, const char *text, const char *mark);
