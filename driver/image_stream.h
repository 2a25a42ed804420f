/*
 * An image that is made while it is read: qcow2 or raw, from a disk that an NBD server shows and
 * that does not change. Nothing is written anywhere; its size is exact before the first byte, and
 * a rewind gives the same bytes.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/image_source.h"
#include "driver/nbd_client.h"

/* "qcow2" and "raw". */
bool image_stream_can_make(const char *format);

/*
 * With `find_zeroes` the disk is read once before, so that a qcow2 image leaves out what is zero
 * though the server does not know it: for block devices, which all "hold data". Takes the client
 * on success. ECANCELED; what nbd_client.h and nbd_reader.h fail with.
 */
int image_stream_open(struct nbd_client *client, const char *format, bool find_zeroes,
                      struct image_source **ret_source, struct error *err);
