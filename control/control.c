/* SPDX-License-Identifier: Apache-2.0 */
/* See control.h. libmicrohttpd calls back on a thread of each connection. */
#include "control/control.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "control/listener.h"
#include "control/routes.h"

#define CONNECTIONS_MAX 16
#define CONNECTION_BYTES ((size_t)16 << 10) /* its head and buffers */
#define SILENCE_S 5U
#define ANSWER_S 180U /* what takes longest has given up by then */
#define BODY_MAX_BYTES 4096

struct control {
    const struct control_ops *ops;
    void *arg;
    char *path; /* of the socket; NULL: it is not ours */
    struct MHD_Daemon *daemon;
};

/* What a request has sent up to now. */
struct body {
    size_t used;
    char text[BODY_MAX_BYTES];
};

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct routes_answer *answer)
{
    if (!answer->text)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(answer->text), answer->text, MHD_RESPMEM_MUST_COPY);
    unsigned status = answer->status;
    const char *type = answer->type;
    routes_answer_done(answer);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result r = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return r;
}

/* False when there is no room for it. */
static bool add_to_body(struct body *body, const char *data, size_t length)
{
    if (length > sizeof(body->text) - body->used)
        return false;
    memcpy(body->text + body->used, data, length);
    body->used += length;
    return true;
}

static enum MHD_Result begin_request(void **request_arg)
{
    *request_arg = calloc(1, sizeof(struct body));
    return *request_arg ? MHD_YES : MHD_NO;
}

/* Called first without data, then with each piece of the body, at last without again. */
static enum MHD_Result handle_request(void *arg, struct MHD_Connection *connection,
                                      const char *path, const char *method, const char *version,
                                      const char *data, size_t *data_bytes, void **request_arg)
{
    const struct control *control = arg;
    struct body *body = *request_arg;
    (void)version;
    if (!body)
        return begin_request(request_arg);
    if (*data_bytes > 0) {
        size_t length = *data_bytes;
        *data_bytes = 0;
        return add_to_body(body, data, length) ? MHD_YES : MHD_NO;
    }
    const struct routes_request request = {
        .method = method, .path = path, .body = body->text, .body_bytes = body->used};
    /* The time it takes to answer is silence, too. */
    (void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, ANSWER_S);
    struct routes_answer answer = routes_answer(control->ops, control->arg, &request);
    log_debug("control: %s %s: %u", method, path, answer.status);
    return send_answer(connection, &answer);
}

static void end_request(void *arg, struct MHD_Connection *connection, void **request_arg,
                        enum MHD_RequestTerminationCode how)
{
    (void)arg;
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        (void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, SILENCE_S);
    free(*request_arg);
    *request_arg = NULL;
}

static struct MHD_Daemon *start_daemon(struct control *control, int fd)
{
    return MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                                MHD_USE_POLL | MHD_USE_ITC,
                            0, NULL, NULL, handle_request, control, MHD_OPTION_LISTEN_SOCKET,
                            (MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                            MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
                            MHD_OPTION_NOTIFY_COMPLETED, end_request, NULL, MHD_OPTION_END);
}

/* The descriptor is libmicrohttpd's, whatever comes of it. */
static int listen_on(struct control *control, const char *path, struct error *err)
{
    int fd;
    int r = listener_open(path, &fd, err);
    if (r < 0)
        return r;
    control->path = strdup(path);
    control->daemon = start_daemon(control, fd);
    return control->path && control->daemon
               ? 0
               : error_set(err, EIO, EXC_INTERNAL_ERROR, "cannot serve %s", path);
}

int control_start(const char *path, const struct control_ops *ops, void *arg,
                  struct control **ret_control, struct error *err)
{
    struct control *control = calloc(1, sizeof(*control));
    if (!control)
        return error_nomem(err);
    control->ops = ops;
    control->arg = arg;
    int r = listen_on(control, path, err);
    if (r < 0) {
        control_stop(control);
        return r;
    }
    *ret_control = control;
    return 0;
}

/* The file goes while it is still ours: nobody takes the place of one that listens. */
void control_stop(struct control *control)
{
    if (!control)
        return;
    if (control->path)
        (void)unlink(control->path);
    if (control->daemon)
        MHD_stop_daemon(control->daemon);
    free(control->path);
    free(control);
}
