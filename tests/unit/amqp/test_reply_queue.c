/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/reply_queue.c: which name the queue has, on a broker that may not have the old one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/channel.h"
#include "amqp/reply_queue.h"
#include "amqp/topology.h"
#include "common/clock.h"

static struct reply_queue queue;
static struct error err;
static char lost_name[sizeof(queue.name)]; /* is on a node that is down; "": none */
static int lost_errnum;                    /* what is answered for it */
static int other_errnum;                   /* and for any other name; 0: done */
static struct silent_queues silent;        /* what rests is not asked for */
static unsigned declares, deletes, looks, drops;
static int look_errnum;

struct silent_queues *__wrap_connection_silent_queues(struct connection *connection)
{
    (void)connection;
    return &silent;
}

int __wrap_topology_need_reply_queue(struct connection *connection,
                                     const struct rabbit_options *options, const char *name,
                                     struct error *error)
{
    (void)connection;
    (void)options;
    declares++;
    int errnum = strcmp(name, lost_name) != 0                         ? other_errnum
                 : silent_queues_rests(&silent, name, clock_now_ms()) ? EHOSTDOWN
                                                                      : lost_errnum;
    return errnum == 0 ? 0 : error_set(error, errnum, EXC_INTERNAL_ERROR, "its node is down");
}

int __wrap_topology_look(struct connection *connection, amqp_channel_t channel, const char *name,
                         struct queue_state *ret_state, struct error *error)
{
    (void)connection, (void)ret_state;
    assert_int_equal(channel, TOPOLOGY_CHANNEL);
    assert_string_equal(name, queue.name);
    looks++;
    return look_errnum == 0 ? 0
                            : error_set(error, look_errnum, EXC_INTERNAL_ERROR, "no such queue");
}

void __wrap_connection_drop(struct connection *connection, const char *reason)
{
    (void)connection;
    assert_string_equal(reason, "no such queue");
    drops++;
    reply_queue_down(&queue);
}

amqp_connection_state_t __wrap_connection_state(const struct connection *connection)
{
    (void)connection;
    return NULL;
}

amqp_basic_consume_ok_t *__wrap_amqp_basic_consume(amqp_connection_state_t state,
                                                   amqp_channel_t channel, amqp_bytes_t name,
                                                   amqp_bytes_t tag, amqp_boolean_t no_local,
                                                   amqp_boolean_t no_ack, amqp_boolean_t exclusive,
                                                   amqp_table_t arguments)
{
    (void)state;
    (void)channel;
    (void)tag;
    (void)no_local;
    (void)no_ack;
    (void)exclusive;
    (void)arguments;
    assert_memory_equal(name.bytes, queue.name, name.len);
    return NULL;
}

int __wrap_channel_answered(struct connection *connection, amqp_channel_t channel, const char *what,
                            struct error *error)
{
    (void)connection;
    (void)channel;
    (void)what;
    (void)error;
    return 0;
}

int __wrap_amqp_send_method(amqp_connection_state_t state, amqp_channel_t channel,
                            amqp_method_number_t id, void *decoded)
{
    (void)state, (void)channel, (void)decoded;
    assert_int_equal(id, AMQP_QUEUE_DELETE_METHOD);
    deletes++;
    return AMQP_STATUS_OK;
}

int __wrap_channel_sent(struct connection *connection, int status, const char *what,
                        struct error *error)
{
    (void)connection, (void)status, (void)what, (void)error;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    declares = deletes = looks = drops = 0;
    look_errnum = 0;
    lost_errnum = EHOSTDOWN;
    other_errnum = 0;
    silent = (struct silent_queues){0};
    reply_queue_init(&queue, NULL, NULL);
    memcpy(lost_name, queue.name, sizeof(lost_name));
    return 0;
}

static void lost_since_ms(uint64_t ms)
{
    queue.lost_ms = clock_now_ms() > ms ? clock_now_ms() - ms : 1;
}

