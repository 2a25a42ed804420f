/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to the Ceph cluster, as nova's RADOSClient.
 *
 * Every wait has an end: connecting rbd_connect_timeout, every single operation op_timeout_s. One
 * client serves one thread. Errors: InternalError unless a function says another; the errno is
 * Ceph's.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "driver/ceph/librbd.h"
#include "driver/ceph/rbd_name.h"
#include "driver/ceph/rbd_options.h"

struct rados_client {
    const struct librbd *api;
    const struct rbd_options *options; /* borrowed */
    rados_t cluster;
    char fsid[RBD_NAME_MAX];
};

/* Connects. `options` must outlive the client. ImageUnacceptable without Ceph's libraries. */
int rados_client_open(struct rados_client *client, const struct rbd_options *options,
                      struct error *err);

/* Ends the connection, if there is one: a client that is all zero has none. */
void rados_client_close(struct rados_client *client);

/* Limits every single operation to so many seconds from now on. */
int rados_client_limit(const struct rados_client *client, unsigned op_timeout_s, struct error *err);

/* False also when it cannot be told. */
bool rados_client_has_pool(const struct rados_client *client, const char *pool);
