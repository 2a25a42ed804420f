/* SPDX-License-Identifier: Apache-2.0 */
/* driver/image/qcow2_mark.c: what a header tells, and one that was made to harm. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver/image/qcow2_mark.h"
#include "tests/unit/driver/marked_image.h"
#include "tests/unit/driver/temp_folder.h"

#define HEADER_BYTES 4096
#define OWN_AT 104  /* of an image without a backing file */
#define BASE_AT 120 /* behind the backing file's format */

static struct error err;
static struct qcow2_marks marks;
static unsigned char header[HEADER_BYTES];

static void make(const char *mark, const char *path, const char *base)
{
    const struct qcow2_backing backing = {path, "qcow2", base};
    marked_image_make(temp_path("image"), 1 << 20, mark, backing);
    FILE *file = fopen(temp_path("image"), "re");
    assert_non_null(file);
    assert_int_equal(fread(header, 1, sizeof(header), file), sizeof(header));
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    marks = (struct qcow2_marks){"untouched", "untouched"};
    return 0;
}

static void put_32(size_t at, uint32_t value)
{
    const uint32_t big = htobe32(value);
    memcpy(header + at, &big, sizeof(big));
}

/* From memory of that size alone, so that reading behind it is seen. */
static int parse(size_t size)
{
    unsigned char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, header, size);
    err = (struct error)ERROR_INIT;
    int r = qcow2_mark_parse(copy, size, "/an/image", &marks, &err);
    free(copy);
    return r;
}

static void assert_marks(const char *own, const char *base)
{
    if (parse(sizeof(header)) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(marks.own, own);
    assert_string_equal(marks.base, base);
}

static void assert_damaged(size_t size)
{
    marks = (struct qcow2_marks){"untouched", "untouched"};
    assert_int_equal(parse(size), -EINVAL);
    assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
    assert_non_null(strstr(err.message, "/an/image"));
    assert_string_equal(marks.own, "untouched");
}

static void both_marks(void **state)
{
    char longest[QCOW2_MARK_MAX + 1];
    (void)state;
    memset(longest, 'm', QCOW2_MARK_MAX);
    longest[QCOW2_MARK_MAX] = '\0';
    make(NULL, NULL, NULL);
    assert_marks("", "");
    make("42.vda", NULL, NULL);
    assert_marks("42.vda", "");
    make("42.vda", "base", "41.vda");
    assert_marks("42.vda", "41.vda");
    make(NULL, "base", "41.vda");
    assert_marks("", "41.vda");
    make("42.vda", "base", NULL); /* as an older version makes it */
    assert_marks("42.vda", "");
    make(longest, "base", longest);
    assert_marks(longest, longest);
}

/* QEMU turns their order round when it writes a header anew. */
static void in_any_order(void **state)
{
    (void)state;
    make("42.vda", "base", "41.vda");
    put_32(BASE_AT, QCOW2_BASE_MARK_EXTENSION);
    put_32(BASE_AT + 16, QCOW2_MARK_EXTENSION);
    assert_marks("41.vda", "42.vda");
}

static void a_length_that_is_none(void **state)
{
    static const uint32_t lengths[] = {0,         QCOW2_MARK_MAX + 1, 4096,      65536,
                                       INT32_MAX, UINT32_MAX - 7,     UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        make("42.vda", NULL, NULL);
        put_32(OWN_AT + 4, lengths[i]);
        assert_damaged(sizeof(header));
        make(NULL, "base", "41.vda");
        put_32(BASE_AT + 4, lengths[i]);
        assert_damaged(sizeof(header));
    }
    make("42.vda", NULL, NULL);
    header[OWN_AT + 8 + 2] = '\0';
    assert_damaged(sizeof(header));
}

/* Others' extensions are left out, but none reaches into the backing file's name or the tables. */
static void another_extension_that_is_too_long(void **state)
{
    (void)state;
    make("42.vda", NULL, NULL);
    put_32(OWN_AT, 1);
    put_32(OWN_AT + 4, 65536 - OWN_AT - 8);
    assert_marks("", ""); /* up to the end of the cluster: what is behind is none of ours */
    put_32(OWN_AT + 4, 65536 - OWN_AT - 7);
    assert_damaged(sizeof(header));
    make(NULL, "base", "41.vda");
    put_32(BASE_AT, 1);
    put_32(BASE_AT + 4, 100);
    assert_damaged(sizeof(header));
}

static void fields_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint32_t value;
    } fields[] = {
        {0, 0},   {4, 1},           {4, 4},   {8, 1},    {12, 65537},  {20, 0},           {20, 8},
        {20, 22}, {20, UINT32_MAX}, {100, 0}, {100, 96}, {100, 65537}, {100, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        make("42.vda", "base", "41.vda");
        put_32(fields[i].at, fields[i].value);
        assert_damaged(sizeof(header));
    }
}

static void a_file_that_is_cut_off(void **state)
{
    (void)state;
    make("42.vda", "base", "41.vda");
    for (size_t size = 0; size < 160; size++)
        assert_damaged(size);
}

/* Version 2 has the extensions behind its shorter header, or none where a name stands there. */
static void an_image_of_version_2(void **state)
{
    (void)state;
    make(NULL, NULL, NULL);
    put_32(4, 2);
    put_32(72, QCOW2_MARK_EXTENSION);
    put_32(76, 6);
    memcpy(header + 80, "42.vda", sizeof("42.vda"));
    memset(header + 88, 0, 24);
    assert_marks("42.vda", "");
    put_32(12, 72); /* the backing file's name */
    assert_marks("", "");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(both_marks),
        TEST(in_any_order),
        TEST(a_length_that_is_none),
        TEST(another_extension_that_is_too_long),
        TEST(fields_that_cannot_be),
        TEST(a_file_that_is_cut_off),
        TEST(an_image_of_version_2),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
