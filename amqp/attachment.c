/* SPDX-License-Identifier: Apache-2.0 */
/* See attachment.h. */
#include "amqp/attachment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "amqp/channel.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metric.h"

#define LONG_PAUSE_MS 1000 /* is worth a warning */

static void set_phase(struct attachment *attachment, enum attachment_phase phase)
{
    attachment->phase = phase;
    atomic_store(&attachment->flags->attached,
                 phase == ATTACHMENT_DONE || phase == ATTACHMENT_GIVING);
}

bool attachment_is_aside(const struct attachment *attachment)
{
    return atomic_load(&attachment->flags->aside) != 0;
}

static uint64_t poll_interval_ms(const struct attachment *attachment)
{
    return (uint64_t)attachment->settings->attach_poll_interval_s * 1000;
}

static void nack_held(struct attachment *attachment)
{
    for (unsigned i = 0; i < attachment->put_back.n_held; i++)
        (void)consumer_requeue(&attachment->consumer, attachment->put_back.held[i]);
}

/* After the cancel, on the same channel, or they would come to us again. What is under way when the
 * consumer goes is put back as it comes. */
static void put_back_held(struct attachment *attachment)
{
    struct put_back *put_back = &attachment->put_back;
    bool came_back = false;
    if (put_back->n_held == 0)
        return;
    log_debug("putting %u request(s) back to %s", put_back->n_held, attachment->queue);
    if (attachment->phase == ATTACHMENT_DONE)
        (void)consumer_cancel(&attachment->consumer);
    nack_held(attachment);
    uint64_t now_ms = clock_now_ms();
    metric_add(METRIC_PUT_BACKS, 0, put_back->n_held);
    if (attachment->put_back_ms == 0)
        attachment->put_back_ms = now_ms;
    uint64_t look_ms = put_back_given(put_back, now_ms, &came_back);
    if (attachment->phase == ATTACHMENT_WAITING) {
        if (look_ms > attachment->check_ms)
            attachment->check_ms = look_ms;
        return;
    }
    attachment->check_ms = came_back ? look_ms : now_ms;
    if (came_back)
        log_info("stopped consuming %s for %" PRIu64 " ms: a request came back that nova-compute "
                 "had been given",
                 attachment->queue, look_ms - now_ms);
    set_phase(attachment, came_back ? ATTACHMENT_WAITING : ATTACHMENT_GIVING);
}

void attachment_hold(struct attachment *attachment, const struct amqp_content *content)
{
    if (!put_back_hold(&attachment->put_back, content))
        put_back_held(attachment);
}

/*
 * While attached, and after putting back, the question goes over the consuming channel, behind all
 * of ours; while not, over a channel that may be closed by the answer.
 */
int attachment_look(struct attachment *attachment, struct queue_state *ret_others,
                    struct error *err)
{
    bool waiting = attachment->phase == ATTACHMENT_WAITING;
    struct queue_state state = {0};
    int r = topology_look(attachment->connection, waiting ? TOPOLOGY_CHANNEL : SERVER_CHANNEL,
                          attachment->queue, &state, err);
    if (r < 0 && !waiting) /* the channel, and what it held, is gone */
        connection_drop(attachment->connection, err->message);
    if (r < 0 && (r != -ENOENT || !waiting))
        return r;
    if (attachment->phase == ATTACHMENT_DONE && state.consumers > 0)
        state.consumers--;
    *ret_others = state;
    return 0;
}

static void observe_put_back(struct attachment *attachment)
{
    if (attachment->put_back_ms != 0)
        metric_observe(METRIC_PUT_BACK, 0, clock_now_ms() - attachment->put_back_ms);
    attachment->put_back_ms = 0;
}

static void attach_beside_nova_compute(struct attachment *attachment)
{
    bool told = attachment->phase == ATTACHMENT_WAITING;
    put_back_taken(&attachment->put_back);
    attachment->is_in_doubt = false;
    if (!consumer_start_host_queue(&attachment->consumer, attachment->queue))
        return;
    set_phase(attachment, ATTACHMENT_DONE);
    observe_put_back(attachment);
    if (told)
        log_info("attached to %s beside nova-compute", attachment->queue);
    else
        log_debug("consuming %s again: nova-compute has taken what was put back",
                  attachment->queue);
}

