/* SPDX-License-Identifier: Apache-2.0 */
/* See disk_fingerprint.h. */
#include "domain/disk_fingerprint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"

#define PIECE_BYTES (1U << 20)
/* Longer than a tick of the clock that a file system takes its times from. */
#define TICK_MS 50
#define TICK_OF_SECONDS_MS 2100 /* of one that keeps whole seconds, or, as FAT, every other one */
#define TRIES 8

static int open_layer(const json_t *layer, int *ret_fd, struct stat *ret_st, struct error *err)
{
    const char *path = json_string_member(layer, "path");
    cleanup_close int fd = path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, ret_st) < 0)
        return error_errno(err, path ? errno : EBADMSG, "disk %s: cannot open %s",
                           json_string_value(json_object_get(layer, "disk")), path ? path : "it");
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* Opened, since NFS looks anew at what is opened alone. */
static int look_at_layer(const json_t *layer, json_t **ret_seen, struct error *err)
{
    struct stat st;
    cleanup_close int fd = -1;
    int r = open_layer(layer, &fd, &st, err);
    if (r < 0)
        return r;
    off_t size = S_ISREG(st.st_mode) ? st.st_size : lseek(fd, 0, SEEK_END);
    json_t *seen = json_deep_copy(layer);
    json_t *found = json_pack("{s:I}", "size_bytes", (json_int_t)size);
    if (found && S_ISREG(st.st_mode)) {
        (void)json_object_set_new(found, "inode", json_integer((json_int_t)st.st_ino));
        (void)json_object_set_new(found, "mtime_ns", json_integer(clock_ns(&st.st_mtim)));
        (void)json_object_set_new(found, "ctime_ns", json_integer(clock_ns(&st.st_ctim)));
    }
    bool is_done = seen && found && json_object_update(seen, found) == 0;
    json_decref(found);
    if (!is_done) {
        json_decref(seen);
        return error_nomem(err);
    }
    *ret_seen = seen;
    return 0;
}

int disk_fingerprint_look(const json_t *layers, json_t **ret_seen, struct error *err)
{
    json_t *all = json_array(), *seen = NULL;
    const json_t *layer;
    size_t i;
    int r = all ? 0 : error_nomem(err);
    json_array_foreach (layers, i, layer) {
        if (r == 0)
            r = look_at_layer(layer, &seen, err);
        if (r == 0 && json_array_append_new(all, seen) < 0)
            r = error_nomem(err);
    }
    if (r < 0) {
        json_decref(all);
        return r;
    }
    *ret_seen = all;
    return 0;
}

static int tick_of(const json_t *layers)
{
    const json_t *layer;
    size_t i;
    json_array_foreach (layers, i, layer) {
        json_int_t ctime_ns = json_integer_value(json_object_get(layer, "ctime_ns"));
        if (ctime_ns != 0 && ctime_ns % NS_PER_S == 0)
            return TICK_OF_SECONDS_MS;
    }
    return TICK_MS;
}

static const char *path_of_difference(const json_t *before, const json_t *after)
{
    const json_t *layer;
    size_t i;
    json_array_foreach (before, i, layer) {
        if (!json_equal(layer, json_array_get(after, i)))
            return json_string_value(json_object_get(layer, "path"));
    }
    return "";
}

/* Two looks with a tick between that see the same: the next write is of a later tick. */
static int look_until_settled(const json_t *layers, json_t **ret_seen, struct error *err)
{
    json_t *before = NULL, *after = NULL;
    int r = disk_fingerprint_look(layers, &before, err);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < TRIES; i++) {
        (void)poll(NULL, 0, tick_of(before));
        r = disk_fingerprint_look(layers, &after, err);
        if (r < 0 || json_equal(before, after))
            break;
        if (i + 1 == TRIES)
            r = error_set(err, EBUSY, EXC_INTERNAL_ERROR, "%s is being written to by somebody",
                          path_of_difference(before, after));
        json_decref(before);
        before = TAKE_PTR(after);
    }
    json_decref(after);
    if (r < 0) {
        json_decref(before);
        return r;
    }
    *ret_seen = before;
    return 0;
}

static int read_digest(const json_t *layer, const struct image_observer *observer,
                       char ret_sha256[static IMAGE_DIGEST_SIZE], struct error *err)
{
    struct stat st;
    cleanup_close int fd = -1;
    cleanup_free unsigned char *buffer = malloc(PIECE_BYTES);
    cleanup_digest EVP_MD_CTX *digest = image_digest_begin();
    const char *disk = json_string_member(layer, "disk");
    uint64_t done = 0, all = (uint64_t)json_integer_value(json_object_get(layer, "size_bytes"));
    ssize_t n = 1;
    if (!buffer || !digest)
        return error_nomem(err);
    int r = open_layer(layer, &fd, &st, err);
    while (r == 0 && (n = read(fd, buffer, PIECE_BYTES)) > 0) {
        image_digest_add(digest, buffer, (size_t)n);
        done += (uint64_t)n;
        image_file_tell(observer, IMAGE_PHASE_VERIFY, disk ? disk : "", done, all);
        r = cancel_check(err);
    }
    if (r < 0 || n < 0)
        return r < 0 ? r : error_errno(err, errno, "disk %s cannot be read", disk ? disk : "");
    image_digest_end(digest, ret_sha256);
    return 0;
}

