/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a saved guest for its restore: FILE.disks beside the memory, or
 * <state>/saved/<uuid> for one that libvirt keeps. On one thread.
 *
 * A JSON object, of version 1:
 *   uuid, name    of the domain
 *   stopped_ms    since when the guest stands still, of the epoch
 *   memory        {size_bytes, tail_sha256}: which memory it is the record of; absent where libvirt
 *                 keeps it in a file that is not known
 *   layers        of its disks, with their fingerprints (disk_fingerprint.h)
 *   unknown       why the layers have none; absent: they have
 *   used_ms       when it was restored last; absent: never
 */
#pragma once

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/* FILE.disks. ENAMETOOLONG. */
int save_record_beside(const char *file, char ret_path[static PATH_MAX], struct error *err);

/* That of a domain whose memory libvirt keeps; the folder is made where it is missing. */
int save_record_of_managed(const struct session *session, char ret_path[static PATH_MAX],
                           struct error *err);

/* Writes a file of that name anew, on disk when it returns 0. `content` is borrowed; NULL is one
 * there was no memory for. */
int save_record_write(const char *path, const json_t *content, struct error *err);

/* The same in place of one that is there, whatever happens meanwhile. */
int save_record_replace(const char *path, const json_t *content, struct error *err);

/* ENOENT when there is none; EBADMSG. Returned owned. */
int save_record_read(const char *path, json_t **ret_content, struct error *err);

/* Any object that was written so, as saved_file.h's: errors as above. Returned owned. */
int save_record_read_note(const char *path, json_t **ret_content, struct error *err);

/* Milliseconds of the epoch. */
json_int_t save_record_now_ms(void);

/* What tells this memory file from others, also where it was copied to. Returned owned. */
int save_record_describe_memory(const char *file, json_t **ret_memory, struct error *err);

/* The same of the one that libvirt keeps; *ret_memory stays where its file is not known. */
int save_record_describe_kept(const struct session *session, json_t **ret_memory,
                              struct error *err);

/* Whether the guest ran when it was saved, or was to run afterwards. False where that cannot be
 * told. */
bool save_record_memory_was_running(const char *file);

/*
 * Whether a memory file is complete: libvirt gives it another first word when all is written
 * (libvirt: src/qemu/qemu_saveimage.h, QEMU_SAVE_MAGIC). False when there is none; an error when
 * that cannot be told.
 */
int save_record_memory_is_whole(const char *file, bool *ret_is_whole, struct error *err);
