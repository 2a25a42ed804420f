/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that answers as the test says: on a UNIX socket, one connection after another. */
#pragma once

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct scripted_answer {
    const char *request; /* "GET /v1/status" */
    unsigned status;     /* 0: the connection ends without one */
    const char *body;
    unsigned times; /* after so many it is not answered so any more, but by the next; 0: always */
};

static struct {
    const struct scripted_answer *answers; /* ended by one without a request */
    unsigned given[16];
    char asked[4096]; /* "GET /v1/status\n", with a body behind a blank */
    char folder[32], path[64];
    int listener;
    pthread_t thread;
    atomic_bool stop;
} scripted;

static const struct scripted_answer *scripted_find(const char *request)
{
    for (unsigned i = 0; scripted.answers[i].request; i++) {
        const struct scripted_answer *answer = &scripted.answers[i];
        if (strcmp(answer->request, request) != 0 ||
            (answer->times > 0 && scripted.given[i] >= answer->times))
            continue;
        scripted.given[i]++;
        return answer;
    }
    return NULL;
}

/* The whole request, or what came of it. */
static void scripted_receive(int fd, char *text, size_t size)
{
    size_t used = 0;
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    text[0] = '\0';
    while (poll(&entry, 1, 5000) == 1) {
        ssize_t n = recv(fd, text + used, size - 1 - used, 0);
        if (n <= 0)
            return;
        used += (size_t)n;
        text[used] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        const char *length = strstr(text, "Content-Length: ");
        size_t body = length ? (size_t)strtoul(length + 16, NULL, 10) : 0;
        if (end && strlen(end + 4) >= body)
            return;
    }
}

static void scripted_serve(int fd)
{
    char text[8192], request[256], head[256];
    scripted_receive(fd, text, sizeof(text));
    if (text[0] == '\0') /* who only looks whether it is there */
        return;
    (void)snprintf(request, sizeof(request), "%.*s", (int)(strstr(text, " HTTP/") - text), text);
    const struct scripted_answer *answer = scripted_find(request);
    const char *body = strstr(text, "\r\n\r\n");
    size_t used = strlen(scripted.asked);
    (void)snprintf(scripted.asked + used, sizeof(scripted.asked) - used, "%s%s%s\n", request,
                   body && body[4] != '\0' ? " " : "", body ? body + 4 : "");
    if (!answer || answer->status == 0)
        return;
    (void)snprintf(head, sizeof(head),
                   "HTTP/1.1 %u X\r\nContent-Type: application/json\r\nConnection: close\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   answer->status, strlen(answer->body));
    (void)!send(fd, head, strlen(head), MSG_NOSIGNAL);
    (void)!send(fd, answer->body, strlen(answer->body), MSG_NOSIGNAL);
}

static void *scripted_run(void *arg)
{
    (void)arg;
    while (!scripted.stop) {
        struct pollfd entry = {.fd = scripted.listener, .events = POLLIN};
        if (poll(&entry, 1, 10) <= 0)
            continue;
        int fd = accept4(scripted.listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        scripted_serve(fd);
        (void)close(fd);
    }
    return NULL;
}

static void scripted_start(const struct scripted_answer *answers)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memset(&scripted, 0, sizeof(scripted));
    scripted.answers = answers;
    (void)strcpy(scripted.folder, "/tmp/test-tool-XXXXXX");
    assert_non_null(mkdtemp(scripted.folder));
    (void)snprintf(scripted.path, sizeof(scripted.path), "%s/control", scripted.folder);
    (void)strcpy(address.sun_path, scripted.path);
    scripted.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(scripted.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(scripted.listener, 8), 0);
    assert_int_equal(pthread_create(&scripted.thread, NULL, scripted_run, NULL), 0);
}

static void scripted_end(void)
{
    scripted.stop = true;
    (void)pthread_join(scripted.thread, NULL);
    (void)close(scripted.listener);
    assert_int_equal(unlink(scripted.path), 0);
    assert_int_equal(rmdir(scripted.folder), 0);
}
