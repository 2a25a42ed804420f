/* SPDX-License-Identifier: Apache-2.0 */
/* An image as the driver makes it, without data. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "driver/image/qcow2_layout.h"

/* `mark` NULL: as another program makes it. */
static inline void marked_image_make(const char *path, uint64_t bytes, const char *mark,
                                     struct qcow2_backing backing)
{
    static unsigned char cluster[EXTENT_CLUSTER_BYTES];
    struct error failure = ERROR_INIT;
    struct extent_map *map = NULL;
    struct qcow2_layout layout;
    struct qcow2_metadata metadata;
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(extent_map_new(bytes, &map, &failure), 0);
    qcow2_layout_plan(map, &layout);
    layout.mark = mark;
    layout.backing = backing;
    qcow2_layout_begin(&layout, &metadata);
    for (uint64_t i = 0; i < layout.data; i++) {
        qcow2_layout_next(&metadata, cluster);
        assert_int_equal(fwrite(cluster, 1, sizeof(cluster), file), sizeof(cluster));
    }
    assert_int_equal(fclose(file), 0);
    extent_map_free(map);
}
