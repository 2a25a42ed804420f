/* SPDX-License-Identifier: Apache-2.0 */
/*
 * librados and librbd, loaded when first needed: most hosts have no Ceph, and the agent has to run
 * there without its libraries. Types come from the real headers.
 */
#pragma once

#include <rados/librados.h>
#include <rbd/librbd.h>

#include "common/error.h"

#define LIBRADOS_FUNCTIONS(X)                                                                      \
    X(rados_create)                                                                                \
    X(rados_conf_read_file)                                                                        \
    X(rados_conf_set)                                                                              \
    X(rados_conf_get)                                                                              \
    X(rados_connect)                                                                               \
    X(rados_shutdown)                                                                              \
    X(rados_cluster_fsid)                                                                          \
    X(rados_ioctx_create)                                                                          \
    X(rados_ioctx_destroy)

#define LIBRBD_FUNCTIONS(X)                                                                        \
    X(rbd_open)                                                                                    \
    X(rbd_close)                                                                                   \
    X(rbd_get_parent)                                                                              \
    X(rbd_linked_image_spec_cleanup)                                                               \
    X(rbd_snap_spec_cleanup)                                                                       \
    X(rbd_features_from_string)                                                                    \
    X(rbd_clone)                                                                                   \
    X(rbd_flatten)                                                                                 \
    X(rbd_snap_create)                                                                             \
    X(rbd_snap_protect)                                                                            \
    X(rbd_snap_unprotect)                                                                          \
    X(rbd_snap_remove)                                                                             \
    X(rbd_remove)

struct librbd {
#define LIBRBD_MEMBER(name) __typeof__(name) *(name);
    LIBRADOS_FUNCTIONS(LIBRBD_MEMBER)
    LIBRBD_FUNCTIONS(LIBRBD_MEMBER)
#undef LIBRBD_MEMBER
};

/*
 * The functions, good for the life of the process. Thread-safe; a library that is missing now is
 * looked for again the next time. ImageUnacceptable naming the library or function: without them
 * the data has to go through qemu-img.
 */
int librbd_load(const struct librbd **ret_librbd, struct error *err);
