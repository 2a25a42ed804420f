/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/rpc_server.c, attachment.c, intake.c, consumer.c: what is said to the broker, and in which
 * order, beside nova-compute. The broker is played here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "amqp/channel.h"
#include "amqp/rpc_server.h"
#include "amqp/topology.h"
#include "common/clock.h"

static struct {
    char story[512]; /* what the broker was told, and the callee */
    bool is_up;
    struct queue_state queue; /* without our own consumer */
    bool is_consumed;         /* by us */
    bool writes;              /* write_down() */
    int look_errnum;          /* 0 = looks succeed */
    bool takes_doubts;
} world;

static struct rpc_server *server;
static struct replies *replies;
static struct attachment_flags flags;
static int wake_fd;

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
    va_list ap;
    size_t used = strlen(world.story);
    va_start(ap, format);
    (void)vsnprintf(world.story + used, sizeof(world.story) - used, format, ap);
    va_end(ap);
}

/* What was told since the last time. */
static void expect_story(const char *expected)
{
    assert_string_equal(world.story, expected);
    world.story[0] = '\0';
}

bool __wrap_connection_is_up(const struct connection *connection);
bool __wrap_connection_is_up(const struct connection *connection)
{
    (void)connection;
    return world.is_up;
}

void __wrap_connection_drop(struct connection *connection, const char *reason);
void __wrap_connection_drop(struct connection *connection, const char *reason)
{
    (void)connection, (void)reason;
    tell("drop ");
    world.is_up = false;
}

amqp_connection_state_t __wrap_connection_state(const struct connection *connection);
amqp_connection_state_t __wrap_connection_state(const struct connection *connection)
{
    (void)connection;
    return NULL;
}

int __wrap_channel_answered(struct connection *connection, amqp_channel_t channel, const char *what,
                            struct error *err);
int __wrap_channel_answered(struct connection *connection, amqp_channel_t channel, const char *what,
                            struct error *err)
{
    (void)connection, (void)channel, (void)what, (void)err;
    tell("answered ");
    return 0;
}

int __wrap_topology_look(struct connection *connection, amqp_channel_t channel, const char *queue,
                         struct queue_state *ret_state, struct error *err);
int __wrap_topology_look(struct connection *connection, amqp_channel_t channel, const char *queue,
                         struct queue_state *ret_state, struct error *err)
{
    (void)connection;
    tell("look-%u ", channel);
    if (world.look_errnum != 0)
        return error_set(err, world.look_errnum, EXC_INTERNAL_ERROR, "the channel was closed");
    *ret_state = (struct queue_state){0};
    if (strcmp(queue, "compute.cmp1") != 0) /* another name of the host */
        return 0;
    *ret_state = world.queue;
    ret_state->consumers += world.is_consumed ? 1 : 0;
    return 0;
}

bool __wrap_host_claim_take(struct host_claim *claim, struct connection *connection);
bool __wrap_host_claim_take(struct host_claim *claim, struct connection *connection)
{
    (void)claim, (void)connection;
    return true;
}

int __wrap_exclusive_queues_consume(struct exclusive_queues *queues, struct error *err);
int __wrap_exclusive_queues_consume(struct exclusive_queues *queues, struct error *err)
{
    (void)queues, (void)err;
    return 0;
}

int __wrap_amqp_send_method(amqp_connection_state_t state, amqp_channel_t channel,
                            amqp_method_number_t id, void *decoded);
int __wrap_amqp_send_method(amqp_connection_state_t state, amqp_channel_t channel,
                            amqp_method_number_t id, void *decoded)
{
    (void)state;
    assert_int_equal(channel, SERVER_CHANNEL);
    if (id == AMQP_BASIC_CONSUME_METHOD) {
        const amqp_basic_consume_t *consume = decoded;
        assert_int_equal(consume->arguments.num_entries, 1); /* the priority */
        world.is_consumed = true;
        tell("consume-%s ", (const char *)consume->consumer_tag.bytes);
    } else if (id == AMQP_BASIC_CANCEL_METHOD) {
        world.is_consumed = false;
        tell("cancel-%s ", (const char *)((amqp_basic_cancel_t *)decoded)->consumer_tag.bytes);
    } else {
        assert_int_equal(id, AMQP_BASIC_QOS_METHOD);
        tell("ask ");
    }
    return AMQP_STATUS_OK;
}

