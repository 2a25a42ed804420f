/* SPDX-License-Identifier: Apache-2.0 */
/* common/image_source.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/image_source.h"

static char directory[] = "/tmp/test_image_source.XXXXXX";
static char path[64], other[64];

static int make_directory(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/disk", directory);
    (void)snprintf(other, sizeof(other), "%s/other", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void write_file(const char *text)
{
    cleanup_fclose FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
}

static struct image_source *open_source(void)
{
    struct image_source *source = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(image_source_open_file(path, &source, &err), 0);
    return source;
}

static void expect_bytes(struct image_source *source, const char *wanted)
{
    char buffer[64] = "";
    size_t used = 0;
    ssize_t n;
    struct error err = ERROR_INIT;
    while ((n = source->ops->read(source, buffer + used, 3, &err)) > 0)
        used += (size_t)n;
    assert_int_equal(n, 0);
    assert_string_equal(buffer, wanted);
}

static void a_file_is_read_and_read_again(void **state)
{
    (void)state;
    write_file("0123456789");
    struct image_source *source = open_source();
    struct error err = ERROR_INIT;
    assert_int_equal(source->size_bytes, 10);
    expect_bytes(source, "0123456789");
    expect_bytes(source, "");
    assert_int_equal(source->ops->rewind(source, &err), 0);
    expect_bytes(source, "0123456789");
    image_source_close(source);
    assert_int_equal(unlink(path), 0); /* closing has left it */
    image_source_close(NULL);
}

static void a_changed_size_forbids_rewinding(void **state)
{
    (void)state;
    write_file("0123456789");
    struct image_source *source = open_source();
    struct error err = ERROR_INIT;
    assert_int_equal(truncate(path, 9), 0);
    assert_int_equal(source->ops->rewind(source, &err), -EIO);
    assert_non_null(strstr(err.message, "from 10 to 9 bytes"));
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(source->ops->rewind(source, &err), 0);
    image_source_close(source);
    assert_int_equal(unlink(path), 0);
}

static void an_empty_file_has_no_bytes(void **state)
{
    (void)state;
    write_file("");
    struct image_source *source = open_source();
    assert_int_equal(source->size_bytes, 0);
    expect_bytes(source, "");
    image_source_close(source);
    assert_int_equal(unlink(path), 0);
}

static void expect_refusal(int errnum)
{
    struct image_source *source = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(image_source_open_file(path, &source, &err), -errnum);
    assert_null(source);
    assert_non_null(strstr(err.message, path));
}

static void only_a_regular_file_is_opened(void **state)
{
    (void)state;
    expect_refusal(ENOENT);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    expect_refusal(ELOOP);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refusal(EINVAL);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refusal(EINVAL); /* at once, though nobody writes to it */
    assert_int_equal(unlink(path), 0);
}

static void the_file_opened_is_the_file_read(void **state)
{
    (void)state;
    write_file("first");
    struct image_source *source = open_source();
    struct error err = ERROR_INIT;
    assert_int_equal(rename(path, other), 0);
    write_file("xxxxx");
    assert_int_equal(source->ops->rewind(source, &err), 0);
    expect_bytes(source, "first");
    image_source_close(source);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(other), 0);
}

static const char *ended; /* how the last owning source did */

static void close_owned(struct image_source *source, void *owned)
{
    image_source_close(source);
    assert_int_equal(unlink(owned), 0);
    ended = "closed";
}

static void leave_owned(struct image_source *source, void *owned)
{
    (void)owned;
    image_source_close(source);
    ended = "left";
}

static struct image_source *open_owning(const struct image_source_owner *owner)
{
    struct image_source *source = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(image_source_owning(open_source(), path, owner, &source, &err), 0);
    ended = NULL;
    return source;
}

static void what_a_source_owns_ends_with_it(void **state)
{
    (void)state;
    static const struct image_source_owner both = {close_owned, leave_owned};
    static const struct image_source_owner closes = {.close = close_owned};
    struct error err = ERROR_INIT;
    write_file("0123456789");
    struct image_source *source = open_owning(&both);
    assert_int_equal(source->size_bytes, 10);
    expect_bytes(source, "0123456789");
    assert_int_equal(source->ops->rewind(source, &err), 0);
    expect_bytes(source, "0123456789");
    image_source_leave(source);
    assert_string_equal(ended, "left");
    image_source_close(open_owning(&both));
    assert_string_equal(ended, "closed");
    write_file("");
    image_source_leave(open_owning(&closes)); /* it has nothing to leave */
    assert_string_equal(ended, "closed");
    assert_int_equal(unlink(path), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_and_read_again),
        cmocka_unit_test(a_changed_size_forbids_rewinding),
        cmocka_unit_test(an_empty_file_has_no_bytes),
        cmocka_unit_test(only_a_regular_file_is_opened),
        cmocka_unit_test(the_file_opened_is_the_file_read),
        cmocka_unit_test(what_a_source_owns_ends_with_it),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
