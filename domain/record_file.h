/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a record (record.h): whole lines, each on disk before what it tells of is begun. Of
 * one thread. Who does not hold the domain's lock reads alone.
 */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/id.h"
#include "common/private_file.h"

#define RECORD_FILE_MAX_BYTES (16U << 20)

struct record_file {
    char folder[PRIVATE_FILE_FOLDER_SIZE];
    char name[ID_UUID_SIZE];
    char new_name[ID_UUID_SIZE + sizeof(".new")]; /* of what takes its place: no record's */
    char path[PATH_MAX];
    int folder_fd;
    int fd;            /* -1: there is none yet */
    off_t whole_bytes; /* of whole lines: what is behind is cut off before anything is added */
};

/*
 * Makes the folder where it is missing, not the file; errors as private_file_open_folder(). To be
 * closed, also after a failure.
 */
int record_file_open(struct record_file *file, const char *state_dir, const char *uuid,
                     struct error *err);

void record_file_close(struct record_file *file);

/* All of it, owned; which lines are whole is the caller's to find. Errors name the file. */
int record_file_read(const struct record_file *file, char **ret_text, size_t *ret_length,
                     struct error *err);

/* Makes it. */
int record_file_begin(struct record_file *file, struct error *err);

/* On disk when it returns 0, and else not begun. */
int record_file_append(struct record_file *file, const char *text, size_t length,
                       struct error *err);

/*
 * The text is all there is in it: whoever dies meanwhile, the host too, leaves the old file or the
 * new one. After a failure it is as it was, unless it is the folder's: then it may be either. Who
 * has it open reads the old one.
 */
int record_file_replace(struct record_file *file, const char *text, size_t length,
                        struct error *err);

/* Nothing where there is none. */
int record_file_remove(struct record_file *file, struct error *err);
