/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of journal.h share. */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "agent/journal.h"
#include "common/id.h"
#include "common/private_file.h"

#define JOURNAL_FORMAT 1
#define JOURNAL_FILE_MAX_BYTES (64u << 20)
#define JOURNAL_SUFFIX ".request"
#define JOURNAL_UNREADABLE_SUFFIX ".unreadable"

struct journal {
    char folder[PRIVATE_FILE_FOLDER_SIZE];
    int fd;                     /* of the folder */
    char boot_id[ID_UUID_SIZE]; /* of the running kernel */
};

struct journal_record {
    char path[PATH_MAX];
    int fd;
    off_t size;    /* of the file, without half a line that can be cut off */
    bool is_torn;  /* it ends with half a line all the same: the next one begins on its own */
    json_t *notes; /* name -> array of its values */
    bool host_rebooted;
};

/* An empty record of the file. Takes `fd` also on failure. Returns owned, NULL without memory. */
struct journal_record *journal_record_new(const char *path, int fd);

/* Half a line is behind `size`: it goes, or is kept away from the next one. */
void journal_record_undo(struct journal_record *record);

/* One more value of a name. `value` is borrowed. */
int journal_record_add(struct journal_record *record, const char *name, json_t *value,
                       struct error *err);

/* The request as the first line of a record, and back. */
json_t *journal_request_pack(const struct rpc_request *request, const char *boot_id);
int journal_request_unpack(const json_t *line, struct rpc_request **ret_request, struct error *err);

/* journal_set_aside() of a file that is no record. */
void journal_set_file_aside(const char *path, const struct error *why);
