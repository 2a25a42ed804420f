/* SPDX-License-Identifier: Apache-2.0 */
/* See image_hash.h. */
#include "glance_client/image_hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"

#define DEFAULT_ALGORITHM "sha512" /* [DEFAULT] hashing_algorithm of Glance */
#define REREAD_BYTES (1u << 20)

struct image_hash {
    struct image_source base;
    struct image_source *inner;
    EVP_MD_CTX *digest;
    char algorithm[32];
    uint64_t hashed_bytes;
};

/* Names that Python's hashlib and libcrypto spell differently. */
static const EVP_MD *find_algorithm(const char *name)
{
    static const char *const names[][2] = {
        {"blake2b", "blake2b512"}, {"blake2s", "blake2s256"}, {"sha3_224", "sha3-224"},
        {"sha3_256", "sha3-256"},  {"sha3_384", "sha3-384"},  {"sha3_512", "sha3-512"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i][0]) == 0)
            return EVP_get_digestbyname(names[i][1]);
    return EVP_get_digestbyname(name);
}

static int begin_digest(struct image_hash *hash, const char *algorithm, struct error *err)
{
    const EVP_MD *md = find_algorithm(algorithm);
    if (!md || strlen(algorithm) >= sizeof(hash->algorithm))
        return error_set(err, ENOTSUP, EXC_INTERNAL_ERROR, "hash algorithm '%.32s' is not known",
                         algorithm);
    if (EVP_DigestInit_ex(hash->digest, md, NULL) != 1)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "libcrypto cannot begin a %s digest",
                         algorithm);
    (void)snprintf(hash->algorithm, sizeof(hash->algorithm), "%s", algorithm);
    hash->hashed_bytes = 0;
    return 0;
}

static ssize_t hash_read(struct image_source *source, void *buffer, size_t length,
                         struct error *err)
{
    struct image_hash *hash = (struct image_hash *)source;
    ssize_t n = hash->inner->ops->read(hash->inner, buffer, length, err);
    if (n <= 0)
        return n;
    if (EVP_DigestUpdate(hash->digest, buffer, (size_t)n) != 1)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "libcrypto cannot go on with a digest");
    hash->hashed_bytes += (uint64_t)n;
    return n;
}

static int rewind_with(struct image_hash *hash, const char *algorithm, struct error *err)
{
    int r = hash->inner->ops->rewind(hash->inner, err);
    return r < 0 ? r : begin_digest(hash, algorithm, err);
}

static int hash_rewind(struct image_source *source, struct error *err)
{
    return rewind_with((struct image_hash *)source, DEFAULT_ALGORITHM, err);
}

/* The owner frees it with image_hash_free(). */
static void hash_close(struct image_source *source)
{
    (void)source;
}

int image_hash_new(struct image_source *inner, struct image_hash **ret_hash, struct error *err)
{
    static const struct image_source_ops ops = {
        .read = hash_read, .rewind = hash_rewind, .close = hash_close};
    struct image_hash *hash = calloc(1, sizeof(*hash));
    if (!hash)
        return error_nomem(err);
    hash->base = (struct image_source){.ops = &ops, .size_bytes = inner->size_bytes};
    hash->inner = inner;
    hash->digest = EVP_MD_CTX_new();
    int r = hash->digest ? begin_digest(hash, DEFAULT_ALGORITHM, err) : error_nomem(err);
    if (r < 0) {
        image_hash_free(hash);
        return r;
    }
    *ret_hash = hash;
    return 0;
}

struct image_source *image_hash_source(struct image_hash *hash)
{
    return &hash->base;
}

static int read_through(struct image_hash *hash, struct error *err)
{
    cleanup_free char *buffer = malloc(REREAD_BYTES);
    if (!buffer)
        return error_nomem(err);
    while (hash->hashed_bytes < hash->base.size_bytes) {
        uint64_t left = hash->base.size_bytes - hash->hashed_bytes;
        size_t length = left < REREAD_BYTES ? (size_t)left : REREAD_BYTES;
        ssize_t n = hash_read(&hash->base, buffer, length, err);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return error_set(
                err, EIO, EXC_INTERNAL_ERROR, "the image data ended after %llu of %llu bytes",
                (unsigned long long)hash->hashed_bytes, (unsigned long long)hash->base.size_bytes);
    }
    return 0;
}

int image_hash_digest(struct image_hash *hash, const char *algorithm,
                      char ret_hex[static IMAGE_HASH_HEX_SIZE], struct error *err)
{
    if (!find_algorithm(algorithm))
        return error_set(err, ENOTSUP, EXC_INTERNAL_ERROR, "hash algorithm '%.32s' is not known",
                         algorithm);
    if (strcmp(algorithm, hash->algorithm) != 0 || hash->hashed_bytes != hash->base.size_bytes) {
        log_debug("the image is read again for its %s digest", algorithm);
        int r = rewind_with(hash, algorithm, err);
        if (r < 0)
            return r;
        r = read_through(hash, err);
        if (r < 0)
            return r;
    }
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(hash->digest, value, &length) != 1)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "libcrypto cannot end a digest");
    hash->algorithm[0] = '\0'; /* an ended digest cannot be asked again */
    for (unsigned i = 0; i < length; i++)
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", value[i]);
    return 0;
}

void image_hash_free(struct image_hash *hash)
{
    if (!hash)
        return;
    EVP_MD_CTX_free(hash->digest);
    free(hash);
}
