/* SPDX-License-Identifier: Apache-2.0 */
/* See freezer.h. */
#include "agent/freezer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metric.h"

#define RETRY_MS 2000

/*
 * A guest has an entry from before it is frozen until it is thawed. `busy`: a thread is asking the
 * driver about it; no other may, until `changed` tells.
 */
struct entry {
    char uuid[DRIVER_UUID_MAX];
    uint64_t begun_ms;
    uint64_t thaw_ms; /* when the thread thaws it; moves on after a failed try */
    bool busy;
    bool given_up; /* freezer_thaw_all() has tried */
    bool overdue;  /* it should have been thawed by now: only retries are left */
    struct entry *next;
};

struct freezer {
    struct driver *driver;
    const struct freeze_ledger *ledger;
    unsigned deadline_ms;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct entry *entries;
    bool stopping;
    atomic_uint n_entries; /* read without the lock: who holds it may wait for a disk */
};

static struct entry *find_entry(struct freezer *freezer, const char *uuid)
{
    struct entry *entry = freezer->entries;
    while (entry && strcmp(entry->uuid, uuid) != 0)
        entry = entry->next;
    return entry;
}

static void forget_entry(struct freezer *freezer, struct entry *entry)
{
    struct entry **link = &freezer->entries;
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    atomic_fetch_sub(&freezer->n_entries, 1);
    free(entry);
    (void)pthread_cond_broadcast(&freezer->changed);
}

static struct entry *add_entry(struct freezer *freezer, const char *uuid)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    (void)snprintf(entry->uuid, sizeof(entry->uuid), "%s", uuid);
    entry->begun_ms = clock_now_ms();
    entry->thaw_ms = entry->begun_ms + freezer->deadline_ms;
    entry->next = freezer->entries;
    freezer->entries = entry;
    atomic_fetch_add(&freezer->n_entries, 1);
    return entry;
}

/* Waits until no other thread asks the driver about the guest. NULL when it is not frozen. */
static struct entry *find_idle_entry(struct freezer *freezer, const char *uuid)
{
    struct entry *entry;
    while ((entry = find_entry(freezer, uuid)) && entry->busy)
        (void)pthread_cond_wait(&freezer->changed, &freezer->lock);
    return entry;
}

/* With the lock, which is let go for the time of the call. */
static int ask_driver(struct freezer *freezer, struct entry *entry,
                      int (*ask)(struct driver *, const char *, struct error *), struct error *err)
{
    char uuid[DRIVER_UUID_MAX];
    memcpy(uuid, entry->uuid, sizeof(uuid));
    log_debug("asking the driver to %s guest %s",
              ask == freezer->driver->ops->freeze ? "freeze" : "thaw", entry->uuid);
    entry->busy = true;
    (void)pthread_mutex_unlock(&freezer->lock);
    int r = ask(freezer->driver, uuid, err);
    (void)pthread_mutex_lock(&freezer->lock);
    entry->busy = false;
    (void)pthread_cond_broadcast(&freezer->changed);
    return r;
}

/* With the lock: the guest is not frozen, for all that is known. */
static void cross_out_entry(struct freezer *freezer, struct entry *entry)
{
    freeze_ledger_remove(freezer->ledger, entry->uuid);
    forget_entry(freezer, entry);
}

/* With the lock. An entry that cannot be thawed stays: the thread tries again. */
static int thaw_entry(struct freezer *freezer, struct entry *entry, struct error *err)
{
    int r = ask_driver(freezer, entry, freezer->driver->ops->thaw, err);
    if (r == 0) {
        metric_observe(METRIC_FREEZE, 0, clock_now_ms() - entry->begun_ms);
        cross_out_entry(freezer, entry);
    } else {
        entry->thaw_ms = clock_now_ms() + RETRY_MS;
        entry->overdue = true;
    }
    return r;
}

int freezer_freeze(struct freezer *freezer, const char *uuid, struct error *err)
{
    LOCK_SCOPE(&freezer->lock);
    if (freezer->stopping)
        return error_set(err, ECANCELED, EXC_INTERNAL_ERROR, "the agent is about to end");
    if (find_idle_entry(freezer, uuid))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "the guest is frozen for another snapshot already");
    struct entry *entry = add_entry(freezer, uuid);
    if (!entry)
        return error_nomem(err);
    int r = freeze_ledger_add(freezer->ledger, uuid, err);
    if (r == 0)
        r = ask_driver(freezer, entry, freezer->driver->ops->freeze, err);
    if (r == -ETIMEDOUT) { /* it may still become frozen */
        entry->thaw_ms = clock_now_ms();
        entry->overdue = true;
    } else if (r < 0) {
        cross_out_entry(freezer, entry);
    }
    return r;
}

static void take_over_guest(void *arg, const char *uuid, bool by_us)
{
    (void)by_us;
    struct freezer *freezer = arg;
    LOCK_SCOPE(&freezer->lock);
    log_debug("guest %s was left frozen", uuid);
    struct entry *entry = find_entry(freezer, uuid) ? NULL : add_entry(freezer, uuid);
    if (!entry)
        return;
    entry->thaw_ms = clock_now_ms();
    entry->overdue = true;
    (void)pthread_cond_broadcast(&freezer->changed);
}

