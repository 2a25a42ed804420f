/* SPDX-License-Identifier: Apache-2.0 */
/* See nbd_client.h. */
#include "driver/image/nbd_client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

#define STATUS_BYTES_MAX (UINT64_C(1) << 31) /* of the disk, asked for at once: 32 bits */

int nbd_client_error(const struct nbd_client *client, struct error *err, const char *what)
{
    const char *text = nbd_get_error();
    int r = error_set(err, EIO, EXC_INTERNAL_ERROR, "%s: %s", what, text ? text : "unknown");
    return client->server ? process_server_blame(client->server, err) : r;
}

/*
 * A completion callback must not retire its command: nbd_aio_pread() itself calls it when the
 * connection breaks, and reads the command afterwards (libnbd 1.14).
 */
void nbd_client_retire(struct nbd_client *client)
{
    int64_t cookie;
    while (client->handle && (cookie = nbd_aio_peek_command_completed(client->handle)) > 0)
        (void)nbd_aio_command_completed(client->handle, (uint64_t)cookie);
}

int nbd_client_turn(struct nbd_client *client, int wake_fd, unsigned timeout_ms, struct error *err)
{
    unsigned direction = nbd_aio_get_direction(client->handle);
    struct pollfd fds[] = {{.fd = nbd_aio_get_fd(client->handle)},
                           {.fd = wake_fd, .events = POLLIN}};
    if (direction & LIBNBD_AIO_DIRECTION_READ)
        fds[0].events |= POLLIN;
    if (direction & LIBNBD_AIO_DIRECTION_WRITE)
        fds[0].events |= POLLOUT;
    if (fds[0].fd < 0)
        return nbd_client_error(client, err, "the NBD connection is closed");
    if (poll(fds, 2, (int)timeout_ms) < 0 && errno != EINTR)
        return error_errno(err, errno, "cannot wait for the NBD server");
    int r = 0;
    if (fds[0].revents & POLLOUT && direction & LIBNBD_AIO_DIRECTION_WRITE)
        r = nbd_aio_notify_write(client->handle);
    else if (fds[0].revents)
        r = nbd_aio_notify_read(client->handle);
    if (r < 0)
        return nbd_client_error(client, err, "the NBD connection failed");
    nbd_client_retire(client);
    return fds[0].revents != 0;
}

/* Turns until `is_reached` is true; it is given `arg`. */
static int wait_until(struct nbd_client *client,
                      bool (*is_reached)(struct nbd_client *client, void *arg), void *arg,
                      struct error *err)
{
    uint64_t heard_ms = clock_now_ms();
    while (!is_reached(client, arg)) {
        int r = nbd_client_turn(client, cancel_fd(), 1000, err);
        if (r < 0 || cancel_check(err) < 0)
            return -err->errnum;
        uint64_t now_ms = clock_now_ms();
        if (r > 0)
            heard_ms = now_ms;
        else if (now_ms > heard_ms + client->stall_timeout_s * UINT64_C(1000))
            return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                             "nothing came from the NBD server for %u s", client->stall_timeout_s);
    }
    return 0;
}

static bool is_connected(struct nbd_client *client, void *arg)
{
    (void)arg;
    return nbd_aio_is_ready(client->handle) > 0;
}

/* Buffers need not be zeroed before a read: those of one that fails are not looked at. */
static bool leave_buffers_alone(struct nbd_handle *handle)
{
#ifdef LIBNBD_HAVE_NBD_SET_PREAD_INITIALIZE
    return nbd_set_pread_initialize(handle, false) == 0;
#else
    (void)handle;
    return true;
#endif
}

int nbd_client_new(unsigned stall_timeout_s, struct nbd_client **ret_client, struct error *err)
{
    struct nbd_client *client = calloc(1, sizeof(*client));
    if (!client)
        return error_nomem(err);
    client->stall_timeout_s = stall_timeout_s;
    (void)snprintf(client->context, sizeof(client->context), LIBNBD_CONTEXT_BASE_ALLOCATION);
    client->handle = nbd_create();
    if (!client->handle || nbd_add_meta_context(client->handle, client->context) < 0 ||
        !leave_buffers_alone(client->handle)) {
        (void)nbd_client_error(client, err, "cannot make an NBD client");
        nbd_client_free(client);
        return -err->errnum;
    }
    *ret_client = client;
    return 0;
}

int nbd_client_ask_bitmap(struct nbd_client *client, const char *bitmap, struct error *err)
{
    char context[sizeof(client->context)];
    int n = snprintf(context, sizeof(context), "qemu:dirty-bitmap:%s", bitmap);
    if (n < 0 || (size_t)n >= sizeof(context))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "the bitmap's name %s is too long",
                         bitmap);
    if (nbd_clear_meta_contexts(client->handle) < 0 ||
        nbd_add_meta_context(client->handle, context) < 0)
        return nbd_client_error(client, err, "cannot ask for a dirty bitmap");
    memcpy(client->context, context, sizeof(context));
    return 0;
}