static int add_digests(json_t *layers, const struct image_observer *observer, struct error *err)
{
    char sha256[IMAGE_DIGEST_SIZE];
    json_t *layer;
    size_t i;
    json_array_foreach (layers, i, layer) {
        int r = read_digest(layer, observer, sha256, err);
        if (r == 0 && json_object_set_new(layer, "sha256", json_string(sha256)) < 0)
            r = error_nomem(err);
        if (r < 0)
            return r;
    }
    return 0;
}

bool disk_fingerprint_differs(const json_t *then, const json_t *now, const char *name)
{
    const json_t *of_then = json_object_get(then, name), *of_now = json_object_get(now, name);
    return of_then != of_now && !json_equal(of_then, of_now); /* to jansson NULL is not NULL */
}

/* What has changed; NULL: nothing that can be seen from without. */
static const char *difference(const json_t *then, const json_t *now)
{
    if (disk_fingerprint_differs(then, now, "size_bytes"))
        return "it has another size";
    if (disk_fingerprint_differs(then, now, "inode"))
        return "another file is in its place";
    if (disk_fingerprint_differs(then, now, "mtime_ns"))
        return "it has been written to";
    if (json_is_true(json_object_get(then, "is_top")) &&
        disk_fingerprint_differs(then, now, "ctime_ns"))
        return "a guest was started with it, or its owner, mode or times were changed";
    return NULL;
}

/* What was written to while others were read: its digest would vouch for that. */
static int check_unchanged(const json_t *seen, struct error *err)
{
    json_t *now = NULL;
    const json_t *layer;
    size_t i;
    int r = disk_fingerprint_look(seen, &now, err);
    json_array_foreach (seen, i, layer) {
        const char *what = r == 0 ? difference(layer, json_array_get(now, i)) : NULL;
        if (what)
            r = error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                          "%s has changed while disks were read: %s",
                          json_string_value(json_object_get(layer, "path")), what);
    }
    json_decref(now);
    return r;
}

int disk_fingerprint_take(const json_t *layers, bool digest, const struct image_observer *observer,
                          json_t **ret_layers, struct error *err)
{
    json_t *seen = NULL;
    int r = look_until_settled(layers, &seen, err);
    if (r == 0 && digest)
        r = add_digests(seen, observer, err);
    if (r == 0 && digest)
        r = check_unchanged(seen, err);
    if (r < 0) {
        json_decref(seen);
        return r;
    }
    *ret_layers = seen;
    return 0;
}

/* A digest decides where there is one, unless the content cannot be the same. */
static int compare_layer(const json_t *then, bool digest, const struct image_observer *observer,
                         struct error *err)
{
    char sha256[IMAGE_DIGEST_SIZE];
    json_t *now = NULL;
    const char *of_then = json_string_member(then, "sha256");
    const char *disk = json_string_member(then, "disk"), *path = json_string_member(then, "path");
    int r = look_at_layer(then, &now, err);
    if (r < 0)
        return r;
    const char *what = difference(then, now);
    if (of_then && (what || digest || json_is_true(json_object_get(then, "is_device"))) &&
        !disk_fingerprint_differs(then, now, "size_bytes")) {
        r = read_digest(now, observer, sha256, err);
        what = r == 0 && strcmp(sha256, of_then) == 0 ? NULL : "its content is another";
    }
    json_decref(now);
    if (r < 0 || !what)
        return r;
    return error_set(err, ESTALE, EXC_INTERNAL_ERROR, "disk %s has changed since: %s: %s",
                     disk ? disk : "?", path ? path : "?", what);
}

static int need_digest(const json_t *layer, bool digest, struct error *err)
{
    bool is_device = json_is_true(json_object_get(layer, "is_device"));
    const char *disk = json_string_member(layer, "disk");
    if (json_string_member(layer, "sha256") || (!digest && !is_device))
        return 0;
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "disk %s was saved without its SHA-256: nobody can tell whether its content "
                     "has changed",
                     disk ? disk : "?");
}

int disk_fingerprint_compare(const json_t *layers, bool digest,
                             const struct image_observer *observer, struct error *err)
{
    struct error all = ERROR_INIT;
    const json_t *layer;
    size_t i;
    json_array_foreach (layers, i, layer) {
        struct error failure = ERROR_INIT;
        int r = need_digest(layer, digest, &failure);
        if (r == 0)
            r = compare_layer(layer, digest, observer, &failure);
        if (r < 0)
            error_join(&all, &failure);
        if (r == -ECANCELED)
            break;
    }
    if (all.errnum != 0)
        *err = all;
    return -all.errnum;
}
