/* SPDX-License-Identifier: Apache-2.0 */
/* See canceller.h. */
#include "agent/canceller.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"

/* A Glance that hangs must not keep the thread from the other operations. */
#define GLANCE_MS 1500

/* Of each round, for those that wait. */
#define WAITING_MS 500

/* Lives on while the thread looks at it: Glance and file systems take their time. */
struct cancellable {
    struct canceller *canceller;
    struct cancel *cancel;
    struct request_context *context;
    char instance_uuid[ID_UUID_SIZE];
    char image_id[ID_UUID_SIZE];
    /* guarded by the canceller's lock */
    enum cancellable_phase phase;
    char *disk_path; /* NULL = not known */
    bool complained;
    unsigned references;
    uint64_t round; /* of the last look */
    struct cancellable *next;
};

struct canceller {
    struct glance *glance;
    unsigned interval_ms;
    struct cancel *stop; /* the thread's own */
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct cancellable *first;
    uint64_t round;
    bool stopping;
};

static void free_cancellable(struct cancellable *cancellable)
{
    request_context_free(cancellable->context);
    cancel_free(cancellable->cancel);
    free(cancellable->disk_path);
    free(cancellable);
}

/* With the lock. */
static void unref_cancellable(struct cancellable *cancellable)
{
    if (--cancellable->references == 0)
        free_cancellable(cancellable);
}

