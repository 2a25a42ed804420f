/* SPDX-License-Identifier: Apache-2.0 */
/* domain/late_fingerprint.c: what the disks were when the guest was saved is known, or it is not.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "domain/disk_fingerprint.h"
#include "domain/late_fingerprint.h"
#include "tests/unit/driver/temp_folder.h"

static json_t *before;
static const char *disk, *memory;

static void write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, "text", 4) != 4 || close(fd) < 0)
        fail_msg("cannot write %s", path);
}

/* The memory's last word comes `later_s` after now, by its time. */
static void write_memory(long later_s)
{
    const struct timespec now = {.tv_sec = time(NULL) + later_s};
    write_file(memory);
    const struct timespec times[2] = {now, now};
    assert_int_equal(utimensat(AT_FDCWD, memory, times, 0), 0);
}

static json_t *look(void)
{
    struct error err = ERROR_INIT;
    json_t *seen = NULL, *layers = json_pack("[{s:s, s:s, s:b, s:b}]", "disk", "vda", "path", disk,
                                             "is_top", 1, "is_device", 0);
    if (disk_fingerprint_look(layers, &seen, &err) < 0)
        fail_msg("%s", err.message);
    json_decref(layers);
    return seen;
}

static int set_up(void **state)
{
    (void)state;
    disk = temp_path("disk");
    memory = temp_path("memory");
    (void)unlink(disk);
    write_file(disk);
    before = look();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(before);
    return 0;
}

static void doubted(const char *of_memory, const char *text)
{
    char reason[LATE_FINGERPRINT_REASON_SIZE];
    json_t *now = look();
    late_fingerprint_doubt(before, now, of_memory, reason);
    json_decref(now);
    if (text[0] == '\0' ? reason[0] != '\0' : !strstr(reason, text))
        fail_msg("%s", reason);
}

static void disks_nobody_has_touched(void **state)
{
    (void)state;
    write_memory(10);
    doubted(memory, "");
}

static void a_disk_that_was_written_to(void **state)
{
    (void)state;
    write_memory(-10);
    doubted(memory, "written to since");
    doubted(NULL, "before it looked at the disks");
}

/* As rsync and cp -p do. */
static void a_disk_that_was_brought_back_with_its_time(void **state)
{
    (void)state;
    const struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    write_memory(-3600);
    write_file(disk);
    assert_int_equal(utimensat(AT_FDCWD, disk, times, 0), 0);
    doubted(memory, "changed since");
}

static void another_file_in_its_place(void **state)
{
    (void)state;
    const char *other = temp_path("other");
    write_memory(10);
    write_file(other);
    assert_int_equal(rename(other, disk), 0);
    doubted(memory, "another file");
    (void)json_object_del(json_array_get(before, 0), "inode");
    doubted(memory, "another file");
}

/* As JSON, which takes no part of a character. */
static void a_path_that_is_cut(void **state)
{
    (void)state;
    char path[512], reason[LATE_FINGERPRINT_REASON_SIZE];
    write_memory(10);
    for (size_t first = 1; first <= 2; first++) {
        (void)snprintf(path, sizeof(path), "%.*s", (int)first, "//");
        for (size_t at = first; at < 400; at += 2)
            memcpy(path + at, "\u00e4", sizeof("\u00e4"));
        json_t *now = json_pack("[{s:s, s:i}]", "path", path, "inode", 1);
        late_fingerprint_doubt(before, now, memory, reason);
        json_t *text = json_string(reason);
        assert_non_null(text);
        json_decref(text);
        json_decref(now);
    }
}

static void times_of_another_file_system(void **state)
{
    (void)state;
    char path[32];
    const struct timespec times[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
    int fd = memfd_create("memory", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(futimens(fd, times), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    doubted(path, "another file system");
    assert_int_equal(close(fd), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(disks_nobody_has_touched),
        TEST(a_disk_that_was_written_to),
        TEST(a_disk_that_was_brought_back_with_its_time),
        TEST(another_file_in_its_place),
        TEST(a_path_that_is_cut),
        TEST(times_of_another_file_system),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
