/* SPDX-License-Identifier: Apache-2.0 */
/* driver/image/disk_space.c: no snapshot begins without room, and none takes the guests' last. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cmocka.h>

#include "common/cancel.h"
#include "driver/image/disk_space.h"
#include "tests/unit/driver/temp_folder.h"
#include "tests/unit/driver/volume_files.h"

#define MIB (UINT64_C(1) << 20)
#define WAIT_MS 10000

static _Atomic uint64_t free_bytes;
static struct error err;

int __wrap_statvfs(const char *path, struct statvfs *ret_space);
int __wrap_statvfs(const char *path, struct statvfs *ret_space)
{
    assert_non_null(path);
    *ret_space = (struct statvfs){.f_frsize = 512, .f_bavail = free_bytes / 512};
    return 0;
}

static struct staging *new_staging(void)
{
    struct staging *staging = NULL;
    assert_int_equal(staging_new(temp_path("snapshots"), "", &staging, &err), 0);
    assert_int_equal(staging_make(staging, STAGING_PRIVATE, &err), 0);
    return staging;
}

static int reserve(const struct staging *staging, uint64_t needed, uint64_t keep,
                   struct disk_space **ret_space)
{
    err = (struct error)ERROR_INIT;
    return disk_space_reserve(staging, needed, keep, ret_space, &err);
}

static void room_is_exact(void **state)
{
    (void)state;
    struct staging *staging = new_staging();
    struct disk_space *space = NULL;
    free_bytes = 100 * MIB;
    assert_int_equal(reserve(staging, 70 * MIB, 30 * MIB, &space), 0);
    disk_space_release(space);
    space = NULL;
    assert_int_equal(reserve(staging, 70 * MIB + 1, 30 * MIB, &space), -ENOSPC);
    assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
    assert_non_null(strstr(err.message, "up to 73400321 bytes are needed, 104857600 bytes are "
                                        "free, of which 31457280 bytes are reserved"));
    assert_int_equal(reserve(staging, 0, 101 * MIB, &space), -ENOSPC);
    assert_int_equal(reserve(staging, UINT64_MAX, 0, &space), -ENOSPC);
    assert_null(space);
    disk_space_release(NULL);
    staging_free(staging);
}

static void write_bytes(const char *path, size_t size)
{
    char block[4096];
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    memset(block, 'x', sizeof(block));
    for (size_t i = 0; i < size / sizeof(block); i++)
        assert_int_equal(fwrite(block, sizeof(block), 1, file), 1);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(fsync(fileno(file)), 0); /* st_blocks is told then */
    fclose(file);
}

/* What one snapshot has been promised is not there for the next; what it has written counts once.
 */
static void account_is_shared(void **state)
{
    (void)state;
    struct staging *stagings[2] = {new_staging(), new_staging()};
    struct disk_space *first = NULL, *second = NULL;
    free_bytes = 100 * MIB;
    assert_int_equal(reserve(stagings[0], 60 * MIB, 0, &first), 0);
    assert_int_equal(reserve(stagings[1], 50 * MIB, 0, &second), -ENOSPC);
    write_bytes(staging_image_path(stagings[0]), 10 * MIB);
    write_bytes(staging_delta_path(stagings[0]), 10 * MIB);
    free_bytes = 80 * MIB;
    assert_int_equal(reserve(stagings[1], 41 * MIB, 0, &second), -ENOSPC);
    assert_int_equal(reserve(stagings[1], 39 * MIB, 0, &second), 0);
    disk_space_release(first);
    first = NULL;
    assert_int_equal(reserve(stagings[0], 41 * MIB, 0, &first), 0);
    disk_space_release(second);
    disk_space_release(first);
    staging_free(stagings[0]);
    staging_free(stagings[1]);
}

/* Who only asks costs no snapshot its room, and is told of what the snapshots have taken. */
static void who_asks_takes_no_room(void **state)
{
    (void)state;
    struct staging *stagings[2] = {new_staging(), new_staging()};
    struct disk_space *spaces[2] = {NULL};
    free_bytes = 100 * MIB;
    err = (struct error)ERROR_INIT;
    assert_int_equal(disk_space_fits(stagings[1], 60 * MIB, 0, &err), 0);
    assert_int_equal(reserve(stagings[0], 60 * MIB, 0, &spaces[0]), 0);
    assert_int_equal(disk_space_fits(stagings[1], 40 * MIB, 0, &err), 0);
    assert_int_equal(disk_space_fits(stagings[1], 40 * MIB, 0, &err), 0);
    assert_int_equal(disk_space_fits(stagings[1], 40 * MIB + 1, 0, &err), -ENOSPC);
    assert_non_null(strstr(err.message, "of which 62914560 bytes are reserved"));
    assert_int_equal(reserve(stagings[1], 40 * MIB, 0, &spaces[1]), 0);
    for (int i = 0; i < 2; i++) {
        disk_space_release(spaces[i]);
        staging_free(stagings[i]);
    }
}