int __wrap_amqp_basic_ack(amqp_connection_state_t state, amqp_channel_t channel,
                          uint64_t delivery_tag, amqp_boolean_t multiple);
int __wrap_amqp_basic_ack(amqp_connection_state_t state, amqp_channel_t channel,
                          uint64_t delivery_tag, amqp_boolean_t multiple)
{
    (void)state, (void)channel;
    assert_false(multiple);
    tell("ack-%u ", (unsigned)delivery_tag);
    return AMQP_STATUS_OK;
}

int __wrap_amqp_basic_nack(amqp_connection_state_t state, amqp_channel_t channel,
                           uint64_t delivery_tag, amqp_boolean_t multiple, amqp_boolean_t requeue);
int __wrap_amqp_basic_nack(amqp_connection_state_t state, amqp_channel_t channel,
                           uint64_t delivery_tag, amqp_boolean_t multiple, amqp_boolean_t requeue)
{
    (void)state, (void)channel;
    assert_false(multiple);
    assert_true(requeue);
    tell("nack-%u ", (unsigned)delivery_tag);
    return AMQP_STATUS_OK;
}

amqp_basic_cancel_ok_t *__wrap_amqp_basic_cancel(amqp_connection_state_t state,
                                                 amqp_channel_t channel, amqp_bytes_t tag);
amqp_basic_cancel_ok_t *__wrap_amqp_basic_cancel(amqp_connection_state_t state,
                                                 amqp_channel_t channel, amqp_bytes_t tag)
{
    (void)state, (void)channel;
    world.is_consumed = false;
    tell("cancel-%s ", (const char *)tag.bytes);
    return NULL;
}

amqp_basic_qos_ok_t *__wrap_amqp_basic_qos(amqp_connection_state_t state, amqp_channel_t channel,
                                           uint32_t size, uint16_t count, amqp_boolean_t global);
amqp_basic_qos_ok_t *__wrap_amqp_basic_qos(amqp_connection_state_t state, amqp_channel_t channel,
                                           uint32_t size, uint16_t count, amqp_boolean_t global)
{
    (void)state, (void)channel, (void)size, (void)global;
    tell("qos-%u ", count);
    return NULL;
}

static enum rpc_verdict accept_request(void *arg, const struct rpc_request *request)
{
    (void)arg;
    return strcmp(request->method, "snapshot_instance") == 0 ? RPC_SERVE : RPC_PUT_BACK;
}

static bool write_request_down(void *arg, const struct rpc_request *request, void **claim)
{
    (void)arg, (void)request, (void)claim;
    tell("write ");
    return world.writes;
}

static void serve_request(void *arg, struct rpc_request *request, void *claim)
{
    (void)arg, (void)claim;
    tell("serve ");
    rpc_request_free(request);
}

static void withdraw_request(void *arg, void *claim)
{
    (void)arg, (void)claim;
    tell("withdraw ");
}

static bool doubt_request(void *arg, struct rpc_request *request, void *claim)
{
    (void)arg, (void)claim;
    tell("doubt ");
    if (world.takes_doubts)
        rpc_request_free(request);
    return world.takes_doubts;
}

static int make_server(enum bus_attach attach)
{
    static const struct rpc_server_ops ops = {accept_request, write_request_down, serve_request,
                                              withdraw_request, doubt_request};
    static char topic[] = "compute", host[] = "cmp1";
    static struct bus_settings settings = {
        .topic = topic, .server = host, .attach_poll_interval_s = 5};
    settings.attach = attach;
    memset(&world, 0, sizeof(world));
    world.is_up = world.writes = true;
    world.queue.consumers = 1;
    atomic_store(&flags.aside, 0);
    wake_fd = eventfd(0, EFD_CLOEXEC);
    replies = replies_new(&settings, NULL);
    const struct rpc_server_setup server_setup = {.settings = &settings,
                                                  .replies = replies,
                                                  .flags = &flags,
                                                  .wake_fd = wake_fd,
                                                  .ops = &ops};
    server = rpc_server_new(&server_setup);
    return server ? 0 : -1;
}

