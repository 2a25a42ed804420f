/* SPDX-License-Identifier: Apache-2.0 */
/* domain/disk_fingerprint.c: no write to a disk goes unseen, whatever is done to its times. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "domain/disk_fingerprint.h"
#include "tests/unit/driver/temp_folder.h"

static struct error err;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    return 0;
}

static void write_at(const char *path, char byte, off_t at)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

/* Of a top layer "disk" and a backing file "base", both made anew. */
static json_t *make_layers(void)
{
    (void)unlink(temp_path("disk"));
    (void)unlink(temp_path("base"));
    write_at(temp_path("disk"), 'd', 4095);
    write_at(temp_path("base"), 'b', 4095);
    return json_pack("[{s:s, s:s, s:b, s:b}, {s:s, s:s, s:b, s:b}]", "disk", "vda", "path",
                     temp_path("disk"), "is_top", 1, "is_device", 0, "disk", "vda", "path",
                     temp_path("base"), "is_top", 0, "is_device", 0);
}

static json_t *take(bool digest)
{
    json_t *layers = make_layers(), *taken = NULL;
    if (disk_fingerprint_take(layers, digest, NULL, &taken, &err) < 0)
        fail_msg("%s", err.message);
    json_decref(layers);
    return taken;
}

static int compare(const json_t *layers, bool digest)
{
    err = (struct error)ERROR_INIT;
    return disk_fingerprint_compare(layers, digest, NULL, &err);
}

static void refused(const json_t *layers, const char *text)
{
    assert_int_equal(compare(layers, false), -ESTALE);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
}

static void set_mtime(const char *path, const struct timespec *mtime)
{
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, *mtime};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void disks_nobody_touches(void **state)
{
    (void)state;
    json_t *layers = take(false);
    assert_int_equal(compare(layers, false), 0);
    assert_int_equal(access(temp_path("disk"), R_OK), 0);
    assert_int_equal(compare(layers, true), -EINVAL); /* there is no digest */
    assert_non_null(strstr(err.message, "without its SHA-256"));
    json_decref(layers);
}

/* At once, within the same tick of the clock, if it were not waited for. */
static void a_write_that_comes_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        json_t *layers = take(false);
        write_at(temp_path("disk"), 'D', 17);
        refused(layers, "disk vda has changed since: ");
        refused(layers, "/disk: it has been written to");
        json_decref(layers);
        layers = take(false);
        write_at(temp_path("base"), 'B', 17);
        refused(layers, "/base: it has been written to");
        json_decref(layers);
    }
}

static void a_write_whose_time_is_set_back(void **state)
{
    (void)state;
    struct stat st;
    json_t *layers = take(false);
    assert_int_equal(stat(temp_path("disk"), &st), 0);
    write_at(temp_path("disk"), 'D', 17);
    set_mtime(temp_path("disk"), &st.st_mtim);
    refused(layers, "times were changed");
    json_decref(layers);
}

/* libvirt gives it to QEMU's user whenever another guest on it is started. */
static void a_backing_file_that_was_given_away(void **state)
{
    (void)state;
    json_t *layers = take(false);
    assert_int_equal(chmod(temp_path("base"), 0640), 0);
    assert_int_equal(compare(layers, false), 0);
    json_decref(layers);
}

static void another_file_or_none(void **state)
{
    (void)state;
    json_t *layers = take(true);
    assert_int_equal(rename(temp_path("disk"), temp_path("kept")), 0);
    assert_int_equal(compare(layers, false), -ENOENT);
    write_at(temp_path("disk"), 'X', 4095);
    refused(layers, "its content is another");
    write_at(temp_path("disk"), 'd', 4095); /* what was there: the digest says so */
    assert_int_equal(compare(layers, false), 0);
    assert_int_equal(compare(layers, true), 0);
    write_at(temp_path("disk"), 'd', 4096);
    refused(layers, "another size");
    assert_int_equal(unlink(temp_path("kept")), 0);
    json_decref(layers);
    layers = take(false);
    assert_int_equal(rename(temp_path("disk"), temp_path("kept")), 0);
    write_at(temp_path("disk"), 'd', 4095);
    refused(layers, "another file is in its place");
    json_decref(layers);
}

