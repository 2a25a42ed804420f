/* See slots.h. */
#include "agent/slots.h"

#include <stdint.h>

#include "common/cleanup.h"

struct slots {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t released;
    unsigned limit;
    uint64_t next_ticket;
    uint64_t n_released;
};

int slots_new(unsigned limit, struct slots **ret_slots, struct error *err)
{
    struct slots *slots = calloc(1, sizeof(*slots));
    if (!slots)
        return error_nomem(err);
    slots->limit = limit;
    (void)pthread_mutex_init(&slots->lock, NULL);
    (void)pthread_cond_init(&slots->released, NULL);
    *ret_slots = slots;
    return 0;
}

void slots_acquire(struct slots *slots)
{
    if (slots->limit == 0)
        return;
    LOCK_SCOPE(&slots->lock);
    uint64_t ticket = slots->next_ticket++;
    while (ticket >= slots->n_released + slots->limit)
        (void)pthread_cond_wait(&slots->released, &slots->lock);
}

void slots_release(struct slots *slots)
{
    if (slots->limit == 0)
        return;
    LOCK_SCOPE(&slots->lock);
    slots->n_released++;
    (void)pthread_cond_broadcast(&slots->released);
}

void slots_free(struct slots *slots)
{
    if (!slots)
        return;
    (void)pthread_cond_destroy(&slots->released);
    (void)pthread_mutex_destroy(&slots->lock);
    free(slots);
}
