/* SPDX-License-Identifier: Apache-2.0 */
/* See http_script.h. */
#include "tests/unit/http_script.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD_MAX 65536
#define BODY_MAX (64u << 20)
#define WAIT_MS 20000
#define STALLED_MAX 16

struct http_script {
    const struct http_step *steps;
    size_t count;
    size_t done;
    int listener;
    char url[64];
    pthread_t thread;
    atomic_bool stop;
    int stalled[STALLED_MAX];
    size_t stalled_count;
    char failure[512]; /* the first thing that was not as expected */
};

struct incoming {
    char head[HEAD_MAX];
    size_t head_bytes; /* with the empty line */
    char *body;
    size_t body_bytes; /* read so far */
    size_t body_total; /* Content-Length */
};

static void fail_step(struct http_script *script, const char *what, const char *detail)
{
    if (script->failure[0] == '\0')
        (void)snprintf(script->failure, sizeof(script->failure), "step %zu: %s: %.400s",
                       script->done, what, detail);
}

static int listen_on_loopback(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 64) < 0 || getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        fail_msg("cannot listen on loopback");
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* False when the script ends or nothing comes. */
static bool wait_readable(const struct http_script *script, int fd)
{
    for (int waited_ms = 0; waited_ms < WAIT_MS && !script->stop; waited_ms += 10) {
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        if (poll(&entry, 1, 10) > 0)
            return true;
    }
    return false;
}

