/* SPDX-License-Identifier: Apache-2.0 */
/* See qcow2_layout.h. */
#include "driver/image/qcow2_layout.h"

#include <endian.h>
#include <string.h>

#define MAGIC 0x514649fb /* "QFI\xfb" */
#define VERSION_3 3
#define REFCOUNT_ORDER 4 /* 2^4 bits */
#define HEADER_BYTES 104
#define EXTENSION_BACKING_FORMAT 0xe2792aca
#define EXTENSION_HEAD_BYTES 8
#define COPIED (UINT64_C(1) << 63) /* refcount is exactly one */
#define ENTRIES_PER_TABLE (EXTENT_CLUSTER_BYTES / sizeof(uint64_t))
#define ENTRIES_PER_REFCOUNT_BLOCK (EXTENT_CLUSTER_BYTES / sizeof(uint16_t))

static uint64_t divide_up(uint64_t number, uint64_t by)
{
    return (number + by - 1) / by;
}

static uint64_t table_begin(uint64_t l1_index)
{
    return l1_index * ENTRIES_PER_TABLE;
}

/* The index in the L1 table of the first L2 table from `l1_index` on that has any entry. */
static uint64_t next_l2_table(const struct qcow2_layout *layout, uint64_t l1_index)
{
    uint64_t cluster = extent_map_next(layout->map, table_begin(l1_index), true);
    return cluster < extent_map_clusters(layout->map) ? cluster / ENTRIES_PER_TABLE
                                                      : layout->l1_entries;
}

static uint64_t count_l2_tables(const struct qcow2_layout *layout, uint64_t l1_entries)
{
    uint64_t count = 0;
    for (uint64_t i = next_l2_table(layout, 0); i < l1_entries; i = next_l2_table(layout, i + 1))
        count++;
    return count;
}

void qcow2_layout_plan(const struct extent_map *map, struct qcow2_layout *ret_layout)
{
    struct qcow2_layout layout = {.map = map, .data_clusters = extent_map_data_clusters(map)};
    layout.l1_entries = divide_up(extent_map_clusters(map), ENTRIES_PER_TABLE);
    uint64_t l1_clusters = divide_up(layout.l1_entries, ENTRIES_PER_TABLE);
    uint64_t l2_clusters = count_l2_tables(&layout, layout.l1_entries);
    /* Refcounts count themselves: more of them until they suffice. */
    uint64_t blocks = 1, tables = 1;
    for (;;) {
        layout.clusters = 1 + tables + blocks + l1_clusters + l2_clusters + layout.data_clusters;
        uint64_t need = divide_up(layout.clusters, ENTRIES_PER_REFCOUNT_BLOCK);
        if (need <= blocks && divide_up(blocks, ENTRIES_PER_TABLE) <= tables)
            break;
        blocks = need > blocks ? need : blocks;
        tables = divide_up(blocks, ENTRIES_PER_TABLE);
    }
    layout.refcount_table = 1;
    layout.refcount_blocks = layout.refcount_table + tables;
    layout.l1_table = layout.refcount_blocks + blocks;
    layout.l2_tables = layout.l1_table + l1_clusters;
    layout.data = layout.l2_tables + l2_clusters;
    *ret_layout = layout;
}

uint64_t qcow2_layout_image_bytes(const struct qcow2_layout *layout)
{
    return layout->clusters << EXTENT_CLUSTER_BITS;
}

uint64_t qcow2_layout_metadata_bytes(const struct qcow2_layout *layout)
{
    return layout->data << EXTENT_CLUSTER_BITS;
}

static void put_16(unsigned char *at, uint64_t value)
{
    const uint16_t big = htobe16((uint16_t)value);
    memcpy(at, &big, sizeof(big));
}

static void put_32(unsigned char *at, uint64_t value)
{
    const uint32_t big = htobe32((uint32_t)value);
    memcpy(at, &big, sizeof(big));
}

static void put_64(unsigned char *at, uint64_t value)
{
    const uint64_t big = htobe64(value);
    memcpy(at, &big, sizeof(big));
}

/* Without its end: its length is told elsewhere. */
static void put_text(unsigned char *at, const void *text, size_t length)
{
    memcpy(at, text, length);
}

/* Returns where the next one begins. */
static size_t put_extension(unsigned char *cluster, size_t at, uint32_t type, const char *text)
{
    size_t length = strlen(text);
    put_32(cluster + at, type);
    put_32(cluster + at + 4, length);
    put_text(cluster + at + EXTENSION_HEAD_BYTES, text, length);
    return at + EXTENSION_HEAD_BYTES + (size_t)divide_up(length, 8) * 8;
}

