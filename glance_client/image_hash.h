/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image source in front of another that hashes what passes through, so that verifying an upload
 * costs no second read. Not shared between threads.
 */
#pragma once

#include <openssl/evp.h>

#include "common/image_source.h"

#define IMAGE_HASH_HEX_SIZE (2 * EVP_MAX_MD_SIZE + 1)

struct image_hash;

/* `inner` (at its first byte) is borrowed and stays open. Returns owned. */
int image_hash_new(struct image_source *inner, struct image_hash **ret_hash, struct error *err);

/* The source to read instead of `inner`. Lives as long as the hash; need not be closed. */
struct image_source *image_hash_source(struct image_hash *hash);

/*
 * The hex digest of the whole image by Glance's `algorithm` (a name of Python's hashlib). Reads the
 * image again when it has not passed whole or was hashed by another algorithm (sha512 while
 * reading). ENOTSUP when libcrypto does not know the algorithm.
 */
int image_hash_digest(struct image_hash *hash, const char *algorithm,
                      char ret_hex[static IMAGE_HASH_HEX_SIZE], struct error *err);

/* NULL-safe. */
void image_hash_free(struct image_hash *hash);
