/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_watch.h. */
#include "driver/libvirt/domain_watch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "driver/driver.h"

#define CANCEL_LOOK_MS 250

struct domain_watch {
    struct domain_watches *watches;
    struct domain_watch *next;
    char uuid[DRIVER_UUID_MAX];
    char disk_target[DRIVER_FORMAT_MAX];
    struct domain_news news;
};

struct domain_watches {
    pthread_mutex_t lock; /* of the list and the news in it */
    pthread_cond_t changed;
    struct domain_watch *first;
};

int domain_watches_new(struct domain_watches **ret_watches, struct error *err)
{
    struct domain_watches *watches = calloc(1, sizeof(*watches));
    if (!watches)
        return error_nomem(err);
    clock_cond_init(&watches->changed);
    (void)pthread_mutex_init(&watches->lock, NULL);
    *ret_watches = watches;
    return 0;
}

void domain_watches_free(struct domain_watches *watches)
{
    if (!watches)
        return;
    (void)pthread_cond_destroy(&watches->changed);
    (void)pthread_mutex_destroy(&watches->lock);
    free(watches);
}

int domain_watch_new(struct domain_watches *watches, const char *uuid, const char *disk_target,
                     struct domain_watch **ret_watch, struct error *err)
{
    struct domain_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return error_nomem(err);
    watch->watches = watches;
    watch->news = (struct domain_news)DOMAIN_NEWS_INIT;
    (void)snprintf(watch->uuid, sizeof(watch->uuid), "%s", uuid);
    (void)snprintf(watch->disk_target, sizeof(watch->disk_target), "%s", disk_target);
    LOCK_SCOPE(&watches->lock);
    watch->next = watches->first;
    watches->first = watch;
    *ret_watch = watch;
    return 0;
}

void domain_watch_free(struct domain_watch *watch)
{
    if (!watch)
        return;
    {
        LOCK_SCOPE(&watch->watches->lock);
        struct domain_watch **link = &watch->watches->first;
        while (*link != watch)
            link = &(*link)->next;
        *link = watch->next;
    }
    free(watch);
}

/* How long to wait, 0: no longer. Work that can be cancelled looks now and then whether it is. */
static unsigned next_look_ms(uint64_t end_ms)
{
    struct error ignored = ERROR_INIT;
    uint64_t now_ms = clock_now_ms();
    if (now_ms >= end_ms || cancel_check(&ignored) < 0)
        return 0;
    return (unsigned)earlier_ms(end_ms - now_ms, cancel_current() ? CANCEL_LOOK_MS : UINT32_MAX);
}

bool domain_watch_wait(struct domain_watch *watch, unsigned timeout_ms, struct domain_news *news)
{
    const uint64_t end_ms = clock_now_ms() + timeout_ms;
    unsigned look_ms;
    LOCK_SCOPE(&watch->watches->lock);
    while (watch->news.serial == news->serial && (look_ms = next_look_ms(end_ms)) > 0) {
        const struct timespec look = clock_deadline(look_ms);
        (void)pthread_cond_timedwait(&watch->watches->changed, &watch->watches->lock, &look);
    }
    bool heard = watch->news.serial != news->serial;
    *news = watch->news;
    return heard;
}

/* The first watch of a domain from `watch` on; with the lock held. */
static struct domain_watch *next_of(struct domain_watch *watch, const char *uuid)
{
    while (watch && strcmp(watch->uuid, uuid) != 0)
        watch = watch->next;
    return watch;
}

static void tell_watcher(struct domain_watch *watch)
{
    watch->news.serial++;
    (void)pthread_cond_broadcast(&watch->watches->changed);
}

void domain_watches_block_job(struct domain_watches *watches, const char *uuid,
                              const char *disk_target, int status)
{
    LOCK_SCOPE(&watches->lock);
    for (struct domain_watch *watch = next_of(watches->first, uuid); watch;
         watch = next_of(watch->next, uuid)) {
        if (strcmp(watch->disk_target, disk_target) != 0)
            continue;
        watch->news.block_job_status = status;
        tell_watcher(watch);
    }
}

/* Adds what was heard of a domain, which may be nothing but that something was. */
static void tell_of_domain(struct domain_watches *watches, const char *uuid,
                           struct domain_news heard)
{
    LOCK_SCOPE(&watches->lock);
    for (struct domain_watch *watch = next_of(watches->first, uuid); watch;
         watch = next_of(watch->next, uuid)) {
        watch->news.stopped |= heard.stopped;
        watch->news.resumed |= heard.resumed;
        watch->news.started |= heard.started;
        tell_watcher(watch);
    }
}

void domain_watches_device_removed(struct domain_watches *watches, const char *uuid)
{
    tell_of_domain(watches, uuid, (struct domain_news){0});
}

void domain_watches_stopped(struct domain_watches *watches, const char *uuid)
{
    tell_of_domain(watches, uuid, (struct domain_news){.stopped = true});
}

void domain_watches_resumed(struct domain_watches *watches, const char *uuid)
{
    tell_of_domain(watches, uuid, (struct domain_news){.resumed = true});
}

void domain_watches_started(struct domain_watches *watches, const char *uuid)
{
    tell_of_domain(watches, uuid, (struct domain_news){.started = true});
}

void domain_watches_disconnected(struct domain_watches *watches)
{
    LOCK_SCOPE(&watches->lock);
    for (struct domain_watch *watch = watches->first; watch; watch = watch->next) {
        watch->news.disconnected = true;
        tell_watcher(watch);
    }
}
