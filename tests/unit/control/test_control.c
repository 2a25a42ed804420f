/* SPDX-License-Identifier: Apache-2.0 */
/* control/control.c, control/listener.c: who may connect, and clients that behave badly. */
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control.h"
#include "control/listener.h"
#include "ops.h"

#define WAIT_MS 20000

static char folder[32], path[64];
static struct control *control;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    memset(&asked, 0, sizeof(asked));
    err = (struct error)ERROR_INIT;
    (void)strcpy(folder, "/tmp/test-control-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/control", folder);
    assert_int_equal(control_start(path, &ops, NULL, &control, &err), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    control_stop(control);
    assert_int_equal(access(path, F_OK), -1);
    return rmdir(folder);
}

static int connect_to_it(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void send_text(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* All that comes until the other side ends it; kept until the next one. */
static const char *receive_all(int fd)
{
    static char text[8192];
    size_t used = 0;
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    while (poll(&entry, 1, WAIT_MS) == 1) {
        ssize_t n = recv(fd, text + used, sizeof(text) - 1 - used, 0);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    text[used] = '\0';
    return text;
}

static const char *ask(const char *request)
{
    int fd = connect_to_it();
    send_text(fd, request);
    const char *text = receive_all(fd);
    (void)close(fd);
    return text;
}

#define STATUS "GET /v1/status?x=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void it_answers_in_json(void **state)
{
    (void)state;
    const char *text = ask(STATUS);
    assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(text, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(text, "\r\n\r\n{\"host\":\"cmp1\"}"));
}

static void metrics_are_text(void **state)
{
    (void)state;
    const char *text = ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(text, "Content-Type: " CONTROL_METRICS_TYPE "\r\n"));
    assert_non_null(strstr(text, "\r\n\r\na_metric 1\n"));
}

static void a_body_may_come_in_pieces(void **state)
{
    (void)state;
    int fd = connect_to_it();
    send_text(fd, "PUT /v1/throttle HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                  "Content-Length: 25\r\n\r\n{\"upload_rat");
    send_text(fd, "e_limit\": 12}");
    assert_memory_equal(receive_all(fd), "HTTP/1.1 200 ", 13);
    assert_string_equal(asked.story, "rates -1 -1 12 -1");
    (void)close(fd);
}

static void only_its_user_may_connect(void **state)
{
    struct stat st;
    (void)state;
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & ALLPERMS, 0600);
    assert_int_equal(st.st_uid, geteuid());
}

/* More than a body may be; a head without an end. */
static void what_is_too_much_is_not_kept(void **state)
{
    (void)state;
    char *much = malloc(100001);
    assert_non_null(much);
    memset(much, 'x', 100000);
    much[100000] = '\0';
    int fd = connect_to_it();
    send_text(fd, "PUT /v1/throttle HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    send_text(fd, much);
    assert_null(strstr(receive_all(fd), " 200 "));
    (void)close(fd);
    fd = connect_to_it();
    send_text(fd, "GET /");
    send_text(fd, much);
    assert_null(strstr(receive_all(fd), " 200 "));
    (void)close(fd);
    free(much);
    assert_string_equal(asked.story, "");
    assert_non_null(strstr(ask(STATUS), "cmp1"));
}

/* Some wait in the middle of a request, some say nothing; the others are answered meanwhile. */
static void a_stuck_client_holds_only_itself(void **state)
{
    int stuck[12];
    (void)state;
    for (size_t i = 0; i < 12; i++) {
        stuck[i] = connect_to_it();
        if (i % 2 == 0)
            send_text(stuck[i], "PUT /v1/throttle HTTP/1.1\r\nContent-Length: 5\r\n\r\n{");
    }
    assert_non_null(strstr(ask(STATUS), "cmp1"));
    for (size_t i = 0; i < 12; i++)
        (void)close(stuck[i]);
}

/* More than there is place for: others are turned away, until they are. */
static void no_place_is_held_for_ever(void **state)
{
    int stuck[20];
    (void)state;
    for (size_t i = 0; i < 20; i++) {
        stuck[i] = connect_to_it();
        send_text(stuck[i], "GET /v1/sta");
    }
    bool answered = false;
    for (int waited_ms = 0; !answered && waited_ms < WAIT_MS; waited_ms += 50) {
        answered = strstr(ask(STATUS), "cmp1") != NULL;
        (void)poll(NULL, 0, answered ? 0 : 50);
    }
    assert_true(answered);
    for (size_t i = 0; i < 20; i++)
        (void)close(stuck[i]);
}

static void a_silent_client_is_sent_away(void **state)
{
    (void)state;
    int fd = connect_to_it();
    send_text(fd, "GET /v1/sta");
    assert_null(strstr(receive_all(fd), " 200 "));
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&entry, 1, 0), 1);
    assert_true(entry.revents & (POLLHUP | POLLIN));
    (void)close(fd);
}

static atomic_bool others_are_answered;

/* Longer than a client may be silent. */
static void look_for_long(void)
{
    while (!others_are_answered)
        (void)poll(NULL, 0, 10);
    (void)poll(NULL, 0, 6000);
}

static void a_slow_answer_holds_up_nobody(void **state)
{
    (void)state;
    others_are_answered = false;
    asked.on_doctor = look_for_long;
    int fd = connect_to_it();
    send_text(fd, "GET /v1/doctor HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(ask(STATUS), "cmp1"));
    others_are_answered = true;
    assert_non_null(strstr(receive_all(fd), "\r\n\r\n{\"status\":\"ok\"}"));
    (void)close(fd);
}

/* Its answer gives it no more time than it had before. */
static void a_client_that_was_answered_is_sent_away(void **state)
{
    char byte;
    (void)state;
    int fd = connect_to_it();
    send_text(fd, "GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(receive_all(fd), "cmp1"));
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0); /* it was ended by the other side */
    (void)close(fd);
}

static void no_memory_is_no_answer(void **state)
{
    (void)state;
    asked.no_memory = true;
    assert_string_equal(ask("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "");
    assert_non_null(strstr(ask(STATUS), "cmp1"));
}

static void nobody_is_driven_out(void **state)
{
    (void)state;
    struct control *second = NULL;
    assert_int_equal(control_start(path, &ops, NULL, &second, &err), -EADDRINUSE);
    assert_null(second);
    assert_non_null(strstr(ask(STATUS), "cmp1"));
}

static void the_place_of_one_that_died_is_taken(void **state)
{
    int fd;
    char other[80];
    (void)state;
    (void)snprintf(other, sizeof(other), "%s-2", path);
    assert_int_equal(listener_open(other, &fd, &err), 0);
    (void)close(fd); /* and the file stays, as after kill -9 */
    assert_int_equal(listener_open(other, &fd, &err), 0);
    (void)close(fd);
    assert_int_equal(unlink(other), 0);
}

static void what_is_no_socket_stays(void **state)
{
    int fd = -1;
    char other[256];
    (void)state;
    (void)snprintf(other, sizeof(other), "%s-2", path);
    FILE *file = fopen(other, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(listener_open(other, &fd, &err), -EEXIST);
    assert_int_equal(unlink(other), 0);
    memset(other, 'x', 200);
    other[200] = '\0';
    err = (struct error)ERROR_INIT;
    assert_int_equal(listener_open(other, &fd, &err), -ENAMETOOLONG);
    err = (struct error)ERROR_INIT;
    assert_int_equal(listener_open("/nowhere/at/all", &fd, &err), -ENOENT);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    assert_int_equal(fd, -1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_answers_in_json),
        TEST(metrics_are_text),
        TEST(a_body_may_come_in_pieces),
        TEST(only_its_user_may_connect),
        TEST(what_is_too_much_is_not_kept),
        TEST(a_stuck_client_holds_only_itself),
        TEST(no_place_is_held_for_ever),
        TEST(a_silent_client_is_sent_away),
        TEST(a_slow_answer_holds_up_nobody),
        TEST(a_client_that_was_answered_is_sent_away),
        TEST(no_memory_is_no_answer),
        TEST(nobody_is_driven_out),
        TEST(the_place_of_one_that_died_is_taken),
        TEST(what_is_no_socket_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
