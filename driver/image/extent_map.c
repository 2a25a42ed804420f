/* SPDX-License-Identifier: Apache-2.0 */
/* See extent_map.h. */
#include "driver/image/extent_map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/cleanup.h"

#define WORD_BITS 64

struct extent_map {
    uint64_t disk_bytes, clusters;
    uint64_t *words;
};

static uint64_t word_count(uint64_t clusters)
{
    return (clusters + WORD_BITS - 1) / WORD_BITS;
}

int extent_map_new(uint64_t disk_bytes, struct extent_map **ret_map, struct error *err)
{
    if (disk_bytes > EXTENT_MAP_MAX_BYTES)
        return error_set(err, EFBIG, EXC_INTERNAL_ERROR,
                         "a disk of %" PRIu64 " bytes is too large to be mapped", disk_bytes);
    struct extent_map *map = calloc(1, sizeof(*map));
    if (!map)
        return error_nomem(err);
    map->disk_bytes = disk_bytes;
    map->clusters = (disk_bytes + EXTENT_CLUSTER_BYTES - 1) >> EXTENT_CLUSTER_BITS;
    map->words = calloc(word_count(map->clusters) + 1, sizeof(*map->words));
    if (!map->words) {
        free(map);
        return error_nomem(err);
    }
    *ret_map = map;
    return 0;
}

void extent_map_free(struct extent_map *map)
{
    if (map)
        free(map->words);
    free(map);
}

/* The bits of a word that are in [from, to), counted from the word's own first cluster on. */
static uint64_t word_mask(uint64_t word, uint64_t from, uint64_t to)
{
    uint64_t begin = word * WORD_BITS, bits = UINT64_MAX;
    if (from > begin)
        bits &= UINT64_MAX << (from - begin);
    if (to < begin + WORD_BITS)
        bits &= ~(UINT64_MAX << (to - begin));
    return bits;
}

void extent_map_add(struct extent_map *map, uint64_t offset, uint64_t length)
{
    if (offset >= map->disk_bytes || length == 0)
        return;
    if (length > map->disk_bytes - offset)
        length = map->disk_bytes - offset;
    uint64_t from = offset >> EXTENT_CLUSTER_BITS;
    uint64_t to = ((offset + length - 1) >> EXTENT_CLUSTER_BITS) + 1;
    for (uint64_t word = from / WORD_BITS; word <= (to - 1) / WORD_BITS; word++)
        map->words[word] |= word_mask(word, from, to);
}

void extent_map_unite(struct extent_map *map, const struct extent_map *other)
{
    for (uint64_t word = 0; word < word_count(map->clusters); word++)
        map->words[word] |= other->words[word];
}

void extent_map_subtract(struct extent_map *map, const struct extent_map *other)
{
    for (uint64_t word = 0; word < word_count(map->clusters); word++)
        map->words[word] &= ~other->words[word];
}

uint64_t extent_map_disk_bytes(const struct extent_map *map)
{
    return map->disk_bytes;
}

uint64_t extent_map_clusters(const struct extent_map *map)
{
    return map->clusters;
}

uint64_t extent_map_data_clusters(const struct extent_map *map)
{
    uint64_t count = 0;
    for (uint64_t word = 0; word < word_count(map->clusters); word++)
        count += (uint64_t)__builtin_popcountll(map->words[word]);
    return count;
}

bool extent_map_has_data(const struct extent_map *map, uint64_t cluster)
{
    return map->words[cluster / WORD_BITS] >> (cluster % WORD_BITS) & 1;
}

uint64_t extent_map_next(const struct extent_map *map, uint64_t from, bool data)
{
    if (from >= map->clusters)
        return map->clusters;
    uint64_t flip = data ? 0 : UINT64_MAX;
    uint64_t word = from / WORD_BITS;
    uint64_t bits = (map->words[word] ^ flip) & word_mask(word, from, UINT64_MAX - WORD_BITS);
    while (bits == 0 && ++word < word_count(map->clusters))
        bits = map->words[word] ^ flip;
    uint64_t found = word * WORD_BITS + (bits ? (uint64_t)__builtin_ctzll(bits) : 0);
    return bits && found < map->clusters ? found : map->clusters;
}
