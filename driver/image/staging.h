/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private directory a snapshot works in: one per snapshot, below snapshots_directory, with a
 * name nobody can guess. Not shared between threads.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/image_source.h"
#include "driver/image/qemu_user.h"

#define STAGING_MARK_SIZE 17 /* hex digits */

struct staging;

#define STAGING_PREFIX "nova-snapshot-" /* of the directory's name */

/*
 * Who may pass through the directory: nobody else (0700), or whoever knows the names inside
 * (0701: QEMU runs as a user of its own and opens the delta by its path; nova does the same).
 */
enum staging_access { STAGING_PRIVATE, STAGING_TRAVERSABLE };

/*
 * Chooses the names below `parent`, and makes nothing: written down, they lead a later process to
 * what staging_make() has made. `mark`, hex digits or "", is in the directory's name, as many as
 * have room: by it the maker is known. EINVAL: it is no absolute path, or too long. Returns owned.
 */
int staging_new(const char *parent, const char *mark, struct staging **ret_staging,
                struct error *err);

/*
 * Whether directories can be made below `parent`, which is made when missing: InternalError naming
 * what cannot.
 */
int staging_check(const char *parent, struct error *err);

/* Logs what QEMU may not be able to pass through on the way to `parent`. */
void staging_warn_of_closed_folders(const char *parent);

/* Makes the directory, and those it is in when missing, as their owner whose the folder above is.
 */
int staging_make(struct staging *staging, enum staging_access access, struct error *err);

/* Whether a directory of this name is one that staging_new() can have chosen. */
bool staging_is_name(const char *name);

/* Whether such a name has this mark, of which all digits that have room are given. */
bool staging_has_mark(const char *name, const char *mark);

/*
 * The names that a staging_new() of an earlier process chose, whether or not anything was made:
 * enough to tell what is ours by its path. Nothing is removed before staging_claim(). EINVAL when
 * `directory` or `file` is nothing it can have chosen. Returns owned.
 */
int staging_named(const char *directory, const char *file, struct staging **ret_staging,
                  struct error *err);

/*
 * Takes the files of a staging_named() for its own, which they are below the snapshots_directory of
 * today, `parent`: the same folder, by whatever path. False when they stay for somebody to look at.
 */
bool staging_claim(struct staging *staging, const char *parent);

/* What staging_named() takes: path of the directory, name of the image in it. Borrowed. */
const char *staging_directory(const struct staging *staging);
const char *staging_file(const struct staging *staging);

/* The finished image and QEMU's overlay. Borrowed, absolute; the files are the caller's to make. */
const char *staging_image_path(const struct staging *staging);
const char *staging_delta_path(const struct staging *staging);

/*
 * Makes a directory inside for a socket that QEMU makes: nobody else's than this user's (0700),
 * or his group's and ours. EOPNOTSUPP when the socket's path is too long, or he cannot be given
 * it.
 */
int staging_make_socket_directory(const struct staging *staging, const struct qemu_user *user,
                                  struct error *err);

/* Where QEMU makes the socket. Borrowed, absolute. */
const char *staging_socket_path(const struct staging *staging);

/* Removes the overlay, which may be as large as the disk. Absent is fine. */
int staging_remove_delta(const struct staging *staging, struct error *err);

/*
 * An image that is read from `source` and made of the files of `staging`: closing it removes
 * everything, leaving it nothing. Takes both on success. Returns owned.
 */
int staging_own(struct staging *staging, struct image_source *source,
                struct image_source **ret_source, struct error *err);

/* Opens the finished image. Takes `staging` on success: closing the source removes everything,
 * leaving it nothing. */
int staging_open_image(struct staging *staging, struct image_source **ret_source,
                       struct error *err);

/* Removes the directory and all that is in it. NULL-safe; what cannot be removed is logged. */
void staging_free(struct staging *staging);

/* Frees it and removes nothing. NULL-safe. */
void staging_leave(struct staging *staging);
