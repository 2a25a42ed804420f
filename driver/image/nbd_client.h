/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that is read over NBD (libnbd), from QEMU's export of a backup job or from a qemu-nbd of
 * our own. Every wait ends when nothing has come for the stall timeout. Not shared between threads.
 */
#pragma once

#include <libnbd.h>
#include <stdint.h>

#include "common/error.h"
#include "common/process_server.h"
#include "driver/image/extent_map.h"

struct nbd_client {
    struct nbd_handle *handle;
    unsigned stall_timeout_s;
    uint64_t disk_bytes;
    struct process_server *server; /* of our own; NULL: QEMU */
    char context[64];              /* which block status is asked for */
};

/* Returns owned, not connected. */
int nbd_client_new(unsigned stall_timeout_s, struct nbd_client **ret_client, struct error *err);

/*
 * nbd_client_map() is to tell which clusters are set in a dirty bitmap of QEMU's (nbd.txt:
 * qemu:dirty-bitmap:NAME), and not which hold data. Before connecting. ENAMETOOLONG.
 */
int nbd_client_ask_bitmap(struct nbd_client *client, const char *bitmap, struct error *err);

/*
 * Connects to a UNIX socket. Ends when the thread's work is cancelled. After a failure the server
 * may take the client for connected until nbd_client_free().
 */
int nbd_client_connect(struct nbd_client *client, const char *socket_path, const char *export_name,
                       struct error *err);

/*
 * Forgets the commands that are over. Before what their callbacks write to goes: nbd_close() calls
 * them once more (libnbd 1.22).
 */
void nbd_client_retire(struct nbd_client *client);

/*
 * Ends the connection, and a server of our own. Callbacks of what is still under way are called
 * now (libnbd 1.22) or never (1.14): before what they write to goes. The client is good for
 * nbd_client_free() alone then.
 */
void nbd_client_disconnect(struct nbd_client *client);

/* NULL-safe. Disconnects it first. */
void nbd_client_free(struct nbd_client *client);

/*
 * Which clusters hold data, as the server's block status (base:allocation) says, or are set in the
 * bitmap of nbd_client_ask_bitmap(). ENOTSUP when it has none; ECANCELED. Returns owned. A failure
 * in the middle has disconnected the client.
 */
int nbd_client_map(struct nbd_client *client, struct extent_map **ret_map, struct error *err);

/*
 * Waits up to `timeout_ms` for the server, or until `wake_fd` (or -1) is readable, and lets libnbd
 * do what there is to be done. 1 when the server was heard, 0 when not. Commands are retired here:
 * their completion callbacks return 0.
 */
int nbd_client_turn(struct nbd_client *client, int wake_fd, unsigned timeout_ms, struct error *err);

/*
 * This thread's last libnbd error as InternalError (EIO) behind `what`, with what a server of our
 * own has said. Returns -errno.
 */
int nbd_client_error(const struct nbd_client *client, struct error *err, const char *what);

/* For nbd_launch.c: connects by a socket that is connected already, which it takes. */
int nbd_client_connect_socket(struct nbd_client *client, int fd, struct error *err);
