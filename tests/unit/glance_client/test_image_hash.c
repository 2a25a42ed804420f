/* SPDX-License-Identifier: Apache-2.0 */
/* glance_client/image_hash.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "glance_client/image_hash.h"
#include "tests/unit/memory_source.h"

/* FIPS 180-4 examples. */
#define SHA512_ABC                                                                                 \
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"                             \
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
#define SHA256_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define MD5_ABC "900150983cd24fb0d6963f7d28e17f72"

static void abc_init(struct memory_source *source, struct image_hash **hash)
{
    struct error err = ERROR_INIT;
    memory_source_init(source, 3);
    memcpy(source->bytes, "abc", 3);
    assert_int_equal(image_hash_new(&source->base, hash, &err), 0);
}

static void read_all(struct image_hash *hash)
{
    char byte;
    struct error err = ERROR_INIT;
    struct image_source *source = image_hash_source(hash);
    while (source->ops->read(source, &byte, 1, &err) == 1)
        ;
    assert_int_equal(err.errnum, 0);
}

static void expect_digest(struct image_hash *hash, const char *algorithm, const char *wanted)
{
    char hex[IMAGE_HASH_HEX_SIZE];
    struct error err = ERROR_INIT;
    assert_int_equal(image_hash_digest(hash, algorithm, hex, &err), 0);
    assert_string_equal(hex, wanted);
}

static void what_was_read_needs_no_second_read(void **state)
{
    (void)state;
    struct memory_source source;
    struct image_hash *hash;
    abc_init(&source, &hash);
    assert_int_equal(image_hash_source(hash)->size_bytes, 3);
    read_all(hash);
    unsigned reads = source.reads;
    expect_digest(hash, "sha512", SHA512_ABC);
    assert_int_equal(source.reads, reads);
    assert_int_equal(source.rewinds, 0);
    expect_digest(hash, "sha512", SHA512_ABC);
    image_hash_free(hash);
    memory_source_done(&source);
}

static void another_algorithm_reads_again(void **state)
{
    (void)state;
    struct memory_source source;
    struct image_hash *hash;
    abc_init(&source, &hash);
    read_all(hash);
    expect_digest(hash, "sha256", SHA256_ABC);
    assert_int_equal(source.rewinds, 1);
    expect_digest(hash, "md5", MD5_ABC);
    char hex[IMAGE_HASH_HEX_SIZE];
    struct error err = ERROR_INIT;
    assert_int_equal(image_hash_digest(hash, "blake2b", hex, &err), 0);
    assert_int_equal(strlen(hex), 128);
    assert_int_equal(image_hash_digest(hash, "sha3_256", hex, &err), 0);
    assert_int_equal(strlen(hex), 64);
    image_hash_free(hash);
    memory_source_done(&source);
}

static void a_part_is_never_the_whole(void **state)
{
    (void)state;
    struct memory_source source;
    struct image_hash *hash;
    abc_init(&source, &hash);
    char byte;
    struct error err = ERROR_INIT;
    struct image_source *front = image_hash_source(hash);
    assert_int_equal(front->ops->read(front, &byte, 1, &err), 1);
    expect_digest(hash, "sha512", SHA512_ABC);
    assert_int_equal(source.rewinds, 1);
    assert_int_equal(front->ops->rewind(front, &err), 0);
    read_all(hash);
    expect_digest(hash, "sha512", SHA512_ABC);
    assert_int_equal(source.rewinds, 2);
    image_hash_free(hash);
    memory_source_done(&source);
}

static void failures_are_passed_on(void **state)
{
    (void)state;
    struct memory_source source;
    struct image_hash *hash;
    char hex[IMAGE_HASH_HEX_SIZE];
    struct error err = ERROR_INIT;
    abc_init(&source, &hash);
    assert_int_equal(image_hash_digest(hash, "rot13", hex, &err), -ENOTSUP);
    assert_non_null(strstr(err.message, "rot13"));
    source.fail_at = 1;
    assert_int_equal(image_hash_digest(hash, "sha512", hex, &err), -EIO);
    assert_string_equal(err.message, "the disk is broken");
    source.fail_at = SIZE_MAX;
    source.length = 2;
    assert_int_equal(image_hash_digest(hash, "sha512", hex, &err), -EIO);
    assert_string_equal(err.message, "the image data ended after 2 of 3 bytes");
    source.rewind_fails = true;
    assert_int_equal(image_hash_digest(hash, "sha512", hex, &err), -ESTALE);
    image_hash_free(hash);
    memory_source_done(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_needs_no_second_read),
        cmocka_unit_test(another_algorithm_reads_again),
        cmocka_unit_test(a_part_is_never_the_whole),
        cmocka_unit_test(failures_are_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
