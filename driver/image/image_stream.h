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
 * The same of a disk that nobody writes to, which a qemu-nbd of our own shows: a file, a device or
 * a name QEMU knows, in `disk_format`.
 */
int image_stream_of_file(const char *disk, const char *disk_format, const char *format,
                         uint64_t bytes_per_s, unsigned stall_timeout_s,
                         struct image_source **ret_source, struct error *err);
