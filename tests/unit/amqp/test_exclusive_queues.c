/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/exclusive_queues.c: whose node is away. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/exclusive_queues.h"
#include "amqp/topology.h"

static struct exclusive_queues queues;
static struct consumer consumer;
static char lost_name[sizeof(queues.fanout_queue)]; /* is on a node that is down */
static bool is_every_node_down, is_host_queue_away;
static int fanout_errnum;
static unsigned declares; /* of fanout queues */
static char consumed[3 * sizeof(queues.fanout_queue)];

int __wrap_topology_need_queue(struct connection *connection, const struct rabbit_options *options,
                               const char *exchange, const char *queue, struct error *err)
{
    (void)connection, (void)options, (void)exchange;
    return is_host_queue_away && strcmp(queue, "compute.cmp1") == 0
               ? error_set(err, EHOSTDOWN, EXC_INTERNAL_ERROR, "its node is down")
               : 0;
}

int __wrap_topology_need_fanout(struct connection *connection, const struct rabbit_options *options,
                                const char *topic, const char *queue, struct error *err)
{
    (void)connection, (void)options, (void)topic;
    declares++;
    return is_every_node_down || strcmp(queue, lost_name) == 0
               ? error_set(err, fanout_errnum, EXC_INTERNAL_ERROR, "its node is down")
               : 0;
}

static bool consume(const char *queue)
{
    size_t used = strlen(consumed);
    (void)snprintf(consumed + used, sizeof(consumed) - used, "%s ", queue);
    return true;
}

bool __wrap_consumer_start(struct consumer *it, const char *queue, const char *tag)
{
    (void)it, (void)tag;
    return consume(queue);
}

bool __wrap_consumer_start_host_queue(struct consumer *it, const char *queue)
{
    (void)it;
    return consume(queue);
}

static int set_up(void **state)
{
    (void)state;
    static char topic[] = "compute", exchange[] = "nova";
    static const struct bus_settings settings = {.topic = topic, .control_exchange = exchange};
    is_every_node_down = is_host_queue_away = false;
    fanout_errnum = EHOSTDOWN;
    declares = 0;
    consumed[0] = '\0';
    exclusive_queues_init(&queues, &settings, &consumer, "compute.cmp1");
    memcpy(lost_name, queues.fanout_queue, sizeof(lost_name));
    return 0;
}

static void its_own_queue_on_a_dead_node_is_named_anew(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    char expected[sizeof(consumed)];
    assert_int_equal(exclusive_queues_consume(&queues, &err), 0);
    assert_int_equal(err.errnum, 0);
    assert_string_not_equal(queues.fanout_queue, lost_name);
    assert_memory_equal(queues.fanout_queue, "compute_fanout_", 15);
    (void)snprintf(expected, sizeof(expected), "compute compute.cmp1 %s ", queues.fanout_queue);
    assert_string_equal(consumed, expected);
    assert_int_equal(declares, 2);
}

static void once_at_a_time(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    is_every_node_down = true;
    assert_int_equal(exclusive_queues_consume(&queues, &err), -EHOSTDOWN);
    assert_int_equal(err.errnum, EHOSTDOWN);
    assert_int_equal(declares, 2);
    assert_string_equal(consumed, "");
}

static void what_is_not_away_keeps_its_name(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    is_host_queue_away = true;
    assert_int_equal(exclusive_queues_consume(&queues, &err), -EHOSTDOWN);
    assert_int_equal(declares, 0);
    is_host_queue_away = false;
    fanout_errnum = ETIMEDOUT;
    err = (struct error)ERROR_INIT;
    assert_int_equal(exclusive_queues_consume(&queues, &err), -ETIMEDOUT);
    assert_int_equal(declares, 1);
    assert_string_equal(queues.fanout_queue, lost_name);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(its_own_queue_on_a_dead_node_is_named_anew),
        TEST(once_at_a_time),
        TEST(what_is_not_away_keeps_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
