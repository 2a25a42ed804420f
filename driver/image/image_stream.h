/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image that is made while it is read: qcow2 or raw, from a disk that an NBD server shows and
 * that does not change. Nothing is written anywhere; its size is exact before the first byte, and
 * a rewind gives the same bytes.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/image_source.h"
#include "driver/image/nbd_client.h"
#include "driver/image/qcow2_layout.h"

/* "raw" and "qcow2" if it is not compressed: others have no size before they are made. */
bool image_stream_can_make(const char *format, bool compress);

/*
 * A qcow2 image leaves out what is zero though the server calls it data: for that some of the disk
 * is read before, at `bytes_per_s` (0: as fast as it can). Takes the client on success. ECANCELED;
 * what nbd_client.h and nbd_reader.h fail with.
 */
int image_stream_open(struct nbd_client *client, const char *format, uint64_t bytes_per_s,
                      struct image_source **ret_source, struct error *err);

/*
 * A qcow2 image with a mark (qcow2_mark.h; NULL: none), of the whole disk or, on a backing file
 * that has the others, of those clusters that nbd_client_map() tells, whatever is in them.
 * `backing` (NULL: none) and `mark` are copied. Takes the client on success. ENAMETOOLONG; as
 * above.
 */
int image_stream_open_marked(struct nbd_client *client, const struct qcow2_backing *backing,
                             const char *mark, struct image_source **ret_source, struct error *err);

/* A disk that nobody writes to. Everything is borrowed for the time of a call. */
struct image_stream_disk {
    const char *path; /* of a file or device, or a name QEMU knows */
    const char *format;
    uint64_t bytes_per_s; /* as for image_stream_open() */
    unsigned stall_timeout_s;
};

/* The same of such a disk, which a qemu-nbd of our own shows. Fails as nbd_launch.h does, too. */
int image_stream_of_disk(const struct image_stream_disk *disk, const char *format,
                         struct image_source **ret_source, struct error *err);