/* After a nbd_aio_connect_...(), which has returned `begun`. */
static int finish_connecting(struct nbd_client *client, int begun, struct error *err)
{
    if (begun < 0)
        return nbd_client_error(client, err, "cannot connect to the NBD server");
    int r = wait_until(client, is_connected, NULL, err);
    if (r < 0)
        return r;
    int64_t size = nbd_get_size(client->handle);
    if (size < 0)
        return nbd_client_error(client, err, "the NBD server tells no size");
    client->disk_bytes = (uint64_t)size;
    log_debug("NBD: connected, the disk has %" PRIu64 " bytes", client->disk_bytes);
    return 0;
}

int nbd_client_connect(struct nbd_client *client, const char *socket_path, const char *export_name,
                       struct error *err)
{
    log_debug("NBD: connects to export %s of %s", export_name, socket_path);
    int begun = nbd_set_export_name(client->handle, export_name);
    if (begun == 0)
        begun = nbd_aio_connect_unix(client->handle, socket_path);
    return finish_connecting(client, begun, err);
}

int nbd_client_connect_socket(struct nbd_client *client, int fd, struct error *err)
{
    return finish_connecting(client, nbd_aio_connect_socket(client->handle, fd), err);
}

void nbd_client_disconnect(struct nbd_client *client)
{
    process_server_end(client->server); /* first, so that it cannot take another client */
    client->server = NULL;
    nbd_close(client->handle); /* takes NULL */
    client->handle = NULL;
}

void nbd_client_free(struct nbd_client *client)
{
    if (!client)
        return;
    nbd_client_disconnect(client);
    free(client);
}

/* One question for the block status of a part of the disk. */
struct status_question {
    struct extent_map *map;
    const char *context;
    bool is_bitmap;       /* else base:allocation */
    uint64_t offset, end; /* what is not answered yet */
    bool answered;
    int error;
};

/* nbd.txt, "Metadata contexts": what is set is dirty, NBD_STATE_DIRTY. */
static bool is_wanted(const struct status_question *question, uint32_t state)
{
    return question->is_bitmap ? (state & 1) != 0 : !(state & LIBNBD_STATE_ZERO);
}

static int take_extents(void *arg, const char *context, uint64_t offset, uint32_t *entries,
                        size_t n_entries, int *error)
{
    struct status_question *question = arg;
    (void)error;
    if (strcmp(context, question->context) != 0 || offset != question->offset)
        return 0;
    for (size_t i = 0; i + 1 < n_entries && question->offset < question->end; i += 2) {
        if (is_wanted(question, entries[i + 1]))
            extent_map_add(question->map, question->offset, entries[i]);
        question->offset += entries[i];
    }
    return 0;
}

static int take_answer(void *arg, int *error)
{
    struct status_question *question = arg;
    question->answered = true;
    question->error = *error;
    return 0;
}

static bool is_answered(struct nbd_client *client, void *arg)
{
    (void)client;
    return ((struct status_question *)arg)->answered;
}

/* Asks for what is left of the disk; the server answers as much of it as it likes. */
static int ask_status(struct nbd_client *client, struct status_question *question,
                      struct error *err)
{
    const nbd_extent_callback extents = {.callback = take_extents, .user_data = question};
    const nbd_completion_callback completion = {.callback = take_answer, .user_data = question};
    uint64_t offset = question->offset, length = client->disk_bytes - offset;
    if (length > STATUS_BYTES_MAX)
        length = STATUS_BYTES_MAX;
    question->end = offset + length;
    question->answered = false;
    if (nbd_aio_block_status(client->handle, length, offset, extents, completion, 0) < 0)
        return nbd_client_error(client, err, "cannot ask the NBD server for its block status");
    int r = wait_until(client, is_answered, question, err);
    if (r < 0)
        return r;
    if (question->error != 0)
        return error_errno(err, question->error, "the NBD server tells no block status");
    if (question->offset == offset)
        return error_set(err, EPROTO, EXC_INTERNAL_ERROR,
                         "the NBD server tells no block status at byte %" PRIu64, offset);
    return 0;
}

int nbd_client_map(struct nbd_client *client, struct extent_map **ret_map, struct error *err)
{
    struct status_question question = {
        .context = client->context,
        .is_bitmap = strcmp(client->context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0};
    if (nbd_can_meta_context(client->handle, client->context) <= 0)
        return error_set(err, ENOTSUP, EXC_INTERNAL_ERROR, "the NBD server has no block status %s",
                         client->context);
    unsigned questions = 0;
    int r = extent_map_new(client->disk_bytes, &question.map, err);
    for (; r == 0 && question.offset < client->disk_bytes; questions++)
        r = ask_status(client, &question, err);
    nbd_client_retire(client);
    if (r < 0) {
        nbd_client_disconnect(client); /* the question may be under way */
        extent_map_free(question.map);
        return r;
    }
    log_debug("NBD: block status of the disk is known after %u questions", questions);
    *ret_map = question.map;
    return 0;
}