/* Where the folders will be made. */
static void folders_may_be_missing(void **state)
{
    (void)state;
    struct staging *staging = NULL;
    free_bytes = 100 * MIB;
    err = (struct error)ERROR_INIT;
    assert_int_equal(staging_new(temp_path("not/made/yet"), "", &staging, &err), 0);
    assert_int_equal(disk_space_fits(staging, 100 * MIB, 0, &err), 0);
    assert_int_equal(disk_space_fits(staging, 101 * MIB, 0, &err), -ENOSPC);
    assert_int_equal(access(temp_path("not"), F_OK), -1);
    staging_leave(staging);
    assert_int_equal(staging_new("/not-even/one/of/them", "", &staging, &err), 0);
    assert_int_equal(disk_space_fits(staging, 100 * MIB, 0, &err), 0);
    staging_leave(staging);
}

static bool is_cancelled(struct cancel *cancel, int timeout_ms)
{
    struct cancel *before = cancel_enter(cancel);
    struct pollfd fd = {.fd = cancel_fd(), .events = POLLIN};
    bool cancelled = poll(&fd, 1, timeout_ms) == 1 && cancel_check(&err) == -ECANCELED;
    (void)cancel_enter(before);
    return cancelled;
}

static void youngest_is_given_up(void **state)
{
    (void)state;
    struct cancel *cancels[3];
    struct staging *stagings[3];
    struct disk_space *spaces[4] = {NULL};
    free_bytes = 100 * MIB;
    for (int i = 0; i < 3; i++) {
        stagings[i] = new_staging();
        assert_int_equal(cancel_new(&cancels[i], &err), 0);
        (void)cancel_enter(cancels[i]);
        assert_int_equal(reserve(stagings[i], MIB, 10 * MIB, &spaces[i]), 0);
        (void)cancel_enter(NULL);
    }
    /* Nobody can give this one up. */
    assert_int_equal(reserve(stagings[0], MIB, 10 * MIB, &spaces[3]), 0);
    free_bytes = 9 * MIB;
    assert_true(is_cancelled(cancels[2], WAIT_MS));
    assert_non_null(strstr(err.message, "running out of space: 9437184 bytes are free"));
    assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
    assert_false(is_cancelled(cancels[1], 0)); /* the first one has yet to make room */
    disk_space_release(spaces[2]);
    assert_true(is_cancelled(cancels[1], WAIT_MS));
    free_bytes = 10 * MIB;
    disk_space_release(spaces[1]);
    assert_false(is_cancelled(cancels[0], 0));
    disk_space_release(spaces[0]);
    disk_space_release(spaces[3]);
    for (int i = 0; i < 3; i++) {
        staging_free(stagings[i]);
        cancel_free(cancels[i]);
    }
}

/* Whoever has written to the end of the file system may not have written all. */
static void what_was_written_is_doubted(void **state)
{
    static const struct {
        uint64_t keep_free, free;
        int r;
    } cases[] = {{10 * MIB, 10 * MIB, 0},
                 {10 * MIB, 10 * MIB - 512, -ENOSPC},
                 {0, 4 * MIB, 0},
                 {0, 4 * MIB - 512, -ENOSPC}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct disk_space *space = NULL;
        struct staging *staging = new_staging();
        free_bytes = 100 * MIB;
        assert_int_equal(reserve(staging, MIB, cases[i].keep_free, &space), 0);
        free_bytes = cases[i].free;
        assert_int_equal(disk_space_check(space, &err), cases[i].r);
        disk_space_release(space);
        staging_free(staging);
    }
}

static uint64_t need_of(const struct guest_info *info, unsigned parts)
{
    uint64_t bytes = 77;
    err = (struct error)ERROR_INIT;
    assert_int_equal(disk_space_need(info, parts, &bytes, &err), 0);
    return bytes;
}

