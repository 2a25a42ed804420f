/* SPDX-License-Identifier: Apache-2.0 */
/* How to reach the Ceph cluster that root disks are in: nova's [libvirt] options. */
#pragma once

struct rbd_options {
    const char *ceph_conf;             /* images_rbd_ceph_conf; "" = where Ceph looks for it */
    const char *user;                  /* rbd_user, without "client."; "" = admin */
    int connect_timeout_s;             /* rbd_connect_timeout; below 1: Ceph's own limit */
    unsigned op_timeout_s;             /* for every single operation of the cluster */
    unsigned destroy_retries;          /* rbd_destroy_volume_retries, of what is in use */
    unsigned destroy_retry_interval_s; /* rbd_destroy_volume_retry_interval */
};
