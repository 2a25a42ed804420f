/* SPDX-License-Identifier: Apache-2.0 */
/* control/metrics_server.c: where it listens, and what it answers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/control_ops.h"
#include "control/metrics_server.h"

#define WAIT_MS 20000

static struct metrics_server *server;
static struct error err;
static const char *metrics; /* NULL: there is no memory for them */

static char *make_text(void *arg)
{
    assert_ptr_equal(arg, &metrics);
    return metrics ? strdup(metrics) : NULL;
}

static int start(const char *address)
{
    return metrics_server_start(address, make_text, &metrics, &server, &err);
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    metrics = "a_metric 1\n";
    return start("0");
}

static int tear_down(void **state)
{
    (void)state;
    metrics_server_stop(server);
    server = NULL;
    return 0;
}

static int connect_to_it(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)metrics_server_port(server)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* All that comes until the other side ends it; kept until the next one. */
static const char *ask(const char *request)
{
    static char text[4096];
    size_t used = 0;
    int fd = connect_to_it();
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    (void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
    while (poll(&entry, 1, WAIT_MS) == 1) {
        ssize_t n = recv(fd, text + used, sizeof(text) - 1 - used, 0);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    text[used] = '\0';
    (void)close(fd);
    return text;
}

#define REQUEST(method, path) method " " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void it_answers_with_the_metrics(void **state)
{
    (void)state;
    const char *text = ask(REQUEST("GET", "/metrics"));
    assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(text, "Content-Type: " CONTROL_METRICS_TYPE "\r\n"));
    assert_non_null(strstr(text, "\r\n\r\na_metric 1\n"));
    metrics = NULL;
    assert_memory_equal(ask(REQUEST("GET", "/metrics")), "HTTP/1.1 500 ", 13);
}

static void it_has_nothing_else(void **state)
{
    (void)state;
    assert_memory_equal(ask(REQUEST("GET", "/v1/status")), "HTTP/1.1 404 ", 13);
    assert_memory_equal(ask(REQUEST("POST", "/v1/drain")), "HTTP/1.1 404 ", 13);
    assert_memory_equal(ask(REQUEST("DELETE", "/metrics")), "HTTP/1.1 405 ", 13);
    assert_string_equal(ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                            "Content-Length: 2\r\n\r\nxx"),
                        "");
}

static void a_client_that_says_nothing_keeps_nobody_waiting(void **state)
{
    (void)state;
    int fd = connect_to_it();
    assert_memory_equal(ask(REQUEST("GET", "/metrics")), "HTTP/1.1 200 ", 13);
    (void)close(fd);
}

static void it_stands_on_loopback_unless_it_is_told(void **state)
{
    (void)state;
    char address[64];
    struct metrics_server *first = server;
    (void)snprintf(address, sizeof(address), "%u", metrics_server_port(first));
    assert_int_equal(start(address), -EADDRINUSE);
    (void)snprintf(address, sizeof(address), "127.0.0.2:%u", metrics_server_port(first));
    assert_int_equal(start(address), 0); /* it is not everywhere */
    metrics_server_stop(server);
    server = first;
}

static void what_is_no_address_is_told(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",           "x",         "127.0.0.1:", ":9090",
                                        "::1:9090",   "[::1]9090", "a.b.c:80",   "127.0.0.1:70000",
                                        "localhost:1"};
    struct metrics_server *first = server;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        err = (struct error)ERROR_INIT;
        int r = start(wrong[i]);
        if (r != -EINVAL)
            fail_msg("'%s' is %d, not -EINVAL", wrong[i], r);
        assert_true(err.message[0] != '\0');
        assert_ptr_equal(server, first);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_answers_with_the_metrics),
        TEST(it_has_nothing_else),
        TEST(a_client_that_says_nothing_keeps_nobody_waiting),
        TEST(it_stands_on_loopback_unless_it_is_told),
        TEST(what_is_no_address_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
