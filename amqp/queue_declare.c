/* SPDX-License-Identifier: Apache-2.0 */
/* See queue_declare.h. */
#include "amqp/queue_declare.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "amqp/channel.h"
#include "common/clock.h"

#define WHAT_MAX 320

/* Source of the words: rabbit_amqqueue:not_found. What is said of one that is away has the name of
 * it first, or its node's, and is cut at 255 bytes. */
static bool is_away(const struct queue_declaration *wanted, const struct error *refusal)
{
    return !wanted->passive || !strstr(refusal->message, "NOT_FOUND - no queue '");
}

int queue_declare(struct connection *connection, amqp_channel_t channel,
                  const struct queue_declaration *wanted, struct queue_state *ret_state,
                  struct error *err)
{
    struct silent_queues *silent = connection_silent_queues(connection);
    struct error refusal = ERROR_INIT;
    char what[WHAT_MAX];
    (void)snprintf(what, sizeof(what), "queue.declare '%s'", wanted->name);
    if (silent_queues_rests(silent, wanted->name, clock_now_ms()))
        return error_set(err, EHOSTDOWN, EXC_INTERNAL_ERROR, "%s: the broker did not answer", what);
    const amqp_queue_declare_ok_t *ok = amqp_queue_declare(
        connection_state(connection), channel, amqp_cstring_bytes(wanted->name), wanted->passive,
        wanted->durable, wanted->exclusive, wanted->auto_delete, wanted->arguments);
    int r = channel_answered(connection, channel, what, &refusal);
    if (r == -ETIMEDOUT)
        silent_queues_no_answer(silent, wanted->name, clock_now_ms());
    else if (r != -ECONNRESET)
        silent_queues_answer(silent, wanted->name);
    if (r == -ENOENT && is_away(wanted, &refusal))
        r = -(refusal.errnum = EHOSTDOWN);
    if (r < 0) {
        *err = refusal;
        return r;
    }
    *ret_state = (struct queue_state){.consumers = ok->consumer_count, .ready = ok->message_count};
    return 0;
}
