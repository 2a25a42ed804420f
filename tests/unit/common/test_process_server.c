/* SPDX-License-Identifier: Apache-2.0 */
/* common/process_server.c */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/process_server.h"

static struct error err;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    return 0;
}

/* A listening socket; *ret_name is how to connect to it. */
static int listening(struct sockaddr_un *ret_name, socklen_t *ret_length)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *ret_name = (struct sockaddr_un){.sun_family = AF_UNIX};
    *ret_length = sizeof(*ret_name);
    assert_int_equal(bind(fd, (struct sockaddr *)ret_name, sizeof(ret_name->sun_family)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_name, ret_length), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* Its end shows in the socket, which nobody else has open. */
static struct process_server *start_server(const char *script, int *ret_client)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct sockaddr_un name;
    socklen_t length;
    struct process_server *server = NULL;
    int fd = listening(&name, &length);
    *ret_client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*ret_client, (struct sockaddr *)&name, length), 0);
    assert_int_equal(process_server_start(argv, fd, PROCESS_SANDBOX_NONE, &server, &err), 0);
    close(fd);
    return server;
}

static void await_end_of(int client)
{
    char byte;
    assert_true(recv(client, &byte, 1, 0) <= 0);
}

static const char *blame_server(struct process_server *server)
{
    (void)error_set(&err, EIO, EXC_INTERNAL_ERROR, "it broke");
    assert_int_equal(process_server_blame(server, &err), -EIO);
    return err.message;
}

static void it_is_given_the_socket_as_systemd_does(void **state)
{
    (void)state;
    int client;
    struct process_server *server = start_server(
        "exec >&2; [ $LISTEN_PID = $$ ] && echo $LISTEN_FDS && readlink /proc/self/fd/3 | "
        "cut -c 1-7; ls /proc/self/fd", /* which has the folder open itself */
        &client);
    await_end_of(client);
    assert_string_equal(blame_server(server), "it broke (sh: 1 socket: 0 1 2 3 4)");
    process_server_end(server);
    close(client);
}

static void what_it_says_is_bounded_and_holds_nobody_up(void **state)
{
    (void)state;
    int client;
    struct process_server *server = start_server(
        "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); echo line $i; echo line $i >&2; done",
        &client);
    await_end_of(client);
    assert_non_null(strstr(blame_server(server), " line "));
    assert_true(strlen(err.message) < 700);
    process_server_end(server);
    close(client);
}

static void its_end_is_waited_for(void **state)
{
    (void)state;
    int client;
    uint64_t began_ms = clock_now_ms();
    struct process_server *server = start_server("trap '' TERM; sleep 60 & wait", &client);
    assert_non_null(strstr(blame_server(server), "it printed no reason"));
    process_server_end(server);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    await_end_of(client); /* nor is anything left of its group */
    assert_true(clock_now_ms() - began_ms < 20000);
    close(client);
    process_server_end(NULL);
}

/* The server is its parent's grandchild: the socket, which it alone has open then, tells. */
static void it_dies_with_who_has_started_it(void **state)
{
    (void)state;
    int ends[2], client;
    char byte;
    struct sockaddr_un name;
    socklen_t length;
    int fd = listening(&name, &length);
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&name, length), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        const char *const argv[] = {"sleep", "60", NULL};
        struct process_server *server = NULL;
        (void)close(client);
        if (process_server_start(argv, fd, PROCESS_SANDBOX_NONE, &server, &err) == 0)
            (void)!write(ends[1], "", 1);
        (void)pause();
    }
    (void)close(fd);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    await_end_of(client);
    (void)close(client);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void a_program_that_is_missing(void **state)
{
    (void)state;
    const char *const argv[] = {"no-such-server", NULL};
    struct sockaddr_un name;
    socklen_t length;
    struct process_server *server = NULL;
    int fd = listening(&name, &length);
    assert_int_equal(process_server_start(argv, fd, PROCESS_SANDBOX_NONE, &server, &err), -ENOENT);
    assert_null(server);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_is_given_the_socket_as_systemd_does, set_up),
        cmocka_unit_test_setup(what_it_says_is_bounded_and_holds_nobody_up, set_up),
        cmocka_unit_test_setup(its_end_is_waited_for, set_up),
        cmocka_unit_test_setup(it_dies_with_who_has_started_it, set_up),
        cmocka_unit_test_setup(a_program_that_is_missing, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