/* 8 MiB in the disk's own layer, 16 MiB more in its base. */
static void need_follows_the_data(void **state)
{
    (void)state;
    struct guest_info info = {.source_type = DISK_SOURCE_FILE, .disk_format = "qcow2"};
    (void)snprintf(info.disk_path, sizeof(info.disk_path), "%s", temp_path("disk"));
    const char *const base[] = {"qemu-img", "create",          "-q",  "-f",
                                "raw",      temp_path("base"), "64M", NULL};
    qemu_img(base);
    const char *const disk[] = {"qemu-img", "create", "-q",  "-f",           "qcow2", "-b",
                                "base",     "-F",     "raw", info.disk_path, "1G",    NULL};
    qemu_img(disk);
    assert_in_range(need_of(&info, DISK_SPACE_IMAGE), 1, 2 * MIB); /* all holes */
    FILE *file = fopen(temp_path("base"), "r+e");
    assert_non_null(file);
    static char block[1 << 20];
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 16; i++)
        assert_int_equal(fwrite(block, sizeof(block), 1, file), 1);
    fclose(file);
    const char *const grown[] = {"qemu-io",          "-f",           "qcow2", "-c",
                                 "write -q 512M 8M", info.disk_path, NULL};
    qemu_img(grown);
    uint64_t image = need_of(&info, DISK_SPACE_IMAGE);
    uint64_t overlay = need_of(&info, DISK_SPACE_OVERLAY);
    uint64_t room = need_of(&info, DISK_SPACE_ROOM);
    assert_in_range(image, 24 * MIB, 26 * MIB);
    assert_in_range(overlay, 8 * MIB, 10 * MIB);
    assert_in_range(room, 65 * MIB, 66 * MIB);
    assert_int_equal(need_of(&info, DISK_SPACE_OVERLAY | DISK_SPACE_ROOM), overlay + room);
    assert_int_equal(need_of(&info, DISK_SPACE_OVERLAY | DISK_SPACE_ROOM | DISK_SPACE_IMAGE),
                     overlay + room + image);

    (void)snprintf(info.backing_path, sizeof(info.backing_path), "%s", temp_path("base"));
    (void)snprintf(info.disk_format, sizeof(info.disk_format), "vmdk"); /* not to be read as such */
    assert_in_range(need_of(&info, DISK_SPACE_IMAGE), 24 * MIB, 26 * MIB);

    info.source_type = DISK_SOURCE_RBD;
    assert_int_equal(need_of(&info, DISK_SPACE_OVERLAY), 0);
}

static void make_disk(struct guest_info *info, const char *options)
{
    *info = (struct guest_info){.source_type = DISK_SOURCE_FILE, .disk_format = "qcow2"};
    (void)snprintf(info->disk_path, sizeof(info->disk_path), "%s", temp_path("room"));
    const char *const disk[] = {"qemu-img", "create",        "-q",  "-f", "qcow2", "-o",
                                options,    info->disk_path, "64M", NULL};
    qemu_img(disk);
}

static void write_disk(const struct guest_info *info, const char *command)
{
    const char *const argv[] = {"qemu-io", "-f", "qcow2", "-c", command, info->disk_path, NULL};
    qemu_img(argv);
}

/* preallocate_images = space. */
static void reserved_space_is_no_data(void **state)
{
    (void)state;
    struct guest_info info;
    make_disk(&info, "cluster_size=64k");
    write_disk(&info, "write -q 0 2M");
    const char *const reserve_all[] = {"fallocate", "-n", "-l", "64M", info.disk_path, NULL};
    qemu_img(reserve_all);
    assert_in_range(need_of(&info, DISK_SPACE_OVERLAY), 2 * MIB, 3 * MIB);
    assert_in_range(need_of(&info, DISK_SPACE_ROOM), 64 * MIB, 65 * MIB);
    assert_in_range(need_of(&info, DISK_SPACE_IMAGE), 2 * MIB, 3 * MIB);
}

/* A copy of it is not. */
static void a_compressed_disk(void **state)
{
    (void)state;
    struct guest_info info;
    struct stat st;
    make_disk(&info, "cluster_size=64k");
    write_disk(&info, "write -q -c 0 4M");
    assert_int_equal(stat(info.disk_path, &st), 0);
    assert_in_range(st.st_blocks * 512, 1, MIB);
    assert_in_range(need_of(&info, DISK_SPACE_OVERLAY), 4 * MIB, 5 * MIB);
}

/* The copy has the clusters of the disk. */
static void coarse_clusters(void **state)
{
    (void)state;
    struct guest_info info;
    make_disk(&info, "cluster_size=2M");
    info.cluster_size_bytes = 2 * MIB;
    write_disk(&info, "write -q 0 4k");
    write_disk(&info, "write -q 10M 4k");
    assert_in_range(need_of(&info, DISK_SPACE_OVERLAY), 4 * MIB + 1, 16 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_exact),          cmocka_unit_test(account_is_shared),
        cmocka_unit_test(who_asks_takes_no_room), cmocka_unit_test(folders_may_be_missing),
        cmocka_unit_test(youngest_is_given_up),   cmocka_unit_test(what_was_written_is_doubted),
        cmocka_unit_test(need_follows_the_data),  cmocka_unit_test(reserved_space_is_no_data),
        cmocka_unit_test(a_compressed_disk),      cmocka_unit_test(coarse_clusters),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
