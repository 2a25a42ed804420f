/* SPDX-License-Identifier: Apache-2.0 */
/* domain/earlier_image.c: an increment stands on the image of its checkpoint, and on no other. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "domain/earlier_image.h"
#include "tests/unit/driver/marked_image.h"
#include "tests/unit/driver/temp_folder.h"

#define DISK_BYTES ((uint64_t)4 << 20)

static struct error err;
static const struct guest_info info = {.disk_target = "vda", .virtual_size_bytes = DISK_BYTES};

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    return 0;
}

static void make_image(const char *path, uint64_t bytes, const char *mark)
{
    marked_image_make(path, bytes, mark, (struct qcow2_backing){0});
}

static json_t *images_of(const char *path)
{
    return json_pack("{s:{s:s, s:s, s:s}}", "vda", "path", path, "format", "qcow2", "mark",
                     "42.vda");
}

static int check(json_t *images)
{
    err = (struct error)ERROR_INIT;
    return earlier_image_check(images, &info, "monday", &err);
}

static void the_image_of_the_checkpoint_is_known(void **state)
{
    (void)state;
    const char *path = temp_path("image");
    json_t *images = images_of(path);
    assert_int_equal(check(images), -ENOENT);
    make_image(path, DISK_BYTES, "42.vda");
    if (check(images) < 0)
        fail_msg("%s", err.message);
    static const char *const others[] = {"43.vda", "42.vdb", "42.vda2", NULL};
    for (size_t i = 0; i < 4; i++) {
        make_image(path, DISK_BYTES, others[i]);
        assert_int_equal(check(images), -EINVAL);
        assert_non_null(strstr(err.message, "another image"));
    }
    marked_image_make(path, DISK_BYTES, "42.vda", (struct qcow2_backing){"a", "qcow2", "41.vda"});
    assert_int_equal(check(images), 0); /* an increment itself */
    marked_image_make(path, DISK_BYTES, "43.vda", (struct qcow2_backing){"a", "qcow2", "42.vda"});
    assert_int_equal(check(images), -EINVAL);
    make_image(path, 2 * DISK_BYTES, "42.vda");
    assert_int_equal(check(images), -EINVAL);
    assert_non_null(strstr(err.message, "smaller"));
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(check(images), -EINVAL);
    json_decref(images);
    images = json_pack("{s:{s:s, s:s}}", "vda", "path", path, "format", "qcow2");
    assert_int_equal(check(images), -ENOENT); /* without a mark nobody can tell */
    json_decref(images);
}

static struct qcow2_backing backing_of(const char *earlier, const char *own, char path[PATH_MAX])
{
    struct image_file file = {.target = "vda"};
    static json_t *images;
    json_decref(images);
    images = images_of(earlier);
    (void)snprintf(file.path, sizeof(file.path), "%s", own);
    struct qcow2_backing backing = earlier_image_backing(images, &file, path);
    assert_string_equal(backing.format, "qcow2");
    assert_string_equal(backing.mark, "42.vda");
    return backing;
}

/* A name with a colon is none of a protocol. */
static void a_chain_in_one_folder_can_be_moved(void **state)
{
    char path[PATH_MAX];
    (void)state;
    assert_string_equal(backing_of("/b/one", "/b/two", path).path, "./one");
    assert_string_equal(backing_of("/b/nbd:one", "/b/two", path).path, "./nbd:one");
    assert_string_equal(backing_of("/b/one", "/bb/two", path).path, "/b/one");
    assert_string_equal(backing_of("/b/c/one", "/b/two", path).path, "/b/c/one");
    assert_string_equal(backing_of("/one", "/two", path).path, "./one");
}

static void an_image_that_nobody_has(void **state)
{
    const struct guest_info vdb = {.disk_target = "vdb"};
    (void)state;
    json_t *images = images_of("/nowhere/image");
    assert_int_equal(check(images), -ENOENT);
    assert_non_null(strstr(err.message, "/nowhere/image"));
    err = (struct error)ERROR_INIT;
    assert_int_equal(earlier_image_check(images, &vdb, "monday", &err), -ENOENT);
    assert_non_null(strstr(err.message, "vdb at checkpoint monday"));
    json_decref(images);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(the_image_of_the_checkpoint_is_known),
        TEST(a_chain_in_one_folder_can_be_moved),
        TEST(an_image_that_nobody_has),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
