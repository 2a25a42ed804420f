/* SPDX-License-Identifier: Apache-2.0 */
/* See put_back.h. Source: https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling */
#include "amqp/put_back.h"

/*
 * A queue that is asked answers from before what was sent to it last: a classic one takes the
 * question first (rabbit_amqqueue_process:prioritise_call), a quorum one knows only what it has
 * written to its disk. It writes a cancel before it answers, and then the return, which takes it as
 * long again.
 */
#define SETTLE_MS 50
#define SETTLE_FACTOR 2

#define LOOK_PAUSE_MIN_MS 10
#define LOOK_PAUSE_MAX_MS 60000

/* After something came back: once may be chance, twice is a nova-compute that keeps dying. */
#define ASIDE_FIRST_MS 1000
#define ASIDE_GROWTH 8
#define ASIDE_MAX_MS 60000
#define STRIKES_FORGOTTEN_MS 300000

void put_back_init(struct put_back *put_back)
{
    *put_back = (struct put_back){.look_pause_ms = LOOK_PAUSE_MIN_MS};
}

bool put_back_hold(struct put_back *put_back, const struct amqp_content *content)
{
    put_back->held[put_back->n_held++] = content->delivery_tag;
    put_back->came_back |= content->redelivered;
    if (content->delivery_count > put_back->most_counted)
        put_back->most_counted = content->delivery_count;
    return put_back->n_held < PUT_BACK_MAX;
}

static uint64_t aside_ms(uint64_t strikes)
{
    uint64_t pause_ms = ASIDE_FIRST_MS;
    for (uint64_t i = 1; i < strikes && pause_ms < ASIDE_MAX_MS; i++)
        pause_ms *= ASIDE_GROWTH;
    return pause_ms < ASIDE_MAX_MS ? pause_ms : ASIDE_MAX_MS;
}

uint64_t put_back_given(struct put_back *put_back, uint64_t now_ms, bool *ret_stand_aside)
{
    *ret_stand_aside = put_back->came_back;
    put_back->n_held = 0;
    put_back->came_back = false;
    put_back->timed = false;
    if (!*ret_stand_aside)
        return now_ms + SETTLE_MS;
    if (now_ms - put_back->struck_ms > STRIKES_FORGOTTEN_MS)
        put_back->strikes = 0;
    put_back->strikes++;
    if (put_back->strikes < put_back->most_counted)
        put_back->strikes = put_back->most_counted;
    put_back->most_counted = 0;
    put_back->struck_ms = now_ms;
    return now_ms + aside_ms(put_back->strikes);
}

bool put_back_settles(struct put_back *put_back, uint64_t asked_ms, uint64_t answered_ms,
                      uint64_t *ret_look_ms)
{
    uint64_t settle_ms = (answered_ms - asked_ms) * SETTLE_FACTOR;
    if (put_back->timed)
        return false;
    put_back->timed = true;
    *ret_look_ms = answered_ms + (settle_ms > SETTLE_MS ? settle_ms : SETTLE_MS);
    return true;
}

uint64_t put_back_pause(struct put_back *put_back)
{
    uint64_t pause_ms = put_back->look_pause_ms;
    put_back->look_pause_ms *= 2;
    if (put_back->look_pause_ms > LOOK_PAUSE_MAX_MS)
        put_back->look_pause_ms = LOOK_PAUSE_MAX_MS;
    return pause_ms;
}

void put_back_taken(struct put_back *put_back)
{
    put_back->look_pause_ms = LOOK_PAUSE_MIN_MS;
}

void put_back_lost(struct put_back *put_back)
{
    put_back->n_held = 0;
    put_back->came_back = false;
    put_back->most_counted = 0;
}