/* Alone, we would put back and get again for ever. */
static void detach_without_nova_compute(struct attachment *attachment)
{
    put_back_taken(&attachment->put_back);
    if (attachment->phase == ATTACHMENT_WAITING)
        return;
    if (attachment->phase == ATTACHMENT_DONE)
        (void)consumer_cancel(&attachment->consumer);
    set_phase(attachment, ATTACHMENT_WAITING);
    log_warning("detached from %s until nova-compute consumes it", attachment->queue);
}

/* It was ours by an earlier connection; the claim has told whether it is another's or not known. */
static void leave_without_claim(struct attachment *attachment)
{
    if (!connection_is_up(attachment->connection) || !consumer_cancel(&attachment->consumer))
        return;
    set_phase(attachment, ATTACHMENT_WAITING);
    log_warning("detached from %s: it is no longer certain that no other agent serves this host",
                attachment->queue);
}

/* What is there is nova-compute's: taken and put back, it would only be counted. */
static void wait_for_nova_compute(struct attachment *attachment, unsigned ready, uint64_t now_ms)
{
    uint64_t pause_ms = put_back_pause(&attachment->put_back);
    attachment->check_ms = now_ms + pause_ms;
    log_debug("%u request(s) wait in %s for nova-compute: looking again in %" PRIu64 " ms", ready,
              attachment->queue, pause_ms);
    if (attachment->phase != ATTACHMENT_GIVING || pause_ms < LONG_PAUSE_MS)
        return;
    set_phase(attachment, ATTACHMENT_WAITING);
    log_warning("stopped consuming %s until nova-compute has taken the %u request(s) in it",
                attachment->queue, ready);
}

/* A queue that is not empty is left alone, unless what we took and the broker knows nothing of may
 * be in it: that must come to us, not to nova-compute as well. */
static void attach_when_empty(struct attachment *attachment, unsigned ready, uint64_t now_ms)
{
    if (ready > 0 && !attachment->is_in_doubt)
        wait_for_nova_compute(attachment, ready, now_ms);
    else if (host_claim_take(&attachment->claim, attachment->connection))
        attach_beside_nova_compute(attachment);
}

static void check_attachment(struct attachment *attachment, uint64_t now_ms)
{
    struct error error = ERROR_INIT;
    struct queue_state others = {0};
    attachment->check_ms = now_ms + poll_interval_ms(attachment);
    int r = attachment_look(attachment, &others, &error);
    if (r == -EHOSTDOWN)
        absence_queue_away(&attachment->absence, attachment->queue, error.message);
    else if (r < 0)
        log_warning("cannot inspect queue %s: %s", attachment->queue, error.message);
    atomic_store(&attachment->flags->given_out,
                 r == 0 && others.consumers > 0 && others.ready == 0);
    if (r < 0)
        return;
    if (others.consumers == 0) {
        detach_without_nova_compute(attachment);
        absence_note(&attachment->absence, attachment->queue, now_ms);
        return;
    }
    absence_over(&attachment->absence, attachment->queue);
    if (attachment_is_aside(attachment))
        return;
    if (attachment->phase == ATTACHMENT_GIVING &&
        put_back_settles(&attachment->put_back, now_ms, clock_now_ms(), &attachment->check_ms))
        return;
    if (attachment->phase != ATTACHMENT_DONE)
        attach_when_empty(attachment, others.ready, now_ms);
    else if (!host_claim_take(&attachment->claim, attachment->connection))
        leave_without_claim(attachment);
}

/* Without the claim, or while a queue's node is away, it is tried again: the connection has more to
 * do than to take requests. */
static int attach_exclusive(struct attachment *attachment, struct error *err)
{
    struct connection *connection = attachment->connection;
    attachment->check_ms = clock_now_ms() + poll_interval_ms(attachment);
    if (!host_claim_take(&attachment->claim, connection))
        return connection_is_up(connection) ? 0
                                            : error_set(err, ECONNRESET, EXC_INTERNAL_ERROR, "%s",
                                                        connection_trouble(connection));
    struct error refusal = ERROR_INIT;
    int r = exclusive_queues_consume(&attachment->exclusive, &refusal);
    if (r == -EHOSTDOWN) {
        absence_queue_away(&attachment->absence, attachment->queue, refusal.message);
        return 0;
    }
    if (r < 0) {
        *err = refusal;
        return r;
    }
    absence_over(&attachment->absence, attachment->queue);
    set_phase(attachment, ATTACHMENT_DONE);
    log_info("attached to %s", attachment->queue);
    return 0;
}

