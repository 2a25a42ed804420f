/* SPDX-License-Identifier: Apache-2.0 */
/* See known_targets.h. */
#include "amqp/known_targets.h"

#include <stdlib.h>
#include <string.h>

static bool same_queue(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool known_targets_have(const struct known_target *targets, const char *exchange, const char *queue)
{
    for (; targets; targets = targets->next)
        if (strcmp(targets->exchange, exchange) == 0 && same_queue(targets->queue, queue))
            return true;
    return false;
}

static void free_target(struct known_target *target)
{
    free(target->exchange);
    free(target->queue);
    free(target);
}

int known_targets_add(struct known_target **targets, const char *exchange, const char *queue,
                      struct error *err)
{
    struct known_target *target = calloc(1, sizeof(*target));
    if (!target)
        return error_nomem(err);
    target->exchange = strdup(exchange);
    target->queue = queue ? strdup(queue) : NULL;
    if (!target->exchange || (queue && !target->queue)) {
        free_target(target);
        return error_nomem(err);
    }
    target->next = *targets;
    *targets = target;
    return 0;
}

void known_targets_clear(struct known_target **targets)
{
    while (*targets) {
        struct known_target *target = *targets;
        *targets = target->next;
        free_target(target);
    }
}
