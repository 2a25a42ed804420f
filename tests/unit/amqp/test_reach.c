/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/reach.c, amqp/status_text.c, amqp/bus_thread.c: small things beside librabbitmq. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "amqp/bus_thread.h"
#include "amqp/librabbitmq.h"
#include "amqp/reach.h"
#include "amqp/status_text.h"
#include "common/cleanup.h"
#include "fixture.h"

static void why_a_host_cannot_be_reached(void **state)
{
    (void)state;
    static char loopback[] = "127.0.0.1", nowhere[] = "no-such-host.invalid";
    struct transport_host host = {.hostname = loopback};
    cleanup_close int fd = closed_port(&host.port);
    assert_int_equal(reach_errno(&host, 20000), ECONNREFUSED);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(reach_errno(&host, 20000), 0);
    host.hostname = nowhere;
    assert_int_equal(reach_errno(&host, 20000), 0);
}

static void a_status_is_told_with_its_errno(void **state)
{
    (void)state;
    char text[STATUS_TEXT_SIZE];
    errno = ECONNRESET;
    assert_string_equal(status_text(AMQP_STATUS_SOCKET_ERROR, text),
                        "a socket error occurred: Connection reset by peer");
    assert_string_equal(status_text_errno(AMQP_STATUS_SOCKET_ERROR, 0, text),
                        "a socket error occurred");
    assert_null(strstr(status_text_errno(AMQP_STATUS_TIMEOUT, ECONNRESET, text), "reset"));
}

#define LEVEL_BYTES 6 /* the length, a key without a name, its type */
#define DEPTH (131072 / LEVEL_BYTES)

static unsigned char nested[4 + DEPTH * LEVEL_BYTES];

static void *decode_nested(void *arg)
{
    amqp_pool_t pool;
    amqp_table_t table;
    size_t offset = 0;
    init_amqp_pool(&pool, 4096);
    *(int *)arg = amqp_decode_table((amqp_bytes_t){sizeof(nested), nested}, &pool, &table, &offset);
    empty_amqp_pool(&pool);
    return NULL;
}

/* However small the stacks of other threads are. Newer librabbitmq refuses one as deep. */
static void the_deepest_table_fits_on_the_stack(void **state)
{
    (void)state;
    pthread_attr_t attr;
    pthread_t thread;
    int status = -1;
    for (size_t i = 0; i <= DEPTH; i++) {
        const uint32_t length = htonl((uint32_t)((DEPTH - i) * LEVEL_BYTES));
        memcpy(nested + i * LEVEL_BYTES, &length, sizeof(length));
        if (i < DEPTH)
            nested[i * LEVEL_BYTES + 5] = 'F';
    }
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, 1 << 20);
    (void)pthread_setattr_default_np(&attr);
    (void)pthread_attr_destroy(&attr);
    assert_int_equal(bus_thread_start(&thread, decode_nested, &status), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(status == AMQP_STATUS_OK || status == AMQP_STATUS_BAD_AMQP_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(why_a_host_cannot_be_reached),
        cmocka_unit_test(a_status_is_told_with_its_errno),
        cmocka_unit_test(the_deepest_table_fits_on_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