static void look_at_disk(const struct cancellable *cancellable, const char *path)
{
    struct stat st;
    struct error gone = ERROR_INIT;
    if (stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
        return;
    (void)error_set(&gone, ENOENT, EXC_INSTANCE_NOT_FOUND,
                    "Instance %s could not be found: its disk %s is gone",
                    cancellable->instance_uuid, path);
    log_debug("instance %s: its disk %s is gone", cancellable->instance_uuid, path);
    cancel_request(cancellable->cancel, &gone);
}

static bool is_deleted(const char *status)
{
    return strcmp(status, "deleted") == 0 || strcmp(status, "pending_delete") == 0;
}

/* What Glance failed with goes to *failure. */
static int look_at_image(const struct cancellable *cancellable, struct error *failure)
{
    struct glance_image image = {0};
    struct error gone = ERROR_INIT;
    int r = glance_image_peek(cancellable->canceller->glance, cancellable->context,
                              cancellable->image_id, GLANCE_MS, &image, failure);
    bool deleted = r < 0 ? error_is(failure, EXC_IMAGE_NOT_FOUND) : is_deleted(image.status);
    glance_image_done(&image);
    if (!deleted)
        return r;
    (void)error_set(&gone, ENOENT, EXC_IMAGE_NOT_FOUND, "Image %s could not be found",
                    cancellable->image_id);
    log_debug("image %s is deleted: its snapshot is cancelled", cancellable->image_id);
    cancel_request(cancellable->cancel, &gone);
    return 0;
}

static void complain_once(struct cancellable *cancellable, const struct error *failure)
{
    if (cancellable->complained)
        return;
    cancellable->complained = true;
    log_set_context(cancellable->context->request_id, cancellable->instance_uuid);
    log_debug("whether the image is still wanted is not known: %s", failure->message);
    log_set_context(NULL, NULL);
}

/* With the lock, which is let go meanwhile. False when Glance cannot be reached. */
static bool look_at_operation(struct canceller *canceller, struct cancellable *cancellable,
                              bool ask_glance)
{
    struct error failure = ERROR_INIT;
    cleanup_free char *path = cancellable->disk_path ? strdup(cancellable->disk_path) : NULL;
    cancellable->round = canceller->round;
    cancellable->references++;
    (void)pthread_mutex_unlock(&canceller->lock);
    int r = ask_glance ? look_at_image(cancellable, &failure) : 0;
    if (path)
        look_at_disk(cancellable, path);
    (void)pthread_mutex_lock(&canceller->lock);
    if (r < 0)
        complain_once(cancellable, &failure);
    unref_cancellable(cancellable);
    return r == 0 || failure.http_status != 0;
}

/* What was not looked at for longest goes first. */
static struct cancellable *longest_unseen(const struct canceller *canceller, bool running)
{
    struct cancellable *found = NULL;
    for (struct cancellable *cancellable = canceller->first; cancellable;
         cancellable = cancellable->next)
        if ((cancellable->phase == CANCELLABLE_RUNS) == running &&
            cancellable->round != canceller->round && (!found || cancellable->round < found->round))
            found = cancellable;
    return found;
}

/* With the lock. However many wait, what runs is looked at again soon. */
static void look_around(struct canceller *canceller)
{
    struct cancellable *cancellable;
    bool ask_glance = true;
    while (!canceller->stopping && (cancellable = longest_unseen(canceller, true)))
        ask_glance = look_at_operation(canceller, cancellable, ask_glance) && ask_glance;
    const uint64_t end_ms = clock_now_ms() + WAITING_MS;
    while (!canceller->stopping && clock_now_ms() < end_ms &&
           (cancellable = longest_unseen(canceller, false)))
        ask_glance = look_at_operation(canceller, cancellable, ask_glance) && ask_glance;
}

static void *canceller_run(void *arg)
{
    struct canceller *canceller = arg;
    (void)cancel_enter(canceller->stop);
    LOCK_SCOPE(&canceller->lock);
    while (!canceller->stopping) {
        canceller->round++;
        if (!canceller->first) {
            (void)pthread_cond_wait(&canceller->changed, &canceller->lock);
            continue;
        }
        look_around(canceller);
        const struct timespec next = clock_deadline(canceller->interval_ms);
        while (!canceller->stopping &&
               pthread_cond_timedwait(&canceller->changed, &canceller->lock, &next) != ETIMEDOUT)
            continue;
    }
    return NULL;
}

static void free_canceller(struct canceller *canceller)
{
    cancel_free(canceller->stop);
    (void)pthread_cond_destroy(&canceller->changed);
    (void)pthread_mutex_destroy(&canceller->lock);
    free(canceller);
}

int canceller_new(struct glance *glance, unsigned interval_ms, struct canceller **ret_canceller,
                  struct error *err)
{
    struct canceller *canceller = calloc(1, sizeof(*canceller));
    if (!canceller)
        return error_nomem(err);
    canceller->glance = glance;
    canceller->interval_ms = interval_ms;
    (void)pthread_mutex_init(&canceller->lock, NULL);
    clock_cond_init(&canceller->changed);
    int r = cancel_new(&canceller->stop, err);
    if (r == 0) {
        r = pthread_create(&canceller->thread, NULL, canceller_run, canceller);
        if (r != 0)
            r = error_errno(err, r, "cannot start the thread that cancels snapshots");
    }
    if (r < 0) {
        free_canceller(canceller);
        return r;
    }
    *ret_canceller = canceller;
    return 0;
}

void canceller_free(struct canceller *canceller)
{
    struct error ends = ERROR_INIT;
    if (!canceller)
        return;
    (void)error_set(&ends, ECANCELED, EXC_INTERNAL_ERROR, "the agent ends");
    cancel_request(canceller->stop, &ends);
    {
        LOCK_SCOPE(&canceller->lock);
        canceller->stopping = true;
        (void)pthread_cond_broadcast(&canceller->changed);
    }
    (void)pthread_join(canceller->thread, NULL);
    free_canceller(canceller);
}

int canceller_begin(struct canceller *canceller, const char *instance_uuid, const char *image_id,
                    const struct request_context *context, struct cancellable **ret_cancellable,
                    struct error *err)
{
    if (!canceller)
        return 0;
    struct cancellable *cancellable = calloc(1, sizeof(*cancellable));
    if (!cancellable)
        return error_nomem(err);
    cancellable->canceller = canceller;
    cancellable->references = 1;
    (void)snprintf(cancellable->instance_uuid, sizeof(cancellable->instance_uuid), "%s",
                   instance_uuid);
    (void)snprintf(cancellable->image_id, sizeof(cancellable->image_id), "%s", image_id);
    int r = request_context_elevated(context, &cancellable->context, err);
    if (r == 0)
        r = cancel_new(&cancellable->cancel, err);
    if (r < 0) {
        free_cancellable(cancellable);
        return r;
    }
    (void)cancel_enter(cancellable->cancel);
    LOCK_SCOPE(&canceller->lock);
    cancellable->next = canceller->first;
    canceller->first = cancellable;
    (void)pthread_cond_broadcast(&canceller->changed);
    *ret_cancellable = cancellable;
    return 0;
}

void canceller_set_phase(struct cancellable *cancellable, enum cancellable_phase phase)
{
    if (!cancellable)
        return;
    LOCK_SCOPE(&cancellable->canceller->lock);
    cancellable->phase = phase;
}

void canceller_set_disk(struct cancellable *cancellable, const char *path)
{
    if (!cancellable)
        return;
    LOCK_SCOPE(&cancellable->canceller->lock);
    free(cancellable->disk_path);
    cancellable->disk_path = strdup(path);
}

void canceller_cancel(struct cancellable *cancellable, const struct error *reason)
{
    if (!cancellable)
        return;
    log_debug("image %s: its snapshot is cancelled: %s", cancellable->image_id, reason->message);
    cancel_request(cancellable->cancel, reason);
}

void canceller_end(struct cancellable *cancellable)
{
    if (!cancellable)
        return;
    (void)cancel_enter(NULL);
    LOCK_SCOPE(&cancellable->canceller->lock);
    struct cancellable **link = &cancellable->canceller->first;
    while (*link != cancellable)
        link = &(*link)->next;
    *link = cancellable->next;
    unref_cancellable(cancellable);
}

unsigned canceller_instance_deleted(struct canceller *canceller, const char *instance_uuid,
                                    bool soft)
{
    struct error reason = ERROR_INIT;
    unsigned n = 0;
    if (!canceller)
        return 0;
    (void)error_set(&reason, ECANCELED, soft ? EXC_UNEXPECTED_TASK_STATE : EXC_UNEXPECTED_DELETING,
                    "Instance %s is being deleted", instance_uuid);
    LOCK_SCOPE(&canceller->lock);
    for (struct cancellable *cancellable = canceller->first; cancellable;
         cancellable = cancellable->next) {
        if (strcasecmp(cancellable->instance_uuid, instance_uuid) != 0)
            continue;
        cancel_request(cancellable->cancel, &reason);
        n++;
    }
    return n;
}

unsigned canceller_image_unwanted(struct canceller *canceller, const char *image_id)
{
    struct error reason = ERROR_INIT;
    unsigned n = 0;
    if (!canceller)
        return 0;
    (void)error_set(&reason, ECANCELED, EXC_INTERNAL_ERROR,
                    "the snapshot was cancelled by an operator of the host");
    reason.is_wish = true;
    LOCK_SCOPE(&canceller->lock);
    for (struct cancellable *cancellable = canceller->first; cancellable;
         cancellable = cancellable->next) {
        if (strcasecmp(cancellable->image_id, image_id) != 0)
            continue;
        cancel_request(cancellable->cancel, &reason);
        n++;
    }
    return n;
}

unsigned canceller_cancel_all(struct canceller *canceller, enum canceller_scope scope,
                              const struct error *reason)
{
    unsigned n = 0;
    if (!canceller)
        return 0;
    LOCK_SCOPE(&canceller->lock);
    for (struct cancellable *cancellable = canceller->first; cancellable;
         cancellable = cancellable->next) {
        if (cancellable->phase == CANCELLABLE_WAITS_FOR_TURN ||
            (scope == CANCELLER_WAITING && cancellable->phase == CANCELLABLE_RUNS))
            continue;
        cancel_request(cancellable->cancel, reason);
        n++;
    }
    return n;
}
