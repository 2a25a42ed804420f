/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of an image on their way out. On the thread of the command, which may be cancelled. */
#pragma once

#include <stddef.h>

#include "common/error.h"

/*
 * To a pipe, which may be nobody's to set non-blocking: whoever reads it may stop to. ECANCELED;
 * ETIMEDOUT when nothing was taken for IMAGE_OUTPUT_STALL_MS.
 */
int image_output_write_stream(int fd, const unsigned char *data, size_t length, struct error *err);

#define IMAGE_OUTPUT_STALL_MS 300000

/* To a file: what is zero is left out of it, which is to get its length at the end. */
int image_output_write_sparse(int fd, const unsigned char *data, size_t length, struct error *err);
