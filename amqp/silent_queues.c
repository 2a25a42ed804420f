/* SPDX-License-Identifier: Apache-2.0 */
/* See silent_queues.h. */
#include "amqp/silent_queues.h"

#include <stdio.h>
#include <string.h>

#define ASKED_AT_ONCE 2 /* once may be the network */
#define REST_MS 60000

/* The index of it; SILENT_QUEUES_MAX when there is none. */
static unsigned find(const struct silent_queues *silent, const char *name)
{
    unsigned i = 0;
    while (i < SILENT_QUEUES_MAX && strcmp(silent->queues[i].name, name) != 0)
        i++;
    return i;
}

bool silent_queues_rests(const struct silent_queues *silent, const char *name, uint64_t now_ms)
{
    unsigned i = find(silent, name);
    return i < SILENT_QUEUES_MAX && now_ms < silent->queues[i].rests_until_ms;
}

void silent_queues_no_answer(struct silent_queues *silent, const char *name, uint64_t now_ms)
{
    unsigned i = find(silent, name);
    if (i == SILENT_QUEUES_MAX) {
        i = silent->next;
        silent->next = (i + 1) % SILENT_QUEUES_MAX;
        silent->queues[i] = (struct silent_queue){0};
        (void)snprintf(silent->queues[i].name, sizeof(silent->queues[i].name), "%s", name);
    }
    struct silent_queue *queue = &silent->queues[i];
    if (++queue->times >= ASKED_AT_ONCE)
        queue->rests_until_ms = now_ms + REST_MS;
}

void silent_queues_answer(struct silent_queues *silent, const char *name)
{
    unsigned i = find(silent, name);
    if (i < SILENT_QUEUES_MAX)
        silent->queues[i] = (struct silent_queue){0};
}