static int setup(void **state)
{
    (void)state;
    return make_server(BUS_ATTACH_SHARED);
}

static int setup_exclusive(void **state)
{
    (void)state;
    return make_server(BUS_ATTACH_EXCLUSIVE);
}

static int teardown(void **state)
{
    (void)state;
    rpc_server_free(server);
    replies_free(replies);
    return close(wake_fd);
}

/* What is due in the millisecond of a run may be left to the next one. */
static void run_server(uint64_t later_ms)
{
    rpc_server_run(server, clock_now_ms() + later_ms);
}

static void attach_server(void)
{
    struct error err = ERROR_INIT;
    assert_int_equal(rpc_server_up(server, &err), 0);
    run_server(0);
    assert_true(atomic_load(&flags.attached));
    world.story[0] = '\0';
}

static void deliver(uint64_t delivery_tag, const char *method, const char *unique_id)
{
    char body[128];
    int length = snprintf(body, sizeof(body), "{\"method\": \"%s\", \"_unique_id\": \"%s\"}",
                          method, unique_id);
    const struct amqp_content content = {.channel = SERVER_CHANNEL,
                                         .delivery_tag = delivery_tag,
                                         .is_plain_json = true,
                                         .size_bytes = (uint64_t)length,
                                         .body = body,
                                         .length = (size_t)length};
    rpc_server_request(server, &content);
}

/* The writer is through with one. */
static void await_writer(void)
{
    eventfd_t n;
    assert_int_equal(eventfd_read(wake_fd, &n), 0);
}

static void it_attaches_behind_its_prefetch(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(rpc_server_up(server, &err), 0);
    expect_story("qos-64 answered ");
    run_server(0);
    expect_story("look-2 consume-1 ");
}

static void alone_it_does_not_attach(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    world.queue.consumers = 0;
    assert_int_equal(rpc_server_up(server, &err), 0);
    world.story[0] = '\0';
    run_server(0);
    expect_story("look-2 ");
    world.queue.consumers = 1;
    run_server(6000);
    expect_story("look-2 consume-1 ");
    world.queue.consumers = 0;
    run_server(12000);
    expect_story("look-1 cancel-1 ");
    assert_false(atomic_load(&flags.attached));
}

/* The consuming channel is opened anew then, without its consumer: whoever has looked. */
static void a_look_that_fails_costs_the_connection(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct queue_state others = {.ready = 77};
    world.look_errnum = ECONNRESET;
    assert_int_equal(rpc_server_look(server, &others, &err), -ECONNRESET);
    expect_story("look-2 "); /* nothing is held there yet */
    world.look_errnum = 0;
    attach_server();
    world.look_errnum = ECONNRESET;
    assert_int_equal(rpc_server_look(server, &others, &err), -ECONNRESET);
    expect_story("look-1 drop ");
    assert_int_equal(others.ready, 77);
}

static void a_queue_on_a_node_that_is_away_is_waited_for(void **state)
{
    (void)state;
    world.look_errnum = EHOSTDOWN;
    world.queue.consumers = 1;
    run_server(0);
    run_server(7000);
    expect_story("look-2 look-2 ");
    world.look_errnum = 0;
    run_server(14000);
    expect_story("look-2 consume-1 ");
    assert_true(atomic_load(&flags.attached));
}

