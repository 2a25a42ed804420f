/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of an image, as sha256sum(1) prints it. */
#pragma once

#include <openssl/evp.h>
#include <stddef.h>

#define IMAGE_DIGEST_SIZE 65

/* Returns owned (cleanup_digest); NULL without memory. */
EVP_MD_CTX *image_digest_begin(void);

void image_digest_add(EVP_MD_CTX *digest, const void *data, size_t length);
void image_digest_end(EVP_MD_CTX *digest, char ret_text[static IMAGE_DIGEST_SIZE]);

static inline void cleanup_free_digest(EVP_MD_CTX **digest)
{
    EVP_MD_CTX_free(*digest);
}

#define cleanup_digest __attribute__((cleanup(cleanup_free_digest)))
