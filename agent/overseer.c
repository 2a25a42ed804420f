/* SPDX-License-Identifier: Apache-2.0 */
/* See overseer.h. */
#include "agent/overseer.h"

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
struct overseen {
    struct overseer *overseer;
    struct cancel *cancel;
    struct request_context *context;
    char instance_uuid[ID_UUID_SIZE];
    char image_id[ID_UUID_SIZE];
    /* guarded by the overseer's lock */
    enum overseen_phase phase;
    char *disk_path; /* NULL = not known */
    bool complained;
    unsigned references;
    uint64_t round; /* of the last look */
    struct overseen *next;
};

struct overseer {
    struct glance *glance;
    unsigned interval_ms;
    struct cancel *stop; /* the thread's own */
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct overseen *first;
    uint64_t round;
    bool stopping;
};

static void release(struct overseen *overseen)
{
    request_context_free(overseen->context);
    cancel_free(overseen->cancel);
    free(overseen->disk_path);
    free(overseen);
}

/* With the lock. */
static void unreference(struct overseen *overseen)
{
    if (--overseen->references == 0)
        release(overseen);
}

static void look_at_disk(const struct overseen *overseen, const char *path)
{
    struct stat st;
    struct error gone = ERROR_INIT;
    if (stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
        return;
    (void)error_set(&gone, ENOENT, EXC_INSTANCE_NOT_FOUND,
                    "Instance %s could not be found: its disk %s is gone", overseen->instance_uuid,
                    path);
    cancel_request(overseen->cancel, &gone);
}

static bool is_deleted(const char *status)
{
    return strcmp(status, "deleted") == 0 || strcmp(status, "pending_delete") == 0;
}

/* What Glance failed with goes to *failure. */
static int look_at_image(const struct overseen *overseen, struct error *failure)
{
    struct glance_image image = {0};
    struct error gone = ERROR_INIT;
    int r = glance_image_peek(overseen->overseer->glance, overseen->context, overseen->image_id,
                              GLANCE_MS, &image, failure);
    bool deleted = r < 0 ? error_is(failure, EXC_IMAGE_NOT_FOUND) : is_deleted(image.status);
    glance_image_done(&image);
    if (!deleted)
        return r;
    (void)error_set(&gone, ENOENT, EXC_IMAGE_NOT_FOUND, "Image %s could not be found",
                    overseen->image_id);
    cancel_request(overseen->cancel, &gone);
    return 0;
}

static void complain(struct overseen *overseen, const struct error *failure)
{
    if (overseen->complained)
        return;
    overseen->complained = true;
    log_set_context(overseen->context->request_id, overseen->instance_uuid);
    log_debug("whether the image is still wanted is not known: %s", failure->message);
    log_set_context(NULL, NULL);
}

/* With the lock, which is let go meanwhile. False when Glance cannot be reached. */
static bool look_at(struct overseer *overseer, struct overseen *overseen, bool ask_glance)
{
    struct error failure = ERROR_INIT;
    cleanup_free char *path = overseen->disk_path ? strdup(overseen->disk_path) : NULL;
    overseen->round = overseer->round;
    overseen->references++;
    (void)pthread_mutex_unlock(&overseer->lock);
    int r = ask_glance ? look_at_image(overseen, &failure) : 0;
    if (path)
        look_at_disk(overseen, path);
    (void)pthread_mutex_lock(&overseer->lock);
    if (r < 0)
        complain(overseen, &failure);
    unreference(overseen);
    return r == 0 || failure.http_status != 0;
}

/* What was not looked at for longest goes first. */
static struct overseen *longest_unseen(const struct overseer *overseer, bool running)
{
    struct overseen *found = NULL;
    for (struct overseen *overseen = overseer->first; overseen; overseen = overseen->next)
        if ((overseen->phase == OVERSEEN_RUNS) == running && overseen->round != overseer->round &&
            (!found || overseen->round < found->round))
            found = overseen;
    return found;
}

/* With the lock. However many wait, what runs is looked at again soon. */
static void look_around(struct overseer *overseer)
{
    struct overseen *overseen;
    bool ask_glance = true;
    while (!overseer->stopping && (overseen = longest_unseen(overseer, true)))
        ask_glance = look_at(overseer, overseen, ask_glance) && ask_glance;
    const uint64_t end_ms = clock_now_ms() + WAITING_MS;
    while (!overseer->stopping && clock_now_ms() < end_ms &&
           (overseen = longest_unseen(overseer, false)))
        ask_glance = look_at(overseer, overseen, ask_glance) && ask_glance;
}

static void *run(void *arg)
{
    struct overseer *overseer = arg;
    (void)cancel_enter(overseer->stop);
    LOCK_SCOPE(&overseer->lock);
    while (!overseer->stopping) {
        overseer->round++;
        if (!overseer->first) {
            (void)pthread_cond_wait(&overseer->changed, &overseer->lock);
            continue;
        }
        look_around(overseer);
        const struct timespec next = clock_deadline(overseer->interval_ms);
        while (!overseer->stopping &&
               pthread_cond_timedwait(&overseer->changed, &overseer->lock, &next) != ETIMEDOUT)
            continue;
    }
    return NULL;
}

static void free_overseer(struct overseer *overseer)
{
    cancel_free(overseer->stop);
    (void)pthread_cond_destroy(&overseer->changed);
    (void)pthread_mutex_destroy(&overseer->lock);
    free(overseer);
}

int overseer_new(struct glance *glance, unsigned interval_ms, struct overseer **ret_overseer,
                 struct error *err)
{
    struct overseer *overseer = calloc(1, sizeof(*overseer));
    if (!overseer)
        return error_nomem(err);
    overseer->glance = glance;
    overseer->interval_ms = interval_ms;
    (void)pthread_mutex_init(&overseer->lock, NULL);
    clock_cond_init(&overseer->changed);
    int r = cancel_new(&overseer->stop, err);
    if (r == 0) {
        r = pthread_create(&overseer->thread, NULL, run, overseer);
        if (r != 0)
            r = error_errno(err, r, "cannot start the thread that oversees snapshots");
    }
    if (r < 0) {
        free_overseer(overseer);
        return r;
    }
    *ret_overseer = overseer;
    return 0;
}

void overseer_free(struct overseer *overseer)
{
    struct error ends = ERROR_INIT;
    if (!overseer)
        return;
    (void)error_set(&ends, ECANCELED, EXC_INTERNAL_ERROR, "the agent ends");
    cancel_request(overseer->stop, &ends);
    {
        LOCK_SCOPE(&overseer->lock);
        overseer->stopping = true;
        (void)pthread_cond_broadcast(&overseer->changed);
    }
    (void)pthread_join(overseer->thread, NULL);
    free_overseer(overseer);
}

int overseer_begin(struct overseer *overseer, const char *instance_uuid, const char *image_id,
                   const struct request_context *context, struct overseen **ret_overseen,
                   struct error *err)
{
    if (!overseer)
        return 0;
    struct overseen *overseen = calloc(1, sizeof(*overseen));
    if (!overseen)
        return error_nomem(err);
    overseen->overseer = overseer;
    overseen->references = 1;
    (void)snprintf(overseen->instance_uuid, sizeof(overseen->instance_uuid), "%s", instance_uuid);
    (void)snprintf(overseen->image_id, sizeof(overseen->image_id), "%s", image_id);
    int r = request_context_elevated(context, &overseen->context, err);
    if (r == 0)
        r = cancel_new(&overseen->cancel, err);
    if (r < 0) {
        release(overseen);
        return r;
    }
    (void)cancel_enter(overseen->cancel);
    LOCK_SCOPE(&overseer->lock);
    overseen->next = overseer->first;
    overseer->first = overseen;
    (void)pthread_cond_broadcast(&overseer->changed);
    *ret_overseen = overseen;
    return 0;
}

void overseer_set_phase(struct overseen *overseen, enum overseen_phase phase)
{
    if (!overseen)
        return;
    LOCK_SCOPE(&overseen->overseer->lock);
    overseen->phase = phase;
}

void overseer_set_disk(struct overseen *overseen, const char *path)
{
    if (!overseen)
        return;
    LOCK_SCOPE(&overseen->overseer->lock);
    free(overseen->disk_path);
    overseen->disk_path = strdup(path);
}

void overseer_cancel(struct overseen *overseen, const struct error *reason)
{
    if (overseen)
        cancel_request(overseen->cancel, reason);
}

void overseer_end(struct overseen *overseen)
{
    if (!overseen)
        return;
    (void)cancel_enter(NULL);
    LOCK_SCOPE(&overseen->overseer->lock);
    struct overseen **link = &overseen->overseer->first;
    while (*link != overseen)
        link = &(*link)->next;
    *link = overseen->next;
    unreference(overseen);
}

unsigned overseer_instance_deleted(struct overseer *overseer, const char *instance_uuid, bool soft)
{
    struct error reason = ERROR_INIT;
    unsigned n = 0;
    if (!overseer)
        return 0;
    (void)error_set(&reason, ECANCELED, soft ? EXC_UNEXPECTED_TASK_STATE : EXC_UNEXPECTED_DELETING,
                    "Instance %s is being deleted", instance_uuid);
    LOCK_SCOPE(&overseer->lock);
    for (struct overseen *overseen = overseer->first; overseen; overseen = overseen->next) {
        if (strcasecmp(overseen->instance_uuid, instance_uuid) != 0)
            continue;
        cancel_request(overseen->cancel, &reason);
        n++;
    }
    return n;
}

unsigned overseer_cancel_all(struct overseer *overseer, enum overseer_scope scope,
                             const struct error *reason)
{
    unsigned n = 0;
    if (!overseer)
        return 0;
    LOCK_SCOPE(&overseer->lock);
    for (struct overseen *overseen = overseer->first; overseen; overseen = overseen->next) {
        if (overseen->phase == OVERSEEN_WAITS_FOR_TURN ||
            (scope == OVERSEER_WAITING && overseen->phase == OVERSEEN_RUNS))
            continue;
        cancel_request(overseen->cancel, reason);
        n++;
    }
    return n;
}