/* Whoever consumes it: also while no request is for us. */
static void a_queue_is_given_out_when_nothing_waits_in_it(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(rpc_server_up(server, &err), 0);
    atomic_store(&flags.aside, 1);
    rpc_server_stand_aside(server);
    const struct {
        unsigned ready, consumers;
        int look_errnum;
        bool is_given_out;
    } looks[] = {{0, 0, 0, false}, {1, 0, 0, false}, {1, 1, 0, false},         {0, 1, 0, true},
                 {1, 1, 0, false}, {0, 1, 0, true},  {0, 1, EHOSTDOWN, false}, {0, 1, 0, true},
                 {0, 0, 0, false}, {0, 1, 0, true}};
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        world.queue.ready = looks[i].ready;
        world.queue.consumers = looks[i].consumers;
        world.look_errnum = looks[i].look_errnum;
        run_server(7000 * i);
        assert_int_equal(atomic_load(&flags.given_out), looks[i].is_given_out);
    }
    rpc_server_down(server);
    assert_false(atomic_load(&flags.given_out));
    atomic_store(&flags.aside, 0);
}

static void what_is_served_is_written_and_acked_before(void **state)
{
    (void)state;
    attach_server();
    deliver(7, "snapshot_instance", "a");
    await_writer();
    run_server(0);
    expect_story("write ack-7 ask ");
    rpc_server_answered(server);
    expect_story("serve ");
    deliver(8, "snapshot_instance", "a"); /* a copy */
    expect_story("ack-8 ");
}

static void what_cannot_be_written_is_put_back(void **state)
{
    (void)state;
    attach_server();
    world.writes = false;
    deliver(7, "snapshot_instance", "a");
    await_writer();
    run_server(0);
    run_server(0);
    expect_story("write withdraw cancel-1 nack-7 look-1 ");
}

static void alone_it_keeps_what_cannot_be_written(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(rpc_server_up(server, &err), 0);
    world.story[0] = '\0';
    world.writes = false;
    deliver(7, "snapshot_instance", "a");
    await_writer();
    run_server(0);
    expect_story("write "); /* not acked: nobody else would serve it */
    run_server(5000);
    expect_story("");
    assert_true(rpc_server_next_ms(server) <= clock_now_ms() + 10000);
    world.writes = true;
    run_server(11000);
    await_writer();
    run_server(11000);
    expect_story("write ack-7 ask ");
    rpc_server_answered(server);
    expect_story("serve ");
}

static void alone_it_leaves_to_the_broker_what_it_keeps(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(rpc_server_up(server, &err), 0);
    world.story[0] = '\0';
    world.writes = false;
    deliver(7, "snapshot_instance", "a");
    await_writer();
    run_server(0);
    rpc_server_down(server);
    rpc_server_free(server); /* waits for the writer */
    server = NULL;
    expect_story("write withdraw ");
}

static void what_is_put_back_is_left_until_it_is_taken(void **state)
{
    (void)state;
    attach_server();
    deliver(7, "reboot_instance", "a");
    deliver(8, "reboot_instance", "b");
    run_server(0);
    run_server(0);
    expect_story("cancel-1 nack-7 nack-8 look-1 "); /* tells only how long the queue takes */
    assert_true(atomic_load(&flags.attached));
    world.queue.ready = 2;
    run_server(60);
    expect_story("look-1 ");
    world.queue.ready = 0;
    run_server(120);
    expect_story("look-1 consume-2 ");
    deliver(9, "snapshot_instance", "a"); /* its id is not known from being put back */
    await_writer();
    run_server(0);
    expect_story("write ack-9 ask ");
}

static void an_end_serves_what_is_acked_only(void **state)
{
    (void)state;
    attach_server();
    deliver(7, "snapshot_instance", "a");
    await_writer();
    run_server(0);
    deliver(8, "snapshot_instance", "b");
    await_writer();
    expect_story("write ack-7 ask write ");
    rpc_server_detach(server);
    assert_false(atomic_load(&flags.attached));
    rpc_server_free(server); /* waits for the writer, who withdraws it */
    server = NULL;
    expect_story("cancel-1 answered serve nack-8 withdraw ");
}

