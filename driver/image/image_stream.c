/* SPDX-License-Identifier: Apache-2.0 */
/* See image_stream.h. */
#include "driver/image/image_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "driver/driver.h"
#include "driver/image/nbd_launch.h"
#include "driver/image/nbd_reader.h"
#include "driver/image/qemu_img.h"
#include "driver/image/zero_scan.h"
#include "driver/image/zero_search.h"

struct image_stream {
    struct image_source base;
    struct nbd_client *client;
    struct extent_map *map;
    struct nbd_reader *reader;
    uint64_t position;                        /* in the image */
    bool is_qcow2;                            /* else raw */
    char backing_path[QCOW2_BACKING_MAX + 1]; /* "" = it has none */
    char backing_format[DRIVER_FORMAT_MAX];
    char backing_mark[QCOW2_MARK_MAX + 1]; /* "" = not known */
    char mark[QCOW2_MARK_MAX + 1];         /* "" = it has none */
    struct qcow2_layout layout;
    struct qcow2_metadata metadata;
    unsigned char cluster[EXTENT_CLUSTER_BYTES]; /* of metadata, which is partly taken */
};

bool image_stream_can_make(const char *format, bool compress)
{
    return strcmp(format, "raw") == 0 || (strcmp(format, "qcow2") == 0 && !compress);
}

static size_t at_most(size_t length, uint64_t limit)
{
    return length < limit ? length : (size_t)limit;
}

static size_t read_metadata(struct image_stream *stream, void *buffer, size_t length)
{
    size_t taken = stream->position % EXTENT_CLUSTER_BYTES;
    if (taken == 0)
        qcow2_layout_next(&stream->metadata, stream->cluster);
    length = at_most(length, EXTENT_CLUSTER_BYTES - taken);
    memcpy(buffer, stream->cluster + taken, length);
    return length;
}

/* How much is zero from here on, in a raw image: up to the next cluster with data. */
static uint64_t zeroes_ahead(const struct image_stream *stream)
{
    uint64_t cluster = stream->position >> EXTENT_CLUSTER_BITS;
    if (stream->is_qcow2 || extent_map_has_data(stream->map, cluster))
        return 0;
    return (extent_map_next(stream->map, cluster, true) << EXTENT_CLUSTER_BITS) - stream->position;
}

/* The last cluster of a qcow2 image is whole, but the disk may end in the middle of it. */
static uint64_t padding_ahead(const struct image_stream *stream)
{
    uint64_t left = stream->base.size_bytes - stream->position;
    return stream->is_qcow2 && left < EXTENT_CLUSTER_BYTES ? left : 0;
}

static ssize_t read_data(struct image_stream *stream, void *buffer, size_t length,
                         struct error *err)
{
    uint64_t zeroes = zeroes_ahead(stream);
    length = at_most(length, stream->base.size_bytes - stream->position);
    if (zeroes == 0) {
        ssize_t n = nbd_reader_read(stream->reader, buffer, length, err);
        if (n != 0)
            return n;
        zeroes = padding_ahead(stream);
    }
    if (zeroes == 0)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "the disk has less data than its map says");
    length = at_most(length, zeroes);
    memset(buffer, 0, length);
    return (ssize_t)length;
}

static ssize_t read_piece(struct image_stream *stream, void *buffer, size_t length,
                          struct error *err)
{
    bool in_metadata =
        stream->is_qcow2 && stream->position < qcow2_layout_metadata_bytes(&stream->layout);
    return in_metadata ? (ssize_t)read_metadata(stream, buffer, length)
                       : read_data(stream, buffer, length, err);
}