static void assert_renamed(void)
{
    if (reply_queue_up(&queue, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(queue.is_consumed);
    assert_string_not_equal(queue.name, lost_name);
    assert_int_equal(err.errnum, 0);
}

static void one_whose_node_stays_away_is_named_anew_at_once(void **state)
{
    (void)state;
    lost_since_ms(20000);
    assert_renamed();
    assert_int_equal(declares, 2);
}

static void one_that_never_was_is_named_anew_at_once(void **state)
{
    (void)state;
    assert_renamed();
}

/* Servers have replies for it, and its node may be about to give it up. */
static void one_that_was_just_lost_keeps_its_name(void **state)
{
    (void)state;
    lost_since_ms(1);
    assert_int_equal(reply_queue_up(&queue, &err), -EHOSTDOWN);
    assert_int_equal(declares, 1);
    assert_string_equal(queue.name, lost_name);
    lost_name[0] = '\0';
    err = (struct error)ERROR_INIT;
    assert_int_equal(reply_queue_up(&queue, &err), 0);
}

/* Twice nothing was heard of it, and for seconds there was no queue. */
static void it_was_silent(void)
{
    lost_since_ms(20000);
    for (int i = 0; i < 2; i++)
        silent_queues_no_answer(&silent, lost_name, clock_now_ms());
}

/* Calls under way wait for what comes there. */
static void what_a_slow_broker_was_silent_about_keeps_its_name(void **state)
{
    (void)state;
    it_was_silent();
    other_errnum = ETIMEDOUT; /* slow still */
    assert_int_equal(reply_queue_up(&queue, &err), -ETIMEDOUT);
    assert_string_equal(queue.name, lost_name);
    other_errnum = lost_errnum = 0;
    err = (struct error)ERROR_INIT;
    assert_int_equal(reply_queue_up(&queue, &err), 0);
    assert_string_equal(queue.name, lost_name);
    assert_true(queue.is_consumed);
    assert_int_equal(deletes, 1);
}

static void what_is_silent_alone_is_named_anew(void **state)
{
    (void)state;
    it_was_silent();
    lost_errnum = ETIMEDOUT;
    assert_int_equal(reply_queue_up(&queue, &err), -ETIMEDOUT);
    err = (struct error)ERROR_INIT;
    declares = 0;
    assert_renamed();
    assert_int_equal(declares, 1);
}

static void silent_and_then_refused_it_is_named_anew_at_once(void **state)
{
    (void)state;
    it_was_silent();
    assert_renamed();
}

static void assert_looked_after_ms(uint64_t pause_ms)
{
    uint64_t due_ms = reply_queue_next_ms(&queue);
    unsigned before = looks;
    assert_in_range(due_ms, clock_now_ms() + pause_ms - 1000, clock_now_ms() + pause_ms);
    reply_queue_run(&queue, due_ms - 1);
    assert_int_equal(looks, before);
    reply_queue_run(&queue, due_ms);
    assert_int_equal(looks, before + 1);
}

static void it_is_looked_at_less_and_less_often(void **state)
{
    (void)state;
    assert_int_equal(reply_queue_next_ms(&queue), NEVER_MS);
    lost_name[0] = '\0';
    assert_int_equal(reply_queue_up(&queue, &err), 0);
    for (uint64_t pause_ms = 2000; pause_ms < 60000; pause_ms *= 2)
        assert_looked_after_ms(pause_ms);
    assert_looked_after_ms(60000);
    assert_looked_after_ms(60000);
    assert_int_equal(drops, 0);
}

/* Its consumer would wait for ever, and each call until its deadline. */
static void one_that_was_forgotten_costs_the_connection(void **state)
{
    const int forgotten[] = {ENOENT, EHOSTDOWN};
    (void)state;
    lost_name[0] = '\0';
    for (size_t i = 0; i < 2; i++) {
        look_errnum = forgotten[i];
        assert_int_equal(reply_queue_up(&queue, &err), 0);
        reply_queue_run(&queue, reply_queue_next_ms(&queue));
        assert_int_equal(drops, i + 1);
        assert_int_equal(reply_queue_next_ms(&queue), NEVER_MS);
    }
    look_errnum = ETIMEDOUT; /* whoever found that has dropped it */
    assert_int_equal(reply_queue_up(&queue, &err), 0);
    reply_queue_run(&queue, reply_queue_next_ms(&queue));
    assert_int_equal(drops, 2);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(one_whose_node_stays_away_is_named_anew_at_once),
        TEST(one_that_never_was_is_named_anew_at_once),
        TEST(one_that_was_just_lost_keeps_its_name),
        TEST(what_a_slow_broker_was_silent_about_keeps_its_name),
        TEST(what_is_silent_alone_is_named_anew),
        TEST(silent_and_then_refused_it_is_named_anew_at_once),
        TEST(it_is_looked_at_less_and_less_often),
        TEST(one_that_was_forgotten_costs_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