/* Behind the end of extensions, which is all zero, comes the path of the backing file. */
static void put_extensions(const struct qcow2_layout *layout, unsigned char *cluster)
{
    size_t at = HEADER_BYTES;
    const char *path = layout->backing.path;
    if (path)
        at = put_extension(cluster, at, EXTENSION_BACKING_FORMAT, layout->backing.format);
    if (layout->mark)
        at = put_extension(cluster, at, QCOW2_MARK_EXTENSION, layout->mark);
    if (path && layout->backing.mark)
        at = put_extension(cluster, at, QCOW2_BASE_MARK_EXTENSION, layout->backing.mark);
    at += EXTENSION_HEAD_BYTES;
    if (!path)
        return;
    put_text(cluster + at, path, strlen(path));
    put_64(cluster + 8, at);
    put_32(cluster + 16, strlen(path));
}

static void make_header(const struct qcow2_layout *layout, unsigned char *cluster)
{
    put_32(cluster, MAGIC);
    put_32(cluster + 4, VERSION_3);
    put_32(cluster + 20, EXTENT_CLUSTER_BITS);
    put_64(cluster + 24, extent_map_disk_bytes(layout->map));
    put_32(cluster + 36, layout->l1_entries);
    put_64(cluster + 40, layout->l1_table << EXTENT_CLUSTER_BITS);
    put_64(cluster + 48, layout->refcount_table << EXTENT_CLUSTER_BITS);
    put_32(cluster + 56, layout->refcount_blocks - layout->refcount_table);
    put_32(cluster + 96, REFCOUNT_ORDER);
    put_32(cluster + 100, HEADER_BYTES);
    put_extensions(layout, cluster);
}

/* Pointers to `count` clusters that follow one another. */
static void make_refcount_table(const struct qcow2_layout *layout, uint64_t index,
                                unsigned char *cluster)
{
    uint64_t blocks = layout->l1_table - layout->refcount_blocks;
    for (uint64_t i = 0; i < ENTRIES_PER_TABLE; i++) {
        uint64_t block = index * ENTRIES_PER_TABLE + i;
        if (block < blocks)
            put_64(cluster + i * sizeof(uint64_t), (layout->refcount_blocks + block)
                                                       << EXTENT_CLUSTER_BITS);
    }
}

static void make_refcount_block(const struct qcow2_layout *layout, uint64_t index,
                                unsigned char *cluster)
{
    uint64_t first = index * ENTRIES_PER_REFCOUNT_BLOCK;
    for (uint64_t i = 0; i < ENTRIES_PER_REFCOUNT_BLOCK && first + i < layout->clusters; i++)
        put_16(cluster + i * sizeof(uint16_t), 1);
}

/* Which L2 table an entry points to is a matter of how many there are before it. */
static void make_l1_table(const struct qcow2_layout *layout, uint64_t index, unsigned char *cluster)
{
    uint64_t first = index * ENTRIES_PER_TABLE, end = first + ENTRIES_PER_TABLE;
    uint64_t table = layout->l2_tables + count_l2_tables(layout, first);
    if (end > layout->l1_entries)
        end = layout->l1_entries;
    for (uint64_t i = next_l2_table(layout, first); i < end; i = next_l2_table(layout, i + 1))
        put_64(cluster + i % ENTRIES_PER_TABLE * sizeof(uint64_t),
               table++ << EXTENT_CLUSTER_BITS | COPIED);
}

static void make_l2_table(struct qcow2_metadata *metadata, unsigned char *cluster)
{
    const struct qcow2_layout *layout = metadata->layout;
    const struct extent_map *map = layout->map;
    uint64_t index = next_l2_table(layout, metadata->l1_index);
    uint64_t end = table_begin(index + 1);
    if (end > extent_map_clusters(map))
        end = extent_map_clusters(map);
    for (uint64_t i = extent_map_next(map, table_begin(index), true); i < end;
         i = extent_map_next(map, i + 1, true))
        put_64(cluster + i % ENTRIES_PER_TABLE * sizeof(uint64_t),
               metadata->data_cluster++ << EXTENT_CLUSTER_BITS | COPIED);
    metadata->l1_index = index + 1;
}

void qcow2_layout_begin(const struct qcow2_layout *layout, struct qcow2_metadata *ret_metadata)
{
    *ret_metadata = (struct qcow2_metadata){.layout = layout, .data_cluster = layout->data};
}

void qcow2_layout_next(struct qcow2_metadata *metadata,
                       unsigned char ret_cluster[static EXTENT_CLUSTER_BYTES])
{
    const struct qcow2_layout *layout = metadata->layout;
    uint64_t at = metadata->next++;
    memset(ret_cluster, 0, EXTENT_CLUSTER_BYTES);
    if (at < layout->refcount_table)
        make_header(layout, ret_cluster);
    else if (at < layout->refcount_blocks)
        make_refcount_table(layout, at - layout->refcount_table, ret_cluster);
    else if (at < layout->l1_table)
        make_refcount_block(layout, at - layout->refcount_blocks, ret_cluster);
    else if (at < layout->l2_tables)
        make_l1_table(layout, at - layout->l1_table, ret_cluster);
    else
        make_l2_table(metadata, ret_cluster);
}