static void aside_it_takes_nothing(void **state)
{
    (void)state;
    attach_server();
    atomic_store(&flags.aside, 1);
    rpc_server_stand_aside(server);
    expect_story("cancel-1 answered ");
    deliver(7, "snapshot_instance", "a"); /* was under way */
    run_server(0);
    expect_story("nack-7 ");
    run_server(6000);
    expect_story("look-2 ");
    atomic_store(&flags.aside, 0);
    rpc_server_stand_aside(server);
    run_server(0);
    expect_story("look-2 consume-2 ");
}

static void after_a_lost_answer_it_does_not_wait_for_an_empty_queue(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    attach_server();
    world.takes_doubts = true;
    deliver(7, "snapshot_instance", "a");
    await_writer();
    run_server(0);
    world.story[0] = '\0';
    rpc_server_down(server);
    expect_story("doubt ");
    assert_false(atomic_load(&flags.attached));
    world.queue.ready = 1;
    assert_int_equal(rpc_server_up(server, &err), 0);
    run_server(0);
    expect_story("qos-64 answered look-2 consume-2 ");
    deliver(1, "snapshot_instance", "a"); /* ours already */
    expect_story("ack-1 ");
}

static void cancel_by_broker(const char *tag)
{
    rpc_server_cancelled(server, amqp_cstring_bytes(tag));
}

/* The channel answered for a queue that was dead: it may give the request out again. */
static void after_a_cancel_what_was_acked_comes_to_us(void **state)
{
    (void)state;
    attach_server();
    deliver(7, "snapshot_instance", "a");
    await_writer();
    run_server(0);
    rpc_server_answered(server);
    expect_story("write ack-7 ask serve ");
    cancel_by_broker("another");
    assert_true(atomic_load(&flags.attached));
    cancel_by_broker("1");
    assert_false(atomic_load(&flags.attached));
    world.is_consumed = false;
    world.queue.ready = 1;
    run_server(0);
    expect_story("look-2 consume-2 ");
    deliver(8, "snapshot_instance", "a");
    expect_story("ack-8 ");
}

static void a_cancel_puts_in_doubt_what_no_answer_has_confirmed(void **state)
{
    (void)state;
    attach_server();
    world.takes_doubts = true;
    deliver(7, "snapshot_instance", "a");
    await_writer();
    run_server(0);
    expect_story("write ack-7 ask ");
    cancel_by_broker("1");
    expect_story("drop ");
    rpc_server_down(server);
    expect_story("doubt ");
}

/* Its ack would go to a queue that is dead. */
static void a_cancel_leaves_to_the_broker_what_is_being_written(void **state)
{
    (void)state;
    attach_server();
    deliver(7, "snapshot_instance", "a");
    await_writer();
    cancel_by_broker("1");
    run_server(0);
    rpc_server_down(server);
    rpc_server_free(server); /* waits for the writer */
    server = NULL;
    expect_story("write drop withdraw ");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_attaches_behind_its_prefetch),
        TEST(alone_it_does_not_attach),
        TEST(a_look_that_fails_costs_the_connection),
        TEST(a_queue_on_a_node_that_is_away_is_waited_for),
        TEST(what_is_served_is_written_and_acked_before),
        TEST(what_cannot_be_written_is_put_back),
        cmocka_unit_test_setup_teardown(alone_it_keeps_what_cannot_be_written, setup_exclusive,
                                        teardown),
        cmocka_unit_test_setup_teardown(alone_it_leaves_to_the_broker_what_it_keeps,
                                        setup_exclusive, teardown),
        TEST(what_is_put_back_is_left_until_it_is_taken),
        TEST(an_end_serves_what_is_acked_only),
        TEST(aside_it_takes_nothing),
        TEST(a_queue_is_given_out_when_nothing_waits_in_it),
        TEST(after_a_lost_answer_it_does_not_wait_for_an_empty_queue),
        TEST(after_a_cancel_what_was_acked_comes_to_us),
        TEST(a_cancel_puts_in_doubt_what_no_answer_has_confirmed),
        TEST(a_cancel_leaves_to_the_broker_what_is_being_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