int freezer_take_over(struct freezer *freezer, struct error *err)
{
    return freeze_ledger_visit(freezer->ledger, take_over_guest, freezer, err);
}

bool freezer_holds(struct freezer *freezer, const char *uuid)
{
    return freezer_left_ms(freezer, uuid) > 0;
}

unsigned freezer_left_ms(struct freezer *freezer, const char *uuid)
{
    LOCK_SCOPE(&freezer->lock);
    const struct entry *entry = find_entry(freezer, uuid);
    uint64_t now_ms = clock_now_ms();
    return entry && !entry->overdue && entry->thaw_ms > now_ms ? (unsigned)(entry->thaw_ms - now_ms)
                                                               : 0;
}

unsigned freezer_count(const struct freezer *freezer)
{
    return atomic_load(&freezer->n_entries);
}

int freezer_thaw(struct freezer *freezer, const char *uuid, struct error *err)
{
    LOCK_SCOPE(&freezer->lock);
    struct entry *entry = find_idle_entry(freezer, uuid);
    if (!entry)
        entry = add_entry(freezer, uuid); /* frozen by nova-compute, or before this agent started */
    if (!entry)
        return error_nomem(err);
    return thaw_entry(freezer, entry, err);
}

/* The entry whose time comes first. */
static struct entry *next_due(const struct freezer *freezer)
{
    struct entry *first = NULL;
    for (struct entry *entry = freezer->entries; entry; entry = entry->next)
        if (!entry->busy && (!first || entry->thaw_ms < first->thaw_ms))
            first = entry;
    return first;
}

static void thaw_overdue(struct freezer *freezer, struct entry *entry)
{
    struct error err = ERROR_INIT;
    bool again = entry->overdue;
    entry->overdue = true;
    log_set_context(NULL, entry->uuid);
    if (!again)
        log_warning("the guest is thawed: nobody asked for it within freeze_deadline (%u ms)",
                    freezer->deadline_ms);
    int r = thaw_entry(freezer, entry, &err);
    if (r < 0 && !again)
        log_error("cannot thaw the guest, will retry: %s", err.message);
    else if (r == 0 && again)
        log_info("the guest is thawed, later than it should have been");
    log_set_context(NULL, NULL);
}

static void *freezer_run(void *arg)
{
    struct freezer *freezer = arg;
    LOCK_SCOPE(&freezer->lock);
    while (!freezer->stopping) {
        struct entry *entry = next_due(freezer);
        uint64_t now_ms = clock_now_ms();
        if (!entry) {
            (void)pthread_cond_wait(&freezer->changed, &freezer->lock);
        } else if (entry->thaw_ms > now_ms) {
            const struct timespec deadline = clock_deadline((unsigned)(entry->thaw_ms - now_ms));
            (void)pthread_cond_timedwait(&freezer->changed, &freezer->lock, &deadline);
        } else {
            thaw_overdue(freezer, entry);
        }
    }
    return NULL;
}

int freezer_new(struct driver *driver, const struct freeze_ledger *ledger, unsigned deadline_ms,
                struct freezer **ret_freezer, struct error *err)
{
    struct freezer *freezer = calloc(1, sizeof(*freezer));
    if (!freezer)
        return error_nomem(err);
    freezer->driver = driver;
    freezer->ledger = ledger;
    freezer->deadline_ms = deadline_ms;
    (void)pthread_mutex_init(&freezer->lock, NULL);
    clock_cond_init(&freezer->changed);
    int r = pthread_create(&freezer->thread, NULL, freezer_run, freezer);
    if (r != 0) {
        (void)pthread_cond_destroy(&freezer->changed);
        (void)pthread_mutex_destroy(&freezer->lock);
        free(freezer);
        return error_errno(err, r, "cannot start the thread that thaws guests");
    }
    *ret_freezer = freezer;
    return 0;
}

/* False when that was done before. */
static bool stop_thawing(struct freezer *freezer)
{
    {
        LOCK_SCOPE(&freezer->lock);
        if (freezer->stopping)
            return false;
        freezer->stopping = true;
        (void)pthread_cond_broadcast(&freezer->changed);
    }
    (void)pthread_join(freezer->thread, NULL);
    return true;
}

static struct entry *next_untried(const struct freezer *freezer)
{
    struct entry *entry = freezer->entries;
    while (entry && (entry->busy || entry->given_up))
        entry = entry->next;
    return entry;
}

void freezer_thaw_all(struct freezer *freezer)
{
    struct entry *entry;
    if (!stop_thawing(freezer))
        return;
    LOCK_SCOPE(&freezer->lock);
    while ((entry = next_untried(freezer))) {
        struct error err = ERROR_INIT;
        entry->given_up = true;
        log_set_context(NULL, entry->uuid);
        if (thaw_entry(freezer, entry, &err) < 0)
            log_error("cannot thaw the guest before the agent ends: %s", err.message);
        log_set_context(NULL, NULL);
    }
}

void freezer_free(struct freezer *freezer)
{
    if (!freezer)
        return;
    freezer_thaw_all(freezer);
    for (struct entry *entry = freezer->entries, *next; entry; entry = next) {
        next = entry->next;
        free(entry);
    }
    (void)pthread_cond_destroy(&freezer->changed);
    (void)pthread_mutex_destroy(&freezer->lock);
    free(freezer);
}