static ssize_t stream_read(struct image_source *source, void *buffer, size_t length,
                           struct error *err)
{
    struct image_stream *stream = (struct image_stream *)source;
    size_t done = 0;
    while (done < length && stream->position < source->size_bytes) {
        ssize_t n = read_piece(stream, (unsigned char *)buffer + done, length - done, err);
        if (n < 0)
            return n;
        stream->position += (size_t)n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* From its first byte on, also anew: an upload that failed is repeated. */
static int stream_rewind(struct image_source *source, struct error *err)
{
    struct image_stream *stream = (struct image_stream *)source;
    stream->position = 0;
    qcow2_layout_begin(&stream->layout, &stream->metadata);
    return nbd_reader_start(stream->reader, err);
}

static void stream_close(struct image_source *source)
{
    struct image_stream *stream = (struct image_stream *)source;
    nbd_reader_free(stream->reader);
    extent_map_free(stream->map);
    nbd_client_free(stream->client);
    free(stream);
}

struct scan {
    struct nbd_client *client;
    struct throttle *throttle;
};

static int scan_disk(void *arg, const struct extent_map *chosen, struct extent_map *found,
                     struct error *err)
{
    const struct scan *scan = arg;
    return zero_scan(scan->client, chosen, scan->throttle, found, err);
}

/* Allocated clusters may hold nothing but zeroes: a qcow2 image need not have those. */
static int find_zeroes(const struct image_stream *stream, uint64_t bytes_per_s, struct error *err)
{
    struct scan scan = {.client = stream->client};
    int r = throttle_new(bytes_per_s, &scan.throttle, err);
    if (r < 0)
        return r;
    r = zero_search(stream->map, scan_disk, &scan, err);
    throttle_free(scan.throttle);
    return r;
}

static const char *mark_or_none(const char *mark)
{
    return mark[0] != '\0' ? mark : NULL;
}

static int stream_prepare(struct image_stream *stream, uint64_t bytes_per_s, struct error *err)
{
    int r = nbd_client_map(stream->client, &stream->map, err);
    if (r < 0)
        return r;
    bool is_layer = stream->backing_path[0] != '\0'; /* whose zeroes hide what is below */
    if (stream->is_qcow2 && !is_layer && find_zeroes(stream, bytes_per_s, err) < 0)
        return -err->errnum;
    r = nbd_reader_new(stream->client, stream->map, &stream->reader, err);
    if (r < 0)
        return r;
    qcow2_layout_plan(stream->map, &stream->layout);
    if (is_layer)
        stream->layout.backing = (struct qcow2_backing){
            stream->backing_path, stream->backing_format, mark_or_none(stream->backing_mark)};
    stream->layout.mark = mark_or_none(stream->mark);
    stream->base.size_bytes = stream->is_qcow2 ? qcow2_layout_image_bytes(&stream->layout)
                                               : extent_map_disk_bytes(stream->map);
    log_debug("image stream: %s of %" PRIu64 " bytes, %" PRIu64 " of %" PRIu64
              " clusters of the disk have data",
              stream->is_qcow2 ? "qcow2" : "raw", stream->base.size_bytes,
              stream->layout.data_clusters, extent_map_clusters(stream->map));
    return stream_rewind(&stream->base, err);
}

static struct image_stream *stream_new(struct nbd_client *client, bool is_qcow2)
{
    static const struct image_source_ops ops = {
        .read = stream_read, .rewind = stream_rewind, .close = stream_close};
    struct image_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return NULL;
    stream->base.ops = &ops;
    stream->client = client;
    stream->is_qcow2 = is_qcow2;
    return stream;
}

/* Gives the client back on failure. */
static int stream_begin(struct image_stream *stream, uint64_t bytes_per_s,
                        struct image_source **ret_source, struct error *err)
{
    int r = stream_prepare(stream, bytes_per_s, err);
    if (r < 0) {
        stream->client = NULL;
        stream_close(&stream->base);
        return r;
    }
    *ret_source = &stream->base;
    return 0;
}

int image_stream_open(struct nbd_client *client, const char *format, uint64_t bytes_per_s,
                      struct image_source **ret_source, struct error *err)
{
    struct image_stream *stream = stream_new(client, strcmp(format, "qcow2") == 0);
    return stream ? stream_begin(stream, bytes_per_s, ret_source, err) : error_nomem(err);
}

/* Cuts nothing off. */
static bool copy_name(char *to, size_t size, const char *name)
{
    int n = snprintf(to, size, "%s", name ? name : "");
    return n >= 0 && (size_t)n < size;
}

int image_stream_open_marked(struct nbd_client *client, const struct qcow2_backing *backing,
                             const char *mark, struct image_source **ret_source, struct error *err)
{
    const struct qcow2_backing none = {0}, *base = backing ? backing : &none;
    struct image_stream *stream = stream_new(client, true);
    if (!stream)
        return error_nomem(err);
    if (copy_name(stream->backing_path, sizeof(stream->backing_path), base->path) &&
        copy_name(stream->backing_format, sizeof(stream->backing_format), base->format) &&
        copy_name(stream->backing_mark, sizeof(stream->backing_mark), base->mark) &&
        copy_name(stream->mark, sizeof(stream->mark), mark))
        return stream_begin(stream, 0, ret_source, err);
    free(stream);
    return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s: no header takes so long a name",
                     base->path ? base->path : mark);
}

/* tmpfs and some network file systems do not take O_DIRECT. */
static bool takes_direct_io(const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    return fd >= 0;
}

/*
 * A name by which QEMU opens a file or device without its lock (force-share): the lock would keep
 * the guest from being started. For other names, RBD's, there is no lock.
 */
static int name_for_server(const char *path, char *ret_name, size_t size, struct error *err)
{
    static const char prefix[] = "json:";
    if (path[0] != '/') {
        (void)snprintf(ret_name, size, "%s", path);
        return 0;
    }
    json_t *options = json_pack("{s:b, s:s}", "force-share", true, "file.filename", path);
    size_t room = size - sizeof(prefix);
    memcpy(ret_name, prefix, sizeof(prefix));
    size_t length = json_dumpb(options, ret_name + strlen(prefix), room, JSON_COMPACT);
    json_decref(options);
    if (length == 0 || length > room)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s is no name for QEMU", path);
    ret_name[strlen(prefix) + length] = '\0';
    return 0;
}

static int launch_server(const struct image_stream_disk *disk, bool direct_io,
                         struct nbd_client **ret_client, struct error *err)
{
    char name[DRIVER_PATH_MAX + 256];
    int r = name_for_server(disk->path, name, sizeof(name), err);
    if (r < 0)
        return r;
    const char *const argv[] = {
        "qemu-nbd", "--read-only", "--cache", direct_io ? "none" : "writeback",
        "--format", disk->format,  name,      NULL};
    return nbd_launch(argv, qemu_img_sandbox(disk->path), disk->stall_timeout_s, ret_client, err);
}

/* With O_DIRECT where the file takes it: the host's page cache would take twice the CPU. */
static int show_disk(const struct image_stream_disk *disk, struct nbd_client **ret_client,
                     struct error *err)
{
    struct error failure = ERROR_INIT;
    bool direct_io = takes_direct_io(disk->path);
    int r = launch_server(disk, direct_io, ret_client, &failure);
    /* The server has ended: the file takes O_DIRECT, its backing file may not. */
    if (direct_io && r == -EIO) {
        log_debug("image stream: %s is read through the page cache, O_DIRECT fails: %s", disk->path,
                  failure.message);
        failure = (struct error)ERROR_INIT;
        r = launch_server(disk, false, ret_client, &failure);
    }
    if (r < 0)
        *err = failure;
    return r;
}

int image_stream_of_disk(const struct image_stream_disk *disk, const char *format,
                         struct image_source **ret_source, struct error *err)
{
    struct nbd_client *client = NULL;
    int r = show_disk(disk, &client, err);
    if (r < 0)
        return r;
    r = image_stream_open(client, format, disk->bytes_per_s, ret_source, err);
    if (r < 0)
        nbd_client_free(client);
    return r;
}