static bool waits_for_queues(const struct attachment *attachment)
{
    return !attachment->shared && attachment->phase == ATTACHMENT_WAITING &&
           !attachment_is_aside(attachment);
}

void attachment_run(struct attachment *attachment, uint64_t now_ms)
{
    struct error err = ERROR_INIT;
    put_back_held(attachment);
    if (now_ms < attachment->check_ms)
        return;
    if (attachment->shared)
        check_attachment(attachment, now_ms);
    else if (waits_for_queues(attachment) && attach_exclusive(attachment, &err) < 0)
        connection_drop(attachment->connection, err.message);
}

uint64_t attachment_next_ms(const struct attachment *attachment)
{
    return attachment->shared || waits_for_queues(attachment) ? attachment->check_ms : NEVER_MS;
}

int attachment_up(struct attachment *attachment, struct error *err)
{
    attachment->check_ms = 0;
    return attachment->shared || attachment_is_aside(attachment)
               ? 0
               : attach_exclusive(attachment, err);
}

void attachment_down(struct attachment *attachment, bool in_doubt)
{
    attachment->is_in_doubt |= in_doubt;
    put_back_lost(&attachment->put_back);
    host_claim_lost(&attachment->claim);
    atomic_store(&attachment->flags->given_out, false);
    if (attachment->phase != ATTACHMENT_OVER)
        set_phase(attachment, ATTACHMENT_WAITING);
}

void attachment_cancelled(struct attachment *attachment, amqp_bytes_t tag, bool has_takings)
{
    const char *ours = attachment->consumer.tag;
    if (!attachment->shared) {
        connection_drop(attachment->connection, "the broker cancelled a consumer");
        return;
    }
    if (attachment->phase != ATTACHMENT_DONE || tag.len != strlen(ours) ||
        memcmp(tag.bytes, ours, tag.len) != 0)
        return;
    log_warning("detached from %s: the broker cancelled the consumer, looking at it now",
                attachment->queue);
    set_phase(attachment, ATTACHMENT_WAITING);
    atomic_store(&attachment->flags->given_out, false);
    attachment->check_ms = 0;
    attachment->is_in_doubt = true;
    if (has_takings)
        connection_drop(attachment->connection, "the broker cancelled a consumer before it "
                                                "confirmed an ack");
}

void attachment_resume(struct attachment *attachment)
{
    struct error err = ERROR_INIT;
    attachment->check_ms = 0;
    if (!attachment->shared && connection_is_up(attachment->connection) &&
        attach_exclusive(attachment, &err) < 0)
        connection_drop(attachment->connection, err.message);
}

bool attachment_pause(struct attachment *attachment)
{
    bool was_attached = attachment->phase != ATTACHMENT_WAITING;
    set_phase(attachment, ATTACHMENT_WAITING);
    if (was_attached)
        log_info("detached from %s until requests are wanted again", attachment->queue);
    if (!consumer_cancel_and_wait(&attachment->consumer, attachment->consumer.tag))
        return false;
    if (!attachment->shared)
        exclusive_queues_cancel(&attachment->exclusive);
    return true;
}

bool attachment_end(struct attachment *attachment)
{
    set_phase(attachment, ATTACHMENT_OVER);
    return consumer_cancel_and_wait(&attachment->consumer, attachment->consumer.tag);
}

void attachment_requeue_held(struct attachment *attachment)
{
    nack_held(attachment);
    put_back_lost(&attachment->put_back);
}

void attachment_leave_shared_queues(struct attachment *attachment)
{
    if (attachment->shared)
        return;
    exclusive_queues_cancel(&attachment->exclusive);
    exclusive_queues_delete(&attachment->exclusive);
}

void attachment_init(struct attachment *attachment, const struct bus_settings *settings,
                     struct connection *connection, struct attachment_flags *flags)
{
    *attachment = (struct attachment){.settings = settings,
                                      .connection = connection,
                                      .flags = flags,
                                      .shared = settings->attach == BUS_ATTACH_SHARED};
    (void)snprintf(attachment->queue, sizeof(attachment->queue), "%s.%s", settings->topic,
                   settings->server);
    consumer_init(&attachment->consumer, connection, settings);
    exclusive_queues_init(&attachment->exclusive, settings, &attachment->consumer,
                          attachment->queue);
    absence_init(&attachment->absence, settings, connection);
    put_back_init(&attachment->put_back);
    host_claim_init(&attachment->claim, settings->server,
                    settings->rabbit.heartbeat_timeout_threshold_s);
}