static bool send_all(int fd, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

/* Value of a request header, cut off at the line's end into `buffer`; NULL when absent. */
static const char *find_header(const struct incoming *in, const char *name, char *buffer,
                               size_t size)
{
    size_t length = strlen(name);
    for (const char *line = strstr(in->head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *value = line + length + 1;
        value += strspn(value, " ");
        (void)snprintf(buffer, size, "%.*s", (int)strcspn(value, "\r"), value);
        return buffer;
    }
    return NULL;
}

static bool read_head(struct http_script *script, int fd, struct incoming *in)
{
    size_t used = 0;
    *in = (struct incoming){.body = NULL};
    while (used < HEAD_MAX - 1 && wait_readable(script, fd)) {
        /* Byte by byte: what comes behind belongs to the body. */
        ssize_t n = recv(fd, in->head + used, 1, 0);
        if (n <= 0)
            return false;
        used += (size_t)n;
        if (used >= 4 && memcmp(in->head + used - 4, "\r\n\r\n", 4) == 0) {
            char text[32];
            const char *length = find_header(in, "Content-Length", text, sizeof(text));
            in->head_bytes = used;
            in->body_total = length ? strtoul(length, NULL, 10) : 0;
            return true;
        }
    }
    return false;
}

static bool read_body(struct http_script *script, int fd, struct incoming *in, size_t wanted)
{
    char text[32];
    if (wanted > in->body_total)
        wanted = in->body_total;
    if (wanted > BODY_MAX)
        wanted = BODY_MAX;
    in->body = malloc(wanted + 1);
    if (!in->body)
        return false;
    if (wanted > 0 && find_header(in, "Expect", text, sizeof(text)) &&
        !send_all(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25))
        return false;
    while (in->body_bytes < wanted && wait_readable(script, fd)) {
        ssize_t n = recv(fd, in->body + in->body_bytes, wanted - in->body_bytes, 0);
        if (n <= 0)
            break;
        in->body_bytes += (size_t)n;
    }
    in->body[in->body_bytes] = '\0';
    return in->body_bytes == wanted;
}

static void check_line(struct http_script *script, const struct http_step *step,
                       const struct incoming *in)
{
    char line[1024];
    (void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(in->head, "\r"), in->head);
    char wanted[1024];
    (void)snprintf(wanted, sizeof(wanted), "%s %s HTTP/1.1", step->method,
                   step->path ? step->path : "");
    if (step->path && strcmp(line, wanted) != 0) {
        char detail[2200];
        (void)snprintf(detail, sizeof(detail), "'%s' instead of '%s'", line, wanted);
        fail_step(script, "request", detail);
    }
}

static void check_headers(struct http_script *script, const struct http_step *step,
                          const struct incoming *in)
{
    char value[4096];
    for (size_t i = 0; i < HTTP_STEP_HEADERS && step->headers[i]; i++) {
        const char *wanted = step->headers[i];
        if (wanted[0] == '!') {
            if (find_header(in, wanted + 1, value, sizeof(value)))
                fail_step(script, "unwanted header", wanted + 1);
            continue;
        }
        char name[128];
        size_t length = strcspn(wanted, ":");
        (void)snprintf(name, sizeof(name), "%.*s", (int)length, wanted);
        const char *found = find_header(in, name, value, sizeof(value));
        if (!found || strcmp(found, wanted + length + 2) != 0)
            fail_step(script, wanted, found ? found : "absent");
    }
}

static void check_body(struct http_script *script, const struct http_step *step,
                       const struct incoming *in)
{
    size_t wanted = step->body && step->body_bytes == 0 ? strlen(step->body) : step->body_bytes;
    if (step->body &&
        (in->body_bytes > wanted || memcmp(in->body, step->body, in->body_bytes) != 0))
        fail_step(script, "body", "not the bytes expected");
    if (step->body && in->body_total != wanted)
        fail_step(script, "body", "not the length expected");
    if (step->body_has && !strstr(in->body, step->body_has))
        fail_step(script, "body", in->body);
}

static void reset_connection(int fd)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void pause_ms(unsigned delay_ms)
{
    const struct timespec delay = {.tv_sec = delay_ms / 1000,
                                   .tv_nsec = (long)(delay_ms % 1000) * 1000000};
    if (delay_ms > 0)
        (void)nanosleep(&delay, NULL);
}

static void send_raw(int fd, const struct http_step *step)
{
    (void)send_all(fd, step->reply, step->reply_bytes ? step->reply_bytes : strlen(step->reply));
}

static void flood(const struct http_script *script, int fd, const struct http_step *step)
{
    size_t length = strlen(step->again);
    send_raw(fd, step);
    while (!script->stop && send_all(fd, step->again, length))
        ;
}

static void drip(const struct http_script *script, int fd, const struct http_step *step)
{
    for (const char *c = step->reply; *c != '\0' && !script->stop && send_all(fd, c, 1); c++)
        pause_ms(step->delay_ms);
}

static void send_answer(int fd, const struct http_step *step)
{
    char head[4096];
    const char *reply = step->reply ? step->reply : "";
    size_t length = step->reply_bytes ? step->reply_bytes : strlen(reply);
    int n =
        snprintf(head, sizeof(head), "HTTP/1.1 %u Scripted\r\n%sContent-Length: %zu\r\n%s\r\n",
                 step->status ? step->status : 200,
                 step->reply_headers ? step->reply_headers : "Content-Type: application/json\r\n",
                 length, step->keep_alive ? "" : "Connection: close\r\n");
    pause_ms(step->delay_ms);
    if (send_all(fd, head, (size_t)n))
        (void)send_all(fd, reply, step->action == HTTP_TRUNCATE ? step->bytes : length);
}

/* Lets the client read the answer before the connection goes. */
static void drain(struct http_script *script, int fd)
{
    char scrap[4096];
    (void)shutdown(fd, SHUT_WR);
    while (wait_readable(script, fd) && recv(fd, scrap, sizeof(scrap), 0) > 0)
        ;
}

static void act(struct http_script *script, int fd, const struct http_step *step,
                struct incoming *in)
{
    size_t wanted = in->body_total;
    if (step->action == HTTP_EARLY)
        wanted = 0;
    else if (step->action == HTTP_DROP || step->action == HTTP_STALL)
        wanted = step->bytes;
    if (!read_body(script, fd, in, wanted) && step->action != HTTP_STALL)
        fail_step(script, "body", "cut off");
    check_body(script, step, in);
    switch (step->action) {
    case HTTP_REPLY:
    case HTTP_EARLY:
    case HTTP_TRUNCATE:
        send_answer(fd, step);
        break;
    case HTTP_RAW:
        send_raw(fd, step);
        break;
    case HTTP_FLOOD:
        flood(script, fd, step);
        break;
    case HTTP_DRIP:
        drip(script, fd, step);
        break;
    case HTTP_DROP:
        reset_connection(fd);
        break;
    case HTTP_STALL:
        break;
    }
}

/* Returns false when the connection is to stay open, in silence. */
static bool serve_connection(struct http_script *script, int fd)
{
    bool again = true;
    while (again) {
        struct incoming *in = calloc(1, sizeof(*in));
        if (!in || !read_head(script, fd, in)) {
            free(in);
            return true;
        }
        if (script->done >= script->count) {
            fail_step(script, "one request too many", in->head);
            free(in);
            return true;
        }
        const struct http_step *step = &script->steps[script->done];
        check_line(script, step, in);
        check_headers(script, step, in);
        act(script, fd, step, in);
        if (step->then)
            step->then(step->then_opaque);
        again = step->keep_alive;
        if (step->action != HTTP_DROP && step->action != HTTP_STALL && !again)
            drain(script, fd);
        script->done++;
        free(in->body);
        free(in);
        if (step->action == HTTP_STALL)
            return false;
    }
    return true;
}

static void *serve(void *opaque)
{
    struct http_script *script = opaque;
    while (!script->stop) {
        struct pollfd entry = {.fd = script->listener, .events = POLLIN};
        if (poll(&entry, 1, 10) <= 0)
            continue;
        int fd = accept4(script->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        if (serve_connection(script, fd) || script->stalled_count == STALLED_MAX)
            (void)close(fd);
        else
            script->stalled[script->stalled_count++] = fd;
    }
    return NULL;
}

struct http_script *http_script_start(const struct http_step *steps, size_t count)
{
    struct http_script *script = calloc(1, sizeof(*script));
    assert_non_null(script);
    unsigned port;
    script->steps = steps;
    script->count = count;
    script->listener = listen_on_loopback(&port);
    (void)snprintf(script->url, sizeof(script->url), "http://127.0.0.1:%u", port);
    assert_int_equal(pthread_create(&script->thread, NULL, serve, script), 0);
    return script;
}

const char *http_script_url(const struct http_script *script)
{
    return script->url;
}

void http_script_finish(struct http_script *script)
{
    char failure[512];
    script->stop = true;
    (void)pthread_join(script->thread, NULL);
    (void)close(script->listener);
    for (size_t i = 0; i < script->stalled_count; i++)
        (void)close(script->stalled[i]);
    size_t missing = script->count - script->done;
    (void)snprintf(failure, sizeof(failure), "%s", script->failure);
    free(script);
    if (failure[0] != '\0')
        fail_msg("%s", failure);
    if (missing > 0)
        fail_msg("%zu requests did not come", missing);
}

unsigned http_script_unused_port(void)
{
    unsigned port;
    (void)close(listen_on_loopback(&port));
    return port;
}
