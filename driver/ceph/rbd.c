/* SPDX-License-Identifier: Apache-2.0 */
/* See rbd.h. */
#include "driver/ceph/rbd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/retry.h"

/* `r` is what the library returned. */
static int rbd_error(struct error *err, int r, const char *what, const struct rbd_name *name)
{
    (void)error_errno(err, -r, "cannot %s RBD image %s/%s", what, name->pool, name->image);
    if (r == -EPERM || r == -EACCES)
        return error_set(err, -r, EXC_FORBIDDEN, "%s", err->message);
    if (r == -ENOENT)
        return error_set(err, -r, EXC_DISK_NOT_FOUND, "%s", err->message);
    return r;
}

static int open_pool(const struct rados_client *client, const struct rbd_name *name,
                     rados_ioctx_t *ret_ioctx, struct error *err)
{
    int r = client->api->rados_ioctx_create(client->cluster, name->pool, ret_ioctx);
    return r < 0 ? rbd_error(err, r, "reach the pool of", name) : 0;
}

int rbd_volume_open(struct rbd_volume *volume, const struct rados_client *client,
                    const struct rbd_name *name, struct error *err)
{
    struct rbd_volume opened = {.client = client, .name = *name};
    int r = open_pool(client, name, &opened.ioctx, err);
    if (r < 0)
        return r;
    r = client->api->rbd_open(opened.ioctx, name->image, &opened.image, NULL);
    if (r < 0) {
        client->api->rados_ioctx_destroy(opened.ioctx);
        return rbd_error(err, r, "open", name);
    }
    *volume = opened;
    log_debug("RBD image %s/%s is open", name->pool, name->image);
    return 0;
}

void rbd_volume_close(struct rbd_volume *volume)
{
    if (!volume->image)
        return;
    (void)volume->client->api->rbd_close(volume->image);
    volume->client->api->rados_ioctx_destroy(volume->ioctx);
    *volume = (struct rbd_volume){0};
}

int rbd_volume_parent_pool(const struct rbd_volume *volume, char ret_pool[static RBD_NAME_MAX],
                           struct error *err)
{
    const struct librbd *api = volume->client->api;
    rbd_linked_image_spec_t parent = {0};
    rbd_snap_spec_t snap = {0};
    int r = api->rbd_get_parent(volume->image, &parent, &snap);
    if (r < 0 && r != -ENOENT)
        return rbd_error(err, r, "find the parent of", &volume->name);
    bool in_namespace = parent.pool_namespace && parent.pool_namespace[0];
    bool usable = r == 0 && parent.pool_name && rbd_name_is_plain(parent.pool_name);
    if (usable && !in_namespace)
        (void)snprintf(ret_pool, RBD_NAME_MAX, "%s", parent.pool_name);
    else
        r = error_set(err, r < 0 ? ENOENT : ENOTSUP, EXC_IMAGE_UNACCEPTABLE,
                      "RBD image %s/%s has no parent in a pool that a location can name",
                      volume->name.pool, volume->name.image);
    api->rbd_linked_image_spec_cleanup(&parent);
    api->rbd_snap_spec_cleanup(&snap);
    return r;
}

int rbd_volume_create_snap(const struct rbd_volume *volume, const char *snap, struct error *err)
{
    log_debug("RBD image %s/%s: takes snapshot %s", volume->name.pool, volume->name.image, snap);
    int r = volume->client->api->rbd_snap_create(volume->image, snap);
    return r < 0 ? rbd_error(err, r, "take a snapshot of", &volume->name) : 0;
}

int rbd_volume_protect_snap(const struct rbd_volume *volume, const char *snap, struct error *err)
{
    log_debug("RBD image %s/%s: protects snapshot %s", volume->name.pool, volume->name.image, snap);
    int r = volume->client->api->rbd_snap_protect(volume->image, snap);
    return r < 0 ? rbd_error(err, r, "protect the snapshot of", &volume->name) : 0;
}

