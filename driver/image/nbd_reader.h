/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the data of a disk ahead, in the order of the disk, on a thread of its own: several
 * requests are under way while what has come is sent on. One object per image; the calls are for
 * one thread at a time.
 */
#pragma once

#include <sys/types.h>

#include "common/error.h"
#include "driver/image/extent_map.h"
#include "driver/image/nbd_client.h"

struct nbd_reader;

/* Borrows both for its life; the client is the reader's alone. Returns owned. */
int nbd_reader_new(struct nbd_client *client, const struct extent_map *map,
                   struct nbd_reader **ret_reader, struct error *err);

/* NULL-safe. Ends the reading, and disconnects the client when answers are under way. */
void nbd_reader_free(struct nbd_reader *reader);

/* Begins with the first data of the disk, also anew. */
int nbd_reader_start(struct nbd_reader *reader, struct error *err);

/*
 * The next of the data, as many bytes as there are in one piece, at most `length`; 0 when there is
 * no more. Fails for good: EIO and what libnbd says, ETIMEDOUT after a stall, ECANCELED.
 */
ssize_t nbd_reader_read(struct nbd_reader *reader, void *buffer, size_t length, struct error *err);
