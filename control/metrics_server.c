/* SPDX-License-Identifier: Apache-2.0 */
/* See metrics_server.h. */
#include "control/metrics_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "control/control_ops.h"

#define CONNECTIONS_MAX 8
#define CONNECTIONS_OF_ONE_MAX 3 /* so that one that keeps them does not keep others out */
#define CONNECTION_BYTES ((size_t)8 << 10)
#define SILENCE_S 10U
#define BACKLOG 8
#define ADDRESS_MAX 256
#define LOOPBACK "127.0.0.1"

struct metrics_server {
    char *(*text)(void *arg);
    void *arg;
    struct MHD_Daemon *daemon;
};

/* Takes `text`, which lives until it is sent. */
static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, char *text,
                                 const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result r = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return r;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *why)
{
    char *text = strdup(why);
    return text ? send_text(connection, status, text, "text/plain") : MHD_NO;
}

/* A request's body is of no use: its connection ends at the first piece. */
static enum MHD_Result handle_request(void *arg, struct MHD_Connection *connection,
                                      const char *path, const char *method, const char *version,
                                      const char *data, size_t *data_bytes, void **request_arg)
{
    static char seen;
    const struct metrics_server *server = arg;
    (void)version, (void)data;
    if (!*request_arg) {
        *request_arg = &seen;
        return MHD_YES;
    }
    if (*data_bytes > 0)
        return MHD_NO;
    if (strcmp(path, "/metrics") != 0)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "there is /metrics and nothing else\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    char *text = server->text(server->arg);
    return text ? send_text(connection, MHD_HTTP_OK, text, CONTROL_METRICS_TYPE)
                : refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
}

/* getaddrinfo() takes 65537 for 1. */
static bool is_port(const char *text)
{
    char *end = NULL;
    return text[0] >= '0' && text[0] <= '9' && strtoul(text, &end, 10) <= UINT16_MAX &&
           *end == '\0';
}

/* Into host and port, which point into `copy`. */
static int split_address(char *copy, const char **ret_host, const char **ret_port,
                         struct error *err)
{
    static const char wrong[] = "it is none of PORT, ADDRESS:PORT and [IPv6]:PORT";
    char *colon = strrchr(copy, ':');
    char *host = copy;
    *ret_host = LOOPBACK;
    *ret_port = colon ? colon + 1 : copy;
    if (!is_port(*ret_port))
        return error_set(err, EINVAL, EXC_INVALID_INPUT, "%s", wrong);
    if (!colon)
        return 0;
    *colon = '\0';
    size_t length = strlen(host);
    bool in_brackets = length > 2 && host[0] == '[' && host[length - 1] == ']';
    if (in_brackets) {
        host[length - 1] = '\0';
        host++;
    }
    if (host[0] == '\0' || (!in_brackets && strchr(host, ':')))
        return error_set(err, EINVAL, EXC_INVALID_INPUT, "%s", wrong);
    *ret_host = host;
    return 0;
}

static int open_socket(const struct addrinfo *info, struct error *err)
{
    int on = 1;
    cleanup_close int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(err, errno, "cannot make a socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        return error_errno(err, errno, "cannot listen");
    int opened = fd;
    fd = -1;
    return opened;
}

/* The file descriptor, or -errno. No name is looked up. */
static int listen_on(const char *address, struct error *err)
{
    char copy[ADDRESS_MAX];
    const char *host, *port;
    struct addrinfo *found = NULL;
    const struct addrinfo wanted = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                    .ai_socktype = SOCK_STREAM};
    if (strlen(address) >= sizeof(copy))
        return error_set(err, EINVAL, EXC_INVALID_INPUT, "it is too long");
    memcpy(copy, address, strlen(address) + 1);
    int r = split_address(copy, &host, &port, err);
    if (r < 0)
        return r;
    int code = getaddrinfo(host, port, &wanted, &found);
    if (code != 0)
        return error_set(err, EINVAL, EXC_INVALID_INPUT, "'%s' is no address and port: %s", address,
                         gai_strerror(code));
    int fd = open_socket(found, err);
    freeaddrinfo(found);
    return fd < 0 ? error_prepend(err, "%s:", address) : fd;
}

int metrics_server_start(const char *address, char *(*text)(void *arg), void *arg,
                         struct metrics_server **ret_server, struct error *err)
{
    struct metrics_server *server = calloc(1, sizeof(*server));
    if (!server)
        return error_nomem(err);
    *server = (struct metrics_server){.text = text, .arg = arg};
    int fd = listen_on(address, err);
    if (fd < 0) {
        free(server);
        return fd;
    }
    server->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL, NULL, handle_request,
        server, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_OF_ONE_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S, MHD_OPTION_END);
    if (!server->daemon) { /* and it has closed the socket */
        free(server);
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "cannot start the thread that answers");
    }
    *ret_server = server;
    return 0;
}

unsigned metrics_server_port(const struct metrics_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

void metrics_server_stop(struct metrics_server *server)
{
    if (!server)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}
