/* SPDX-License-Identifier: Apache-2.0 */
/* See state_watch.h. */
#include "agent/state_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/conductor.h"
#include "agent/instance.h"
#include "agent/task_states.h"
#include "agent/tenant_progress.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

struct watched_state {
    struct state_watch *watch;
    struct request_context *admin;
    struct instance instance; /* nothing but its uuid */
    struct instance_turn *turn;
    struct cancellable *cancellable;
    struct tenant_progress progress;
    /* guarded by the watch's lock */
    const char *task_state; /* NULL = nothing is expected, or the owner moves it */
    bool busy;              /* the thread is looking: all else stays as it is */
    uint64_t round;         /* of the last look */
    bool may_be_of_next;    /* the last look found a state whose request may be on its way to us */
    struct watched_state *next;
};

struct state_watch {
    struct bus *bus;
    const char *host;
    unsigned interval_ms;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    pthread_cond_t looked; /* nothing is busy */
    struct watched_state *first;
    uint64_t round;
    bool stopping;
};

/* Set by nova-api before it sends the request. */
static bool is_of_request(const char *task_state)
{
    return strcmp(task_state, IMAGE_SNAPSHOT_PENDING) == 0 || strcmp(task_state, IMAGE_BACKUP) == 0;
}

bool state_watch_is_of_next(const struct instance_turn *turn, const char *task_state)
{
    return is_of_request(task_state) && instance_turn_is_waited_for(turn);
}

/* It was None: if it is another by now, the next look tells. */
static void save_again(struct watched_state *watched)
{
    struct error err = ERROR_INIT;
    json_t *changes = json_pack("{s:s}", "task_state", watched->task_state);
    json_t *expected = json_pack("[n, s]", watched->task_state); /* or it was saved, unanswered */
    int r = changes && expected
                ? conductor_instance_save(watched->watch->bus, watched->admin, &watched->instance,
                                          changes, expected, &err)
                : error_nomem(&err);
    json_decref(changes);
    json_decref(expected);
    if (r == 0)
        log_warning("the task state was cleared, as nova-compute does when it starts: it is %s "
                    "again",
                    watched->task_state);
    else
        log_warning("the task state was cleared and cannot be saved again: %s", err.message);
}

/* Evacuated, or migrated: what is saved from now on is its new host's affair. */
static void cancel_moved(const struct watched_state *watched, const char *host)
{
    struct error reason = ERROR_INIT;
    (void)error_set(&reason, EBUSY, EXC_UNEXPECTED_TASK_STATE, "instance %s is on host %s now",
                    watched->instance.uuid, host);
    canceller_cancel(watched->cancellable, &reason);
}

static void cancel_conflict(const struct watched_state *watched, const char *task_state)
{
    struct error reason = ERROR_INIT;
    bool deleting = strcmp(task_state, "deleting") == 0;
    (void)error_set(&reason, EBUSY, deleting ? EXC_UNEXPECTED_DELETING : EXC_UNEXPECTED_TASK_STATE,
                    "the task state of instance %s is %s, no longer %s", watched->instance.uuid,
                    task_state, watched->task_state);
    canceller_cancel(watched->cancellable, &reason);
}

/* The state of a request is there before the request is. */
static void doubt_state(struct watched_state *watched, const char *task_state)
{
    log_debug("the task state is %s, not %s", task_state, watched->task_state);
    if (is_of_request(task_state) && !watched->may_be_of_next)
        watched->may_be_of_next = true;
    else
        cancel_conflict(watched, task_state);
}

/* One that comes late is refused: the state is another by then. */
static void tell_progress(struct watched_state *watched)
{
    struct error err = ERROR_INIT;
    int percent = tenant_progress_next(&watched->progress, clock_now_ms());
    if (percent >= 0 &&
        conductor_instance_save_progress(watched->watch->bus, watched->admin, &watched->instance,
                                         percent, watched->task_state, &err) < 0)
        log_debug("the progress of the server is not saved: %s", err.message);
}

static void look_at_state(struct watched_state *watched)
{
    struct error err = ERROR_INIT;
    struct instance_states states;
    if (conductor_instance_states(watched->watch->bus, watched->admin, watched->instance.uuid,
                                  &states, &err) < 0) {
        log_debug("the task state is not known: %s", err.message);
        return;
    }
    if (states.host[0] != '\0' && strcmp(states.host, watched->watch->host) != 0)
        cancel_moved(watched, states.host);
    else if (states.task_state[0] == '\0')
        save_again(watched);
    else if (strcmp(states.task_state, watched->task_state) != 0 &&
             !state_watch_is_of_next(watched->turn, states.task_state))
        doubt_state(watched, states.task_state);
    else {
        watched->may_be_of_next = false;
        tell_progress(watched);
    }
}