/* Removes `name` in `object`, an open image or pool, once it is no longer in use. */
static int remove_when_idle(const struct rados_client *client, int (*remove)(void *, const char *),
                            void *object, const char *name)
{
    const struct rbd_options *options = client->options;
    unsigned interval_ms = seconds_ms(options->destroy_retry_interval_s);
    uint64_t total_ms = options->destroy_retries * (uint64_t)interval_ms + interval_ms +
                        seconds_ms(options->op_timeout_s);
    const struct retry_policy policy = {.attempts = options->destroy_retries + 1,
                                        .base_delay_ms = interval_ms,
                                        .max_delay_ms = interval_ms,
                                        .total_ms = (unsigned)earlier_ms(total_ms, INT_MAX)};
    struct retry retry = retry_begin(&policy);
    for (;;) {
        int r = remove(object, name);
        if (r != -EBUSY)
            return r;
        log_debug("%s is in use, will retry in %u ms", name, interval_ms);
        if (!retry_wait(&retry, interval_ms))
            return r;
    }
}

int rbd_volume_remove_snap(const struct rbd_volume *volume, const char *snap, struct error *err)
{
    const struct librbd *api = volume->client->api;
    log_debug("RBD image %s/%s: removes snapshot %s", volume->name.pool, volume->name.image, snap);
    int r = remove_when_idle(volume->client, api->rbd_snap_unprotect, volume->image, snap);
    if (r < 0 && r != -ENOENT && r != -EINVAL) /* EINVAL: it is not protected */
        return rbd_error(err, r, "unprotect the snapshot of", &volume->name);
    r = remove_when_idle(volume->client, api->rbd_snap_remove, volume->image, snap);
    if (r < 0 && r != -ENOENT)
        return rbd_error(err, r, "remove the snapshot of", &volume->name);
    return 0;
}

/* nova: RBDDriver.features. */
static uint64_t default_features(const struct rados_client *client)
{
    char text[1024];
    uint64_t features = 0;
    if (client->api->rados_conf_get(client->cluster, "rbd_default_features", text, sizeof(text)) <
            0 ||
        client->api->rbd_features_from_string(text, &features) < 0)
        features = 0;
    return features | RBD_FEATURE_LAYERING; /* no clone is without */
}

int rbd_volume_clone(const struct rbd_volume *volume, const char *snap,
                     const struct rbd_name *clone, struct error *err)
{
    const struct rados_client *client = volume->client;
    rados_ioctx_t ioctx = NULL;
    int order = 0; /* the parent's */
    int r = open_pool(client, clone, &ioctx, err);
    if (r < 0)
        return r;
    log_debug("RBD image %s/%s: clones snapshot %s into %s/%s", volume->name.pool,
              volume->name.image, snap, clone->pool, clone->image);
    r = client->api->rbd_clone(volume->ioctx, volume->name.image, snap, ioctx, clone->image,
                               default_features(client), &order);
    client->api->rados_ioctx_destroy(ioctx);
    return r < 0 ? rbd_error(err, r, "clone the root disk into", clone) : 0;
}

int rbd_volume_flatten(const struct rbd_volume *volume, struct error *err)
{
    const uint64_t begin_ms = clock_now_ms();
    log_debug("RBD image %s/%s: is flattened", volume->name.pool, volume->name.image);
    int r = volume->client->api->rbd_flatten(volume->image);
    if (r < 0)
        return rbd_error(err, r, "flatten", &volume->name);
    log_debug("RBD image %s/%s: was flattened in %" PRIu64 " ms", volume->name.pool,
              volume->name.image, clock_now_ms() - begin_ms);
    return 0;
}

/* An incomplete image cannot be opened, and has no snapshot. */
static int remove_snap_of(const struct rados_client *client, const struct rbd_name *name,
                          const char *snap, struct error *err)
{
    struct rbd_volume volume;
    struct error ignored = ERROR_INIT;
    if (rbd_volume_open(&volume, client, name, &ignored) < 0)
        return 0;
    int r = rbd_volume_remove_snap(&volume, snap, err);
    rbd_volume_close(&volume);
    return r;
}

int rbd_destroy_volume(const struct rados_client *client, const struct rbd_name *name,
                       const char *snap, struct error *err)
{
    rados_ioctx_t ioctx = NULL;
    int r = remove_snap_of(client, name, snap, err);
    if (r < 0)
        return r;
    r = open_pool(client, name, &ioctx, err);
    if (r < 0)
        return r;
    log_debug("RBD image %s/%s: is removed", name->pool, name->image);
    r = remove_when_idle(client, client->api->rbd_remove, ioctx, name->image);
    client->api->rados_ioctx_destroy(ioctx);
    return r < 0 && r != -ENOENT ? rbd_error(err, r, "remove", name) : 0;
}
