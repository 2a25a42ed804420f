/* SPDX-License-Identifier: Apache-2.0 */
/* See memory_source.h. */
#include "tests/unit/memory_source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ssize_t memory_read(struct image_source *base, void *buffer, size_t length,
                           struct error *err)
{
    struct memory_source *source = (struct memory_source *)base;
    source->reads++;
    if (source->position >= source->fail_at)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "the disk is broken");
    size_t end = source->fail_at < source->length ? source->fail_at : source->length;
    size_t left = end - source->position;
    size_t n = length < left ? length : left;
    memcpy(buffer, source->bytes + source->position, n);
    source->position += n;
    return (ssize_t)n;
}

static int memory_rewind(struct image_source *base, struct error *err)
{
    struct memory_source *source = (struct memory_source *)base;
    source->rewinds++;
    if (source->rewind_fails)
        return error_set(err, ESTALE, EXC_INTERNAL_ERROR, "the bytes have changed");
    source->position = 0;
    return 0;
}

static void memory_close(struct image_source *base)
{
    assert_null(base); // borrowed: nobody closes it
}

void memory_source_init(struct memory_source *source, size_t length)
{
    static const struct image_source_ops ops = {
        .read = memory_read, .rewind = memory_rewind, .close = memory_close};
    *source = (struct memory_source){
        .base = {.ops = &ops, .size_bytes = length},
        .bytes = malloc(length + 1),
        .length = length,
        .fail_at = SIZE_MAX,
    };
    assert_non_null(source->bytes);
    for (size_t i = 0; i < length; i++)
        source->bytes[i] = (unsigned char)(i * 31 + (i >> 16) * 17);
}

void memory_source_done(struct memory_source *source)
{
    free(source->bytes);
}
