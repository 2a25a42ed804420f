/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything in a qcow2 image is, decided before its first byte is sent: header, refcounts,
 * L1 and L2 tables come first and can be made from the map alone, the data clusters follow in the
 * order of the disk. So the size is known in advance and nothing is ever gone back to.
 *
 * Version 3, clusters of 64 KiB, refcounts of 16 bits, with a backing file where one is named
 * (docs/interop/qcow2.txt of QEMU). Pure. Memory is used for the map alone: metadata is made as it
 * is asked for.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "driver/image/extent_map.h"

/* What clusters that are not in the image are read from. */
struct qcow2_backing {
    const char *path; /* as the header is to name it: 1 to QCOW2_BACKING_MAX bytes */
    const char *format;
    const char *mark; /* of that image (qcow2_mark.h): up to QCOW2_MARK_MAX bytes. NULL: none */
};

#define QCOW2_BACKING_MAX 1023 /* qcow2.txt: the longest a reader takes */
#define QCOW2_MARK_MAX 79
/* Header extensions of ours, which QEMU leaves alone. */
#define QCOW2_MARK_EXTENSION 0x4e736d6b
#define QCOW2_BASE_MARK_EXTENSION 0x4e736d62

struct qcow2_layout {
    const struct extent_map *map; /* borrowed; constant from here on */
    uint64_t data_clusters;
    /* In clusters from the image's start: where each part begins. The header is in the first. */
    uint64_t refcount_table, refcount_blocks, l1_table, l2_tables, data;
    uint64_t clusters; /* of the whole image */
    uint64_t l1_entries;
    struct qcow2_backing backing; /* borrowed; to be set before the first byte. No path: none */
    const char *mark;             /* borrowed; which image it is (qcow2_mark.h). NULL: none */
};

/* Decides it. `map` is borrowed for the life of the layout and constant from here on. */
void qcow2_layout_plan(const struct extent_map *map, struct qcow2_layout *ret_layout);

/* The size of the whole image, and of what comes before the data. */
uint64_t qcow2_layout_image_bytes(const struct qcow2_layout *layout);
uint64_t qcow2_layout_metadata_bytes(const struct qcow2_layout *layout);

/* Makes the metadata in its order, one cluster after the other. */
struct qcow2_metadata {
    const struct qcow2_layout *layout; /* borrowed */
    uint64_t next;                     /* the next cluster of the image */
    uint64_t l1_index;                 /* of the next L2 table */
    uint64_t data_cluster;             /* in the image: where the next data will be */
};

/* Begins with the header. */
void qcow2_layout_begin(const struct qcow2_layout *layout, struct qcow2_metadata *ret_metadata);

/* The next cluster of metadata; not to be called when there is no more. */
void qcow2_layout_next(struct qcow2_metadata *metadata,
                       unsigned char ret_cluster[static EXTENT_CLUSTER_BYTES]);
