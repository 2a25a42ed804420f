/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues whose declaration the broker leaves without an answer: RabbitMQ 4.2 and later do for a
 * minute (rabbit_amqqueue:with) when the node of a classic queue has died. Each question costs the
 * connection and, for seconds, the bus thread: asked twice in vain, they rest. Bus thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SILENT_QUEUES_MAX 8

struct silent_queues {
    struct silent_queue {
        char name[256]; /* "" = free */
        unsigned times;
        uint64_t rests_until_ms;
    } queues[SILENT_QUEUES_MAX]; /* the oldest is forgotten for a ninth */
    unsigned next;
};

/* Not to be asked for now. */
bool silent_queues_rests(const struct silent_queues *silent, const char *name, uint64_t now_ms);

void silent_queues_no_answer(struct silent_queues *silent, const char *name, uint64_t now_ms);

/* Whatever it was. */
void silent_queues_answer(struct silent_queues *silent, const char *name);
