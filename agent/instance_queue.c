/* SPDX-License-Identifier: Apache-2.0 */
/* See instance_queue.h. */
#include "agent/instance_queue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/eventfd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/domain_lock.h"
#include "common/id.h"
#include "common/log.h"

#define LOOK_MS 200

struct instance_turn {
    struct instance_queue *queue;
    char instance_uuid[ID_UUID_SIZE];
    int fd;                   /* eventfd, readable from its turn on */
    struct domain_lock *lock; /* NULL: not held */
    bool past;                /* it stands in the line no more */
    bool follows_left;
    bool knows_progress; /* what it is, before this one shows its own */
    int progress;
    struct instance_turn *next;
};

struct instance_queue {
    pthread_mutex_t lock;        /* guards the line */
    struct instance_turn *first; /* all instances in one line, in the order of arrival */
    const char *lock_folder;     /* constant when anybody stands in it; NULL: none is locked */
};

int instance_queue_new(struct instance_queue **ret_queue, struct error *err)
{
    struct instance_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return error_nomem(err);
    (void)pthread_mutex_init(&queue->lock, NULL);
    *ret_queue = queue;
    return 0;
}

void instance_queue_lock_domains(struct instance_queue *queue, const char *folder)
{
    queue->lock_folder = folder;
}

void instance_queue_free(struct instance_queue *queue)
{
    if (!queue)
        return;
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue);
}

/* The first of the instance from `turn` on. With the lock. */
static struct instance_turn *first_of_instance(struct instance_turn *turn,
                                               const char *instance_uuid)
{
    while (turn && strcasecmp(turn->instance_uuid, instance_uuid) != 0)
        turn = turn->next;
    return turn;
}

static void append_turn(struct instance_queue *queue, struct instance_turn *turn)
{
    LOCK_SCOPE(&queue->lock);
    struct instance_turn **link = &queue->first;
    while (*link)
        link = &(*link)->next;
    *link = turn;
    if (first_of_instance(queue->first, turn->instance_uuid) == turn)
        (void)eventfd_write(turn->fd, 1);
}

int instance_queue_join(struct instance_queue *queue, const char *instance_uuid,
                        struct instance_turn **ret_turn, struct error *err)
{
    struct instance_turn *turn = calloc(1, sizeof(*turn));
    if (!turn)
        return error_nomem(err);
    turn->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (turn->fd < 0) {
        int saved_errno = errno;
        free(turn);
        return error_errno(err, saved_errno, "cannot stand in line for instance %s", instance_uuid);
    }
    turn->queue = queue;
    (void)snprintf(turn->instance_uuid, sizeof(turn->instance_uuid), "%s", instance_uuid);
    log_debug("instance %s: a request stands in line", instance_uuid);
    append_turn(queue, turn);
    *ret_turn = turn;
    return 0;
}

unsigned instance_queue_waiting(struct instance_queue *queue)
{
    unsigned n = 0;
    LOCK_SCOPE(&queue->lock);
    for (struct instance_turn *turn = queue->first; turn; turn = turn->next)
        n += first_of_instance(queue->first, turn->instance_uuid) != turn;
    return n;
}

/* One that the operators' tool has is asked for again and again: it tells nobody when it ends. */
static int await_lock(struct instance_turn *turn, uint64_t deadline_ms, struct error *err)
{
    for (bool told = false; !turn->lock; told = true) {
        struct error failure = ERROR_INIT;
        int r =
            domain_lock_take(turn->queue->lock_folder, turn->instance_uuid, &turn->lock, &failure);
        if (r < 0 && r != -EBUSY) /* no reason to take no snapshots */
            log_warning("nova-snapshot domain is not kept from the guest meanwhile: %s",
                        failure.message);
        if (r != -EBUSY)
            break;
        if (clock_now_ms() >= deadline_ms) {
            *err = failure;
            err->errnum = ETIMEDOUT;
            return -ETIMEDOUT;
        }
        if (!told)
            log_info("the request waits: %s", failure.message);
        struct pollfd cancelled = {.fd = cancel_fd(), .events = POLLIN};
        (void)poll(&cancelled, 1, LOOK_MS);
        if (cancel_check(err) < 0)
            return -err->errnum;
    }
    return 0;
}

int instance_turn_await(struct instance_turn *turn, uint64_t deadline_ms, struct error *err)
{
    if (!turn)
        return 0;
    int r = cancel_await(turn->fd, deadline_ms, err);
    log_debug("instance %s: %s", turn->instance_uuid,
              r == 0 ? "its turn has come" : "the turn did not come");
    return r == 0 && turn->queue->lock_folder ? await_lock(turn, deadline_ms, err) : r;
}

bool instance_turn_is_waited_for(const struct instance_turn *turn)
{
    if (!turn)
        return false;
    LOCK_SCOPE(&turn->queue->lock);
    return !turn->past && first_of_instance(turn->next, turn->instance_uuid);
}

int instance_turn_progress_before(struct instance_turn *turn, int progress)
{
    if (!turn)
        return progress;
    LOCK_SCOPE(&turn->queue->lock);
    struct instance_turn *other =
        turn->past ? NULL : first_of_instance(turn->queue->first, turn->instance_uuid);
    while (other && other != turn && !other->knows_progress)
        other = first_of_instance(other->next, turn->instance_uuid);
    if (!turn->knows_progress)
        turn->progress = other && other != turn ? other->progress : progress;
    turn->knows_progress = true;
    return turn->progress;
}

/* To who stands behind it and has not asked yet: its thread may begin late. With the lock. */
static void hand_down_progress(const struct instance_turn *turn)
{
    struct instance_turn *behind = first_of_instance(turn->next, turn->instance_uuid);
    if (!behind || behind->knows_progress || !turn->knows_progress)
        return;
    behind->progress = turn->progress;
    behind->knows_progress = true;
}

void instance_turn_pass(struct instance_turn *turn)
{
    if (!turn || turn->past)
        return;
    LOCK_SCOPE(&turn->queue->lock);
    domain_lock_release(TAKE_PTR(turn->lock)); /* before the next one has its turn */
    struct instance_turn **link = &turn->queue->first;
    while (*link != turn)
        link = &(*link)->next;
    *link = turn->next;
    turn->past = true;
    hand_down_progress(turn);
    struct instance_turn *first = first_of_instance(turn->queue->first, turn->instance_uuid);
    if (first)
        (void)eventfd_write(first->fd, 1);
}

void instance_turn_leave(struct instance_turn *turn)
{
    if (!turn)
        return;
    {
        LOCK_SCOPE(&turn->queue->lock);
        struct instance_turn *behind = turn->past ? NULL : turn->next;
        for (; (behind = first_of_instance(behind, turn->instance_uuid)); behind = behind->next)
            behind->follows_left = true;
    }
    log_debug("instance %s: what stands in line waits for the next start", turn->instance_uuid);
    instance_turn_pass(turn);
}

bool instance_turn_follows_left(const struct instance_turn *turn)
{
    if (!turn)
        return false;
    LOCK_SCOPE(&turn->queue->lock);
    return turn->follows_left;
}

void instance_turn_join_again(struct instance_turn *turn)
{
    eventfd_t of_before;
    if (!turn || !turn->past)
        return;
    (void)eventfd_read(turn->fd, &of_before);
    turn->past = false;
    turn->next = NULL;
    append_turn(turn->queue, turn);
}

void instance_turn_free(struct instance_turn *turn)
{
    if (!turn)
        return;
    instance_turn_pass(turn);
    (void)close(turn->fd);
    free(turn);
}