static const char *written_meanwhile;

static void write_meanwhile(void *arg, enum image_phase phase, const char *target, uint64_t done,
                            uint64_t total)
{
    (void)arg, (void)phase, (void)target, (void)done, (void)total;
    if (written_meanwhile)
        write_at(written_meanwhile, 'M', 17);
    written_meanwhile = NULL;
}

/* Before its own turn, or behind it: the digest would be that of another content. */
static void a_write_while_others_are_read(void **state)
{
    (void)state;
    static const char *const names[] = {"disk", "base"};
    const struct image_observer observer = {write_meanwhile, NULL};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        json_t *layers = make_layers(), *taken = NULL;
        written_meanwhile = temp_path(names[i]);
        err = (struct error)ERROR_INIT;
        assert_int_equal(disk_fingerprint_take(layers, true, &observer, &taken, &err), -EBUSY);
        assert_non_null(strstr(err.message, names[i]));
        json_decref(layers);
    }
}

/* As a device whose content changes, whose times nobody asks: by the digest alone. */
static void what_has_changed_behind_its_times(void **state)
{
    (void)state;
    static const char *const names[] = {"mtime_ns", "ctime_ns"};
    json_t *layers = take(true);
    json_t *layer = json_array_get(layers, 0);
    write_at(temp_path("disk"), 'D', 17);
    struct stat st;
    assert_int_equal(stat(temp_path("disk"), &st), 0);
    const struct timespec *times[] = {&st.st_mtim, &st.st_ctim};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)json_object_set_new(
            layer, names[i],
            json_integer((json_int_t)times[i]->tv_sec * 1000000000 + times[i]->tv_nsec));
    assert_int_equal(compare(layers, false), 0);
    assert_int_equal(compare(layers, true), -ESTALE);
    (void)json_object_set_new(layer, "is_device", json_true());
    assert_int_equal(compare(layers, false), -ESTALE);
    json_decref(layers);
}

static void a_device_whose_node_is_made_anew(void **state)
{
    (void)state;
    json_t *layers = json_pack("[{s:s, s:s, s:b, s:b}]", "disk", "vda", "path", "/dev/null",
                               "is_top", 1, "is_device", 1);
    json_t *seen = NULL;
    assert_int_equal(disk_fingerprint_look(layers, &seen, &err), 0);
    const json_t *layer = json_array_get(seen, 0);
    assert_non_null(json_object_get(layer, "size_bytes"));
    static const char *const of_its_node[] = {"inode", "mtime_ns", "ctime_ns"};
    for (size_t i = 0; i < ARRAY_SIZE(of_its_node); i++)
        assert_null(json_object_get(layer, of_its_node[i]));
    json_decref(seen);
    json_decref(layers);
}

static void a_device_that_is_left_alone(void **state)
{
    (void)state;
    json_t *layers = json_pack("[{s:s, s:s, s:b, s:b}]", "disk", "vda", "path", "/dev/null",
                               "is_top", 1, "is_device", 1);
    json_t *taken = NULL, *renewed = NULL;
    if (disk_fingerprint_take(layers, true, NULL, &taken, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(compare(taken, true), 0);
    assert_int_equal(disk_fingerprint_renew(taken, 0, &renewed, &err), 0);
    assert_true(json_equal(renewed, taken));
    json_decref(renewed);
    json_decref(taken);
    json_decref(layers);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(disks_nobody_touches),           TEST(a_write_that_comes_at_once),
        TEST(a_write_whose_time_is_set_back), TEST(a_backing_file_that_was_given_away),
        TEST(another_file_or_none),           TEST(what_has_changed_behind_its_times),
        TEST(a_write_while_others_are_read),  TEST(a_device_whose_node_is_made_anew),
        TEST(a_device_that_is_left_alone),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
