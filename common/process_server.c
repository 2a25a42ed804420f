/* SPDX-License-Identifier: Apache-2.0 */
/* See process_server.h. */
#include "common/process_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/process_child.h"

struct process_server {
    struct process_child child;
    struct process_tail tail;
};

int process_server_start(const char *const *argv, int listen_fd, enum process_sandbox sandbox,
                         struct process_server **ret_server, struct error *err)
{
    const struct process_start start = {
        .argv = argv, .listen_fd = listen_fd, .unattended = true, .sandbox = sandbox};
    struct process_server *server = calloc(1, sizeof(*server));
    if (!server)
        return error_nomem(err);
    int r = process_child_start(&start, &server->child, err);
    if (r < 0)
        free(server);
    else
        *ret_server = server;
    return r;
}

int process_server_blame(struct process_server *server, struct error *err)
{
    char buffer[4096];
    ssize_t n;
    while ((n = read(server->child.stderr_fd, buffer, sizeof(buffer))) > 0 ||
           (n < 0 && errno == EINTR))
        if (n > 0)
            process_tail_keep(&server->tail, buffer, (size_t)n);
    if (process_child_broke_filter(&server->child))
        return error_append(err, " (%s was " PROCESS_SANDBOX_KILLED ")", server->child.name);
    return error_append(err, " (%s: %s)", server->child.name, process_tail_line(&server->tail));
}

void process_server_end(struct process_server *server)
{
    if (!server)
        return;
    (void)process_child_end(&server->child, NULL);
    free(server);
}
