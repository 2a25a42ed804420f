/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of amqp/ share: what real peers put on the bus, in data/; a port of nobody. */
#pragma once

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "amqp/oslo_message.h"
#include "common/cleanup.h"

/* The file's bytes without the newline at its end, on the heap without a terminating NUL, so that
 * a sanitizer sees every read beyond. */
static inline char *read_vector(const char *name, size_t *ret_length)
{
    char path[128];
    static char text[65536];
    (void)snprintf(path, sizeof(path), "tests/unit/amqp/data/%s", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    while (length > 0 && text[length - 1] == '\n')
        length--;
    char *copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, text, length);
    *ret_length = length;
    return copy;
}

/* The message in it, owned. */
static inline json_t *message_of(const char *vector)
{
    size_t length;
    cleanup_free char *body = read_vector(vector, &length);
    json_t *message = NULL;
    struct error err = ERROR_INIT;
    if (oslo_message_unpack(body, length, &message, &err) < 0)
        fail_msg("%s: %s", vector, err.message);
    return message;
}

/* A socket of this host that is bound and does not listen: nobody answers on its port. Owned. */
static inline int closed_port(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}
