/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver/image/zero_search.c: what stays in the map, whatever is zero in it, and what has to be
 * read for that. The disk is an array.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "driver/image/zero_search.h"

#define CLUSTERS_MAX (1U << 17) /* 8 GiB */

static struct {
    unsigned clusters;
    bool zero[CLUSTERS_MAX], allocated[CLUSTERS_MAX], read[CLUSTERS_MAX];
    unsigned reads, calls, failing_call;
} disk;
static uint32_t random_state;

static unsigned random_below(unsigned limit)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % limit;
}

static void make_disk(unsigned clusters)
{
    memset(&disk, 0, sizeof(disk));
    memset(disk.allocated, true, clusters);
    disk.clusters = clusters;
}

static int read_disk(void *arg, const struct extent_map *chosen, struct extent_map *found,
                     struct error *err)
{
    assert_ptr_equal(arg, &disk);
    if (++disk.calls == disk.failing_call)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "injected");
    for (unsigned i = 0; i < disk.clusters; i++) {
        if (!extent_map_has_data(chosen, i))
            continue;
        assert_true(disk.allocated[i]);
        assert_false(disk.read[i]); /* once is enough */
        disk.read[i] = true;
        disk.reads++;
        if (!disk.zero[i])
            extent_map_add(found, i * EXTENT_CLUSTER_BYTES, EXTENT_CLUSTER_BYTES);
    }
    return 0;
}

static struct extent_map *allocated(void)
{
    struct extent_map *map = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(extent_map_new(disk.clusters * EXTENT_CLUSTER_BYTES, &map, &err), 0);
    for (unsigned i = 0; i < disk.clusters; i++)
        if (disk.allocated[i])
            extent_map_add(map, i * EXTENT_CLUSTER_BYTES, EXTENT_CLUSTER_BYTES);
    return map;
}

/* All data is in the map, and of what is zero no more than 2 % of that. Returns how many reads. */
static unsigned search_disk(void)
{
    struct extent_map *map = allocated();
    struct error err = ERROR_INIT;
    unsigned data = 0, zeroes = 0;
    assert_int_equal(zero_search(map, read_disk, &disk, &err), 0);
    for (unsigned i = 0; i < disk.clusters; i++) {
        bool has_data = disk.allocated[i] && !disk.zero[i];
        data += has_data;
        assert_true(extent_map_has_data(map, i) || !has_data);
        assert_true(disk.allocated[i] || !extent_map_has_data(map, i));
        zeroes += extent_map_has_data(map, i) && !has_data;
    }
    assert_in_range(zeroes, 0, data / 50);
    extent_map_free(map);
    return disk.reads;
}

/* Whatever the size of the disk. */
static void all_data_costs_a_sample(void **state)
{
    static const unsigned sizes[] = {0, 1, 255, 256, 1600, 5000, 100000, CLUSTERS_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        make_disk(sizes[i]);
        assert_in_range(search_disk(), 0, 512);
    }
}

static void all_zero(void **state)
{
    static const unsigned sizes[] = {1, 65, 1600, CLUSTERS_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        make_disk(sizes[i]);
        memset(disk.zero, true, sizes[i]);
        assert_int_equal(search_disk(), sizes[i]);
    }
}

/* 3 % of it, anywhere: what is read is what is around it, and samples. */
static void a_piece_of_zeroes(void **state)
{
    (void)state;
    for (random_state = 0; random_state < 400000; random_state += 4001) {
        unsigned clusters = 4096 << random_below(5), piece = clusters * 3 / 100;
        make_disk(clusters);
        memset(disk.zero + random_below(clusters - piece), true, piece);
        assert_in_range(search_disk(), piece / 2, clusters / 3);
    }
}

/* The more of it there is, the less may stay. */
static void zeroes_anywhere(void **state)
{
    static const unsigned percents[] = {1, 2, 3, 5, 10, 30, 50, 90, 99};
    (void)state;
    random_state = 1;
    for (unsigned round = 0; round < 90; round++) {
        make_disk(1000 << random_below(7));
        for (unsigned i = 0; i < disk.clusters; i++)
            disk.zero[i] = random_below(100) < percents[round % 9];
        (void)search_disk();
    }
}

/* In pieces of any length, as guests leave them, on a disk that is allocated in pieces. */
static void pieces_of_all_lengths(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        random_state = round * 7919;
        unsigned longest = 1 << random_below(12);
        make_disk(500 << random_below(8));
        for (unsigned i = 0, end; i < disk.clusters; i = end) {
            bool zero = random_below(3) == 0, is_allocated = random_below(4) > 0;
            end = i + 1 + random_below(longest);
            end = end < disk.clusters ? end : disk.clusters;
            memset(disk.zero + i, zero, end - i);
            memset(disk.allocated + i, is_allocated, end - i);
        }
        (void)search_disk();
    }
}

/* 8 GiB that are all allocated, 1 GiB of data in 16 places: that is read in samples. */
static void mostly_zero(void **state)
{
    (void)state;
    make_disk(CLUSTERS_MAX);
    memset(disk.zero, true, sizeof(disk.zero));
    for (unsigned i = 0; i < 16; i++)
        memset(disk.zero + i * 8000, false, 1024);
    assert_in_range(search_disk(), CLUSTERS_MAX * 7 / 8, CLUSTERS_MAX * 7 / 8 + 8192);
}

static void zeroes_in_a_pattern(void **state)
{
    (void)state;
    for (unsigned every = 2; every <= 64; every *= 2) {
        make_disk(20000);
        for (unsigned i = 0; i < disk.clusters; i += every)
            disk.zero[i] = true;
        (void)search_disk();
    }
}

/* An image that is made a second time, in a later life of the process, has the same size. */
static void the_same_again(void **state)
{
    (void)state;
    struct extent_map *maps[2];
    for (unsigned life = 0; life < 2; life++) {
        struct error err = ERROR_INIT;
        make_disk(50000);
        for (unsigned i = 0; i < disk.clusters; i += 97)
            disk.zero[i] = true;
        maps[life] = allocated();
        assert_int_equal(zero_search(maps[life], read_disk, &disk, &err), 0);
    }
    for (unsigned i = 0; i < disk.clusters; i++)
        assert_int_equal(extent_map_has_data(maps[0], i), extent_map_has_data(maps[1], i));
    extent_map_free(maps[0]);
    extent_map_free(maps[1]);
}

static void a_disk_that_cannot_be_read(void **state)
{
    (void)state;
    for (unsigned call = 1; call <= 3; call++) {
        struct error err = ERROR_INIT;
        make_disk(5000);
        memset(disk.zero + 1000, true, 2000);
        disk.failing_call = call;
        struct extent_map *map = allocated();
        assert_int_equal(zero_search(map, read_disk, &disk, &err), -EIO);
        assert_string_equal(err.message, "injected");
        extent_map_free(map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_data_costs_a_sample),    cmocka_unit_test(all_zero),
        cmocka_unit_test(a_piece_of_zeroes),          cmocka_unit_test(zeroes_anywhere),
        cmocka_unit_test(pieces_of_all_lengths),      cmocka_unit_test(mostly_zero),
        cmocka_unit_test(zeroes_in_a_pattern),        cmocka_unit_test(the_same_again),
        cmocka_unit_test(a_disk_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
