/* SPDX-License-Identifier: Apache-2.0 */
/* See image_digest.h. */
#include "domain/image_digest.h"

#include <stdio.h>

EVP_MD_CTX *image_digest_begin(void)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1)
        return digest;
    EVP_MD_CTX_free(digest);
    return NULL;
}

void image_digest_add(EVP_MD_CTX *digest, const void *data, size_t length)
{
    (void)EVP_DigestUpdate(digest, data, length); /* fails for none that was begun */
}

void image_digest_end(EVP_MD_CTX *digest, char ret_text[static IMAGE_DIGEST_SIZE])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    (void)EVP_DigestFinal_ex(digest, bytes, &size);
    ret_text[0] = '\0';
    for (unsigned i = 0; i < size; i++)
        (void)snprintf(ret_text + 2 * (size_t)i, 3, "%02x", bytes[i]);
}