/* The next one to be looked at in this round. */
static struct watched_state *next_expected(const struct state_watch *watch)
{
    struct watched_state *watched = watch->first;
    while (watched && (!watched->task_state || watched->round == watch->round))
        watched = watched->next;
    return watched;
}

static void *state_watch_run(void *arg)
{
    struct state_watch *watch = arg;
    LOCK_SCOPE(&watch->lock);
    while (!watch->stopping) {
        const struct timespec next = clock_deadline(watch->interval_ms);
        struct watched_state *watched;
        int r = 0;
        while (!watch->stopping && r != ETIMEDOUT)
            r = watch->first ? pthread_cond_timedwait(&watch->changed, &watch->lock, &next)
                             : pthread_cond_wait(&watch->changed, &watch->lock);
        watch->round++;
        while (!watch->stopping && (watched = next_expected(watch))) {
            watched->round = watch->round;
            watched->busy = true;
            (void)pthread_mutex_unlock(&watch->lock);
            log_set_context(watched->admin->request_id, watched->instance.uuid);
            look_at_state(watched);
            log_set_context(NULL, NULL);
            (void)pthread_mutex_lock(&watch->lock);
            watched->busy = false;
            (void)pthread_cond_broadcast(&watch->looked);
        }
    }
    return NULL;
}

static void free_watch(struct state_watch *watch)
{
    (void)pthread_cond_destroy(&watch->looked);
    (void)pthread_cond_destroy(&watch->changed);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
}

int state_watch_new(struct bus *bus, const char *host, unsigned interval_ms,
                    struct state_watch **ret_watch, struct error *err)
{
    struct state_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return error_nomem(err);
    watch->bus = bus;
    watch->host = host;
    watch->interval_ms = interval_ms;
    (void)pthread_mutex_init(&watch->lock, NULL);
    clock_cond_init(&watch->changed);
    clock_cond_init(&watch->looked);
    int r = pthread_create(&watch->thread, NULL, state_watch_run, watch);
    if (r != 0) {
        free_watch(watch);
        return error_errno(err, r, "cannot start the thread that looks after task states");
    }
    *ret_watch = watch;
    return 0;
}

void state_watch_free(struct state_watch *watch)
{
    if (!watch)
        return;
    {
        LOCK_SCOPE(&watch->lock);
        watch->stopping = true;
        (void)pthread_cond_broadcast(&watch->changed);
    }
    (void)pthread_join(watch->thread, NULL);
    free_watch(watch);
}

static void free_watched(struct watched_state *watched)
{
    instance_done(&watched->instance);
    request_context_free(watched->admin);
    free(watched);
}

int state_watch_begin(struct state_watch *watch, const struct state_watch_subject *subject,
                      struct watched_state **ret_watched, struct error *err)
{
    if (!watch)
        return 0;
    struct watched_state *watched = calloc(1, sizeof(*watched));
    if (!watched)
        return error_nomem(err);
    *watched = (struct watched_state){
        .watch = watch, .turn = subject->turn, .cancellable = subject->cancellable};
    (void)snprintf(watched->instance.uuid, sizeof(watched->instance.uuid), "%s",
                   subject->instance_uuid);
    watched->instance.data = json_object();
    tenant_progress_begin(&watched->progress, subject->job, subject->progress);
    int r = request_context_elevated(subject->admin, &watched->admin, err);
    if (r == 0 && !watched->instance.data)
        r = error_nomem(err);
    if (r < 0) {
        free_watched(watched);
        return r;
    }
    LOCK_SCOPE(&watch->lock);
    watched->next = watch->first;
    watch->first = watched;
    (void)pthread_cond_broadcast(&watch->changed);
    *ret_watched = watched;
    return 0;
}

/* With the lock. */
static void await_look(struct watched_state *watched)
{
    while (watched->busy)
        (void)pthread_cond_wait(&watched->watch->looked, &watched->watch->lock);
}

void state_watch_end(struct watched_state *watched)
{
    if (!watched)
        return;
    {
        LOCK_SCOPE(&watched->watch->lock);
        struct watched_state **link = &watched->watch->first;
        while (*link != watched)
            link = &(*link)->next;
        *link = watched->next;
        await_look(watched);
    }
    free_watched(watched);
}

void state_watch_pause(struct watched_state *watched)
{
    if (!watched)
        return;
    LOCK_SCOPE(&watched->watch->lock);
    await_look(watched);
    watched->task_state = NULL;
}

void state_watch_expect(struct watched_state *watched, const char *task_state)
{
    if (!watched)
        return;
    log_debug("task state from now on: %s", task_state ? task_state : "(not watched)");
    LOCK_SCOPE(&watched->watch->lock);
    watched->task_state = task_state;
}
