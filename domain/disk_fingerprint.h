/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tells, of the disks of a guest that does not run, whether anything writes to them from now
 * on. On one thread.
 *
 * Layers are those of disk_layers.h, and with their fingerprint have also size_bytes, of a file
 * inode, mtime_ns and ctime_ns too, with sha256 where it was asked for. A file's times change with
 * each write through a file system, mtime with the content, ctime with anything: only the clock
 * sets it. A backing file's ctime is left out, since it changes when another guest on it is started
 * (libvirt: chown); its mtime, which rsync and cp can set back, is not. A device's node tells
 * nothing of it, and may be made anew at any time: it has a SHA-256 or no fingerprint.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/image_file.h"

/* Whether this member of two layers is not the same, or one alone has it. */
bool disk_fingerprint_differs(const json_t *then, const json_t *now, const char *name);

/* Returns the layers as they are at this moment, owned; what open() says. */
int disk_fingerprint_look(const json_t *layers, json_t **ret_seen, struct error *err);

/*
 * Returns the layers with their fingerprints, owned. It has waited until another write would change
 * the times. EBUSY naming a file that is being written to, or has changed while others were read
 * for their digests; what open() says; ECANCELED while it reads for a digest, which `observer`
 * (NULL: nobody) is told of.
 */
int disk_fingerprint_take(const json_t *layers, bool digest, const struct image_observer *observer,
                          json_t **ret_layers, struct error *err);

/*
 * ESTALE naming each disk that has changed since its fingerprint was taken, and what has. One whose
 * times alone are others is read where it has a SHA-256, which then decides; with `digest` all are
 * read, and EINVAL where one has none.
 */
int disk_fingerprint_compare(const json_t *layers, bool digest,
                             const struct image_observer *observer, struct error *err);

/*
 * Returns the layers, of which those that a guest writes to have their times of change of now,
 * owned: owner or mode may have changed until `until_ns` of the epoch, as by a guest that was not
 * started after all. ESTALE naming one whose content may have, or that has changed later.
 */
int disk_fingerprint_renew(const json_t *layers, json_int_t until_ns, json_t **ret_layers,
                           struct error *err);
