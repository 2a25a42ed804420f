/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/queue_declare.c: what the broker's answers mean. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/channel.h"
#include "amqp/queue_declare.h"

static struct silent_queues silent;
static unsigned asked;
static int answer; /* 0 or the errno of a refusal */
static const char *words;

struct silent_queues *__wrap_connection_silent_queues(struct connection *connection)
{
    (void)connection;
    return &silent;
}

amqp_connection_state_t __wrap_connection_state(const struct connection *connection)
{
    (void)connection;
    return NULL;
}

amqp_queue_declare_ok_t *
__wrap_amqp_queue_declare(amqp_connection_state_t state, amqp_channel_t channel, amqp_bytes_t name,
                          amqp_boolean_t passive, amqp_boolean_t durable, amqp_boolean_t exclusive,
                          amqp_boolean_t auto_delete, amqp_table_t arguments)
{
    (void)state, (void)channel, (void)name, (void)passive, (void)durable, (void)exclusive;
    (void)auto_delete, (void)arguments;
    static amqp_queue_declare_ok_t ok = {.message_count = 3, .consumer_count = 2};
    asked++;
    return answer == 0 ? &ok : NULL;
}

int __wrap_channel_answered(struct connection *connection, amqp_channel_t channel, const char *what,
                            struct error *err)
{
    (void)connection, (void)channel;
    return answer == 0 ? 0 : error_set(err, answer, EXC_INTERNAL_ERROR, "%s: %s", what, words);
}

static int ask(bool passive, int says, const char *text, struct error *err)
{
    const struct queue_declaration wanted = {.name = "compute.a", .passive = passive};
    struct queue_state queue = {.ready = 77};
    answer = says;
    words = text;
    *err = (struct error)ERROR_INIT;
    int r = queue_declare(NULL, TOPOLOGY_CHANNEL, &wanted, &queue, err);
    assert_int_equal(queue.ready, r == 0 ? 3 : 77);
    assert_int_equal(err->errnum, -r);
    return r;
}

static void a_queue_whose_node_is_away_is_none_that_is_missing(void **state)
{
    (void)state;
    static const char *const away[] = {
        "404 NOT_FOUND - home node 'r@a' of durable queue 'q' in vhost '/' is down or inaccessible",
        "404 NOT_FOUND - queue 'q' in vhost '/' process is stopped by supervisor",
        "404 NOT_FOUND - failed to perform operation on queue 'q' in vhost '/' due to timeout",
        "404 NOT_FOUND - queue 'q' in vhost '/' has crashed and failed to restart",
        "404 NOT_FOUND - home node 'rabbit@a' of durable queue 'q, which is lo...", /* cut */
    };
    struct error err;
    for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++) {
        assert_int_equal(ask(true, ENOENT, away[i], &err), -EHOSTDOWN);
        assert_non_null(strstr(err.message, away[i]));
    }
    assert_int_equal(ask(true, ENOENT, "404 NOT_FOUND - no queue 'q' in vhost '/'", &err), -ENOENT);
    assert_int_equal(ask(false, ENOENT, "404 in other words", &err), -EHOSTDOWN);
    assert_int_equal(ask(false, EEXIST, "406 PRECONDITION_FAILED", &err), -EEXIST);
    assert_int_equal(ask(true, 0, "", &err), 0);
}

static void one_that_gets_no_answer_is_not_asked_for_again_and_again(void **state)
{
    (void)state;
    struct error err;
    asked = 0;
    assert_int_equal(ask(true, ETIMEDOUT, "request timed out", &err), -ETIMEDOUT);
    assert_int_equal(ask(true, ECONNRESET, "lost", &err), -ECONNRESET);
    assert_int_equal(ask(true, ETIMEDOUT, "request timed out", &err), -ETIMEDOUT);
    assert_int_equal(ask(true, 0, "", &err), -EHOSTDOWN);
    assert_non_null(strstr(err.message, "queue.declare 'compute.a': the broker did not answer"));
    assert_int_equal(asked, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_whose_node_is_away_is_none_that_is_missing),
        cmocka_unit_test(one_that_gets_no_answer_is_not_asked_for_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
