/* SPDX-License-Identifier: Apache-2.0 */
/* driver/image/extent_map.c: the map of a disk's data, at the borders of its words and of the disk.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "driver/image/extent_map.h"

#define CLUSTER EXTENT_CLUSTER_BYTES

static struct extent_map *new_map(uint64_t bytes)
{
    struct extent_map *map = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(extent_map_new(bytes, &map, &err), 0);
    return map;
}

static void an_empty_disk_has_no_clusters(void **state)
{
    (void)state;
    struct extent_map *map = new_map(0);
    extent_map_add(map, 0, 1);
    assert_int_equal(extent_map_clusters(map), 0);
    assert_int_equal(extent_map_data_clusters(map), 0);
    assert_int_equal(extent_map_next(map, 0, true), 0);
    assert_int_equal(extent_map_next(map, 0, false), 0);
    extent_map_free(map);
    extent_map_free(NULL);
}

static void too_large_a_disk_is_refused(void **state)
{
    (void)state;
    struct extent_map *map = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(extent_map_new(EXTENT_MAP_MAX_BYTES + 1, &map, &err), -EFBIG);
    assert_null(map);
    map = new_map(EXTENT_MAP_MAX_BYTES);
    assert_int_equal(extent_map_next(map, 0, true), extent_map_clusters(map));
    extent_map_free(map);
}

/* A byte makes its cluster one with data. */
static void bytes_count_as_clusters(void **state)
{
    (void)state;
    struct extent_map *map = new_map(10 * CLUSTER + 1);
    assert_int_equal(extent_map_clusters(map), 11);
    extent_map_add(map, CLUSTER - 1, 2);
    extent_map_add(map, 5 * CLUSTER, 0);
    extent_map_add(map, 7 * CLUSTER, CLUSTER);
    extent_map_add(map, 10 * CLUSTER, UINT64_MAX);
    extent_map_add(map, 11 * CLUSTER, 1); /* beyond the end */
    static const bool data[] = {true,  true, false, false, false, false,
                                false, true, false, false, true};
    for (uint64_t i = 0; i < 11; i++)
        assert_int_equal(extent_map_has_data(map, i), data[i]);
    assert_int_equal(extent_map_data_clusters(map), 4);
    extent_map_free(map);
}

/* The same as a plain array says, whatever is added. */
static void agrees_with_an_array(void **state)
{
    (void)state;
    enum { CLUSTERS = 300 };
    bool expected[CLUSTERS] = {false};
    struct extent_map *map = new_map(CLUSTERS * CLUSTER);
    uint32_t random = 12345;
    for (unsigned round = 0; round < 100; round++) {
        random = random * 1664525 + 1013904223;
        uint64_t first = random >> 16 & 255, count = random >> 8 & 3;
        if (first + count > CLUSTERS)
            count = CLUSTERS - first;
        extent_map_add(map, first * CLUSTER, count * CLUSTER);
        for (uint64_t i = first; i < first + count; i++)
            expected[i] = true;
        uint64_t next[2] = {CLUSTERS, CLUSTERS}, total = 0;
        for (uint64_t i = CLUSTERS; i-- > 0;) {
            next[expected[i]] = i;
            total += expected[i];
            assert_int_equal(extent_map_next(map, i, true), next[true]);
            assert_int_equal(extent_map_next(map, i, false), next[false]);
        }
        assert_int_equal(extent_map_data_clusters(map), total);
    }
    extent_map_free(map);
}

static void maps_of_one_disk(void **state)
{
    (void)state;
    struct extent_map *map = new_map(200 * CLUSTER), *other = new_map(200 * CLUSTER);
    extent_map_add(map, 10 * CLUSTER, 60 * CLUSTER);
    extent_map_add(other, 50 * CLUSTER, 100 * CLUSTER);
    extent_map_unite(map, other);
    assert_int_equal(extent_map_data_clusters(map), 140);
    extent_map_subtract(map, other);
    assert_int_equal(extent_map_data_clusters(map), 40);
    assert_int_equal(extent_map_next(map, 0, true), 10);
    assert_int_equal(extent_map_next(map, 10, false), 50);
    assert_int_equal(extent_map_data_clusters(other), 100);
    extent_map_free(map);
    extent_map_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_disk_has_no_clusters),
        cmocka_unit_test(too_large_a_disk_is_refused),
        cmocka_unit_test(bytes_count_as_clusters),
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(maps_of_one_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
