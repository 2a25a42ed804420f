/* SPDX-License-Identifier: Apache-2.0 */
/* See rados_client.h. */
#include "driver/ceph/rados_client.h"

#include <stdio.h>

#include "common/cleanup.h"
#include "common/log.h"

#define FSID_MAX 37

static int set_number(const struct rados_client *client, const char *option, unsigned value)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", value);
    return client->api->rados_conf_set(client->cluster, option, text);
}

int rados_client_limit(const struct rados_client *client, unsigned op_timeout_s, struct error *err)
{
    static const char *const options[] = {"rados_osd_op_timeout", "rados_mon_op_timeout"};
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        int r = set_number(client, options[i], op_timeout_s);
        if (r < 0)
            return error_errno(err, -r, "cannot limit the time of Ceph's operations");
    }
    log_debug("Ceph: every operation may take %u s", op_timeout_s);
    return 0;
}

static int configure_client(const struct rados_client *client, struct error *err)
{
    const char *ceph_conf = client->options->ceph_conf;
    const char *path = ceph_conf && ceph_conf[0] ? ceph_conf : NULL;
    int r = client->api->rados_conf_read_file(client->cluster, path);
    if (r < 0)
        return error_errno(err, -r, "cannot read Ceph's configuration file %s", path ? path : "");
    int connect_timeout_s = client->options->connect_timeout_s;
    if (connect_timeout_s > 0)
        r = set_number(client, "client_mount_timeout", (unsigned)connect_timeout_s);
    if (r < 0)
        return error_errno(err, -r, "cannot limit the time to connect to Ceph");
    return rados_client_limit(client, client->options->op_timeout_s, err);
}

static int connect_cluster(struct rados_client *client, struct error *err)
{
    int r = configure_client(client, err);
    if (r < 0)
        return r;
    r = client->api->rados_connect(client->cluster);
    if (r < 0)
        return error_errno(err, -r, "cannot connect to the Ceph cluster");
    r = client->api->rados_cluster_fsid(client->cluster, client->fsid, FSID_MAX);
    if (r < 0)
        return error_errno(err, -r, "cannot read the Ceph cluster's fsid");
    return 0;
}

int rados_client_open(struct rados_client *client, const struct rbd_options *options,
                      struct error *err)
{
    *client = (struct rados_client){.options = options};
    int r = librbd_load(&client->api, err);
    if (r < 0)
        return r;
    const char *user = options->user && options->user[0] ? options->user : NULL;
    r = client->api->rados_create(&client->cluster, user);
    if (r < 0)
        return error_errno(err, -r, "cannot make a Ceph client");
    r = connect_cluster(client, err);
    if (r < 0) {
        rados_client_close(client);
        return r;
    }
    log_debug("Ceph: connected to cluster %s as client.%s", client->fsid, user ? user : "admin");
    return 0;
}

void rados_client_close(struct rados_client *client)
{
    if (client->cluster)
        client->api->rados_shutdown(client->cluster);
    client->cluster = NULL;
}

bool rados_client_has_pool(const struct rados_client *client, const char *pool)
{
    rados_ioctx_t ioctx = NULL;
    if (client->api->rados_ioctx_create(client->cluster, pool, &ioctx) < 0)
        return false;
    client->api->rados_ioctx_destroy(ioctx);
    return true;
}
