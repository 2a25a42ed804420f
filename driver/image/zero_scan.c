/* SPDX-License-Identifier: Apache-2.0 */
/* See zero_scan.h. */
#include "driver/image/zero_scan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "driver/image/nbd_reader.h"

static bool is_zero(const unsigned char *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* Reads a cluster that comes in whatever pieces. */
static int read_cluster(struct nbd_reader *reader, unsigned char *cluster, size_t length,
                        struct error *err)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = nbd_reader_read(reader, cluster + done, length - done, err);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return error_set(err, EIO, EXC_INTERNAL_ERROR,
                             "the disk has less data than its map says");
        done += (size_t)n;
    }
    return 0;
}

static int scan_chosen(struct nbd_reader *reader, const struct extent_map *chosen,
                       struct throttle *throttle, struct extent_map *found, struct error *err)
{
    cleanup_free unsigned char *cluster = malloc(EXTENT_CLUSTER_BYTES);
    uint64_t disk_bytes = extent_map_disk_bytes(chosen), clusters = extent_map_clusters(chosen);
    int r = cluster ? nbd_reader_start(reader, err) : error_nomem(err);
    for (uint64_t i = extent_map_next(chosen, 0, true); r == 0 && i < clusters;
         i = extent_map_next(chosen, i + 1, true)) {
        uint64_t begin = i << EXTENT_CLUSTER_BITS;
        size_t length = disk_bytes - begin < EXTENT_CLUSTER_BYTES ? (size_t)(disk_bytes - begin)
                                                                  : EXTENT_CLUSTER_BYTES;
        r = throttle_take(throttle, length, err);
        if (r == 0)
            r = read_cluster(reader, cluster, length, err);
        if (r == 0 && !is_zero(cluster, length))
            extent_map_add(found, begin, length);
    }
    return r;
}

int zero_scan(struct nbd_client *client, const struct extent_map *chosen, struct throttle *throttle,
              struct extent_map *found, struct error *err)
{
    struct nbd_reader *reader = NULL;
    int r = nbd_reader_new(client, chosen, &reader, err);
    if (r == 0)
        r = scan_chosen(reader, chosen, throttle, found, err);
    nbd_reader_free(reader);
    return r;
}
