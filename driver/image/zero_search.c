/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See zero_search.h. Each turn reads a sample of the clusters that are not read yet: one of every
 * `stride`, because zeroes come in long pieces. With hardly any zero cluster in the sample, the
 * rest is taken for data. Otherwise the clusters around each zero one are read, and the next turn
 * takes a sample of what is left.
 */
#include "driver/image/zero_search.h"

#include <inttypes.h>
#include <stdbool.h>

#include "common/cleanup.h"
#include "common/log.h"

#define SAMPLE_CLUSTERS 256
#define SAMPLE_GROWTH 16   /* from turn to turn, ... */
#define LEAST_STRIDE 8     /* ... up to every eighth cluster */
#define REGION_CLUSTERS 64 /* 4 MiB around a zero cluster are read */
#define DOUBT_CLUSTERS 3   /* if none of n is zero, up to 3 of n are, with 95 % certainty */
#define ALLOWED_DIVISOR 80

struct search {
    zero_search_read *read;
    void *arg;
    struct extent_map *unread, *data, *chosen; /* data: read, and not zero */
    uint64_t sample_clusters, random;
};

/* 64 bits of a linear congruential generator, of which the upper ones are good. */
static uint64_t random_below(struct search *search, uint64_t limit)
{
    search->random = search->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (search->random >> 33) % limit;
}

static uint64_t next_unread(const struct search *search, uint64_t from)
{
    return extent_map_next(search->unread, from, true);
}

static void choose_cluster(struct search *search, uint64_t cluster)
{
    extent_map_add(search->chosen, cluster << EXTENT_CLUSTER_BITS, EXTENT_CLUSTER_BYTES);
}

static void choose_none(struct search *search)
{
    extent_map_subtract(search->chosen, search->chosen);
}

/* One of each `stride` clusters that are not read. */
static void choose_sample(struct search *search, uint64_t stride)
{
    uint64_t place = 0, wanted = 0, clusters = extent_map_clusters(search->unread);
    for (uint64_t i = next_unread(search, 0); i < clusters; i = next_unread(search, i + 1)) {
        if (place == 0)
            wanted = random_below(search, stride);
        if (place == wanted)
            choose_cluster(search, i);
        place = (place + 1) % stride;
    }
}

/* What is around the zeroes of the sample, in the place of the sample. */
static int choose_surroundings(struct search *search, struct error *err)
{
    struct extent_map *zeroes = NULL;
    uint64_t clusters = extent_map_clusters(search->unread);
    int r = extent_map_new(extent_map_disk_bytes(search->unread), &zeroes, err);
    if (r < 0)
        return r;
    extent_map_unite(zeroes, search->chosen);
    extent_map_subtract(zeroes, search->data);
    choose_none(search);
    for (uint64_t zero = extent_map_next(zeroes, 0, true); zero < clusters;) {
        uint64_t begin = zero - zero % REGION_CLUSTERS, end = begin + REGION_CLUSTERS;
        for (uint64_t i = next_unread(search, begin); i < end && i < clusters;
             i = next_unread(search, i + 1))
            choose_cluster(search, i);
        zero = extent_map_next(zeroes, end, true);
    }
    extent_map_free(zeroes);
    return 0;
}

/* Reads what is chosen. */
static int read_chosen(struct search *search, struct error *err)
{
    int r = search->read(search->arg, search->chosen, search->data, err);
    if (r == 0)
        extent_map_subtract(search->unread, search->chosen);
    return r;
}

/* After a sample: whether the rest may be taken for data, with too few zeroes in it to matter. */
static bool is_rest_data(const struct search *search, uint64_t zeroes, uint64_t sample)
{
    uint64_t rest = extent_map_data_clusters(search->unread);
    uint64_t data = extent_map_data_clusters(search->data) + rest;
    return (zeroes + DOUBT_CLUSTERS) * rest / sample <= data / ALLOWED_DIVISOR;
}

static uint64_t next_stride(struct search *search)
{
    uint64_t unread = extent_map_data_clusters(search->unread);
    uint64_t stride = unread / search->sample_clusters, most = unread / SAMPLE_CLUSTERS;
    search->sample_clusters *= SAMPLE_GROWTH;
    if (stride < LEAST_STRIDE)
        stride = most < LEAST_STRIDE ? most : LEAST_STRIDE;
    return stride > 0 ? stride : 1;
}

/* 1 when nothing is left to be looked for. */
static int take_turn(struct search *search, struct error *err)
{
    uint64_t data = extent_map_data_clusters(search->data);
    choose_none(search);
    choose_sample(search, next_stride(search));
    uint64_t sample = extent_map_data_clusters(search->chosen);
    if (sample == 0)
        return 1;
    int r = read_chosen(search, err);
    if (r < 0)
        return r;
    uint64_t zeroes = sample - (extent_map_data_clusters(search->data) - data);
    log_debug("zeroes: %" PRIu64 " of a sample of %" PRIu64 " clusters, %" PRIu64
              " are not read yet",
              zeroes, sample, extent_map_data_clusters(search->unread));
    if (is_rest_data(search, zeroes, sample))
        return 1;
    r = choose_surroundings(search, err);
    return r < 0 ? r : read_chosen(search, err);
}

int zero_search(struct extent_map *map, zero_search_read *read, void *arg, struct error *err)
{
    struct search search = {
        .read = read, .arg = arg, .unread = map, .sample_clusters = SAMPLE_CLUSTERS};
    uint64_t disk_bytes = extent_map_disk_bytes(map);
    int r = extent_map_new(disk_bytes, &search.data, err);
    if (r == 0)
        r = extent_map_new(disk_bytes, &search.chosen, err);
    while (r == 0)
        r = take_turn(&search, err);
    if (r > 0)
        extent_map_unite(map, search.data);
    extent_map_free(search.data);
    extent_map_free(search.chosen);
    return r < 0 ? r : 0;
}
