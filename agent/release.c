/* SPDX-License-Identifier: Apache-2.0 */
/* See release.h. */
#include "agent/release.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "agent/conductor.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/request_context.h"

#define FRESH_MS 60000
#define ASK_TIMEOUT_MS 3000
#define PATIENCE_MS 1000 /* of who wants to know, with a question that is under way */

/*
 * Service versions of releases, from SERVICE_VERSION of their tags: 2023.1 and 2023.2 66; 2024.1
 * and 2024.2 67; 2025.1 68; 2025.2 70; 2026.1 72. Zed, 64, and 2025.1 were seen at work.
 */
#define ZED 64
#define V2023_1 66
#define V2025_1 68
#define V2025_2 70

/* From the first to the last version that has it. */
static const struct {
    unsigned first, last;
} habits[RELEASE_HABIT_MAX] = {
    /* Gone since 2024.2, and since the point releases 27.5, 28.3 and 29.2, which cannot be told
     * from those before them: there we say what the data is, which every release can boot. */
    [RELEASE_AMI_STAYS_AMI] = {0, ZED},
    [RELEASE_TELLS_SHARES] = {V2025_1, UINT_MAX},
    [RELEASE_REFUSES_WITH_409] = {V2023_1, UINT_MAX},
    [RELEASE_POSTS_LOCATION] = {V2025_2, UINT_MAX},
};

/* Instance 2.8 came with 2023.2; Zed and 2023.1 send 2.7. Later releases send 2.8 too. */
#define INSTANCE_MINOR_2023_2 8

struct release {
    struct bus *bus;
    const char *host;
    atomic_uint version;  /* 0: not known */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    uint64_t fresh_until_ms;
    bool is_asking;
};

static int ask_version(struct release *release, unsigned *ret_version, struct error *err)
{
    struct request_context *context = NULL;
    int r = request_context_new_admin(&context, err);
    if (r == 0)
        r = conductor_service_version(release->bus, context, release->host, ASK_TIMEOUT_MS,
                                      ret_version, err);
    request_context_free(context);
    return r;
}

static void *release_run(void *arg)
{
    struct release *release = arg;
    struct error err = ERROR_INIT;
    unsigned version = 0;
    int r = ask_version(release, &version, &err);
    if (r < 0)
        log_debug("the version of nova-compute is not known: %s", err.message);
    else if (atomic_exchange(&release->version, version) != version)
        log_debug("nova-compute on this host has service version %u", version);
    LOCK_SCOPE(&release->lock);
    release->is_asking = false;
    if (r < 0)
        release->fresh_until_ms = 0;
    (void)pthread_cond_broadcast(&release->changed);
    return NULL;
}

void release_ask(struct release *release)
{
    pthread_t thread;
    if (!release)
        return;
    LOCK_SCOPE(&release->lock);
    if (release->is_asking || clock_now_ms() < release->fresh_until_ms)
        return;
    release->fresh_until_ms = clock_now_ms() + FRESH_MS;
    release->is_asking = pthread_create(&thread, NULL, release_run, release) == 0;
    if (release->is_asking)
        (void)pthread_detach(thread);
}

unsigned release_version(const struct release *release)
{
    return release ? atomic_load(&release->version) : 0;
}

/* Of a request: what was known is of before an upgrade where nova-compute was upgraded since. */
static void await_answer(struct release *release)
{
    const struct timespec deadline = clock_deadline(PATIENCE_MS);
    if (!release)
        return;
    LOCK_SCOPE(&release->lock);
    while (release->is_asking &&
           pthread_cond_timedwait(&release->changed, &release->lock, &deadline) == 0)
        ;
}

static unsigned version_of(struct release *release, const struct instance *instance)
{
    await_answer(release);
    unsigned version = release_version(release);
    if (version > 0)
        return version;
    return instance->minor_version < INSTANCE_MINOR_2023_2 ? ZED : V2023_1;
}

bool release_has(struct release *release, const struct instance *instance, enum release_habit habit)
{
    unsigned version = version_of(release, instance);
    static const char *const names[RELEASE_HABIT_MAX] = {
        [RELEASE_AMI_STAYS_AMI] = "keeps disk format ami",
        [RELEASE_TELLS_SHARES] = "tells of shares",
        [RELEASE_REFUSES_WITH_409] = "refuses to quiesce with 409",
        [RELEASE_POSTS_LOCATION] = "posts locations",
    };
    bool has = version >= habits[habit].first && version <= habits[habit].last;
    log_debug("a nova-compute of service version %u %s: %s", version, names[habit],
              has ? "yes" : "no");
    return has;
}

int release_new(struct bus *bus, const char *host, struct release **ret_release, struct error *err)
{
    struct release *release = calloc(1, sizeof(*release));
    if (!release)
        return error_nomem(err);
    release->bus = bus;
    release->host = host;
    (void)pthread_mutex_init(&release->lock, NULL);
    clock_cond_init(&release->changed);
    *ret_release = release;
    return 0;
}

void release_free(struct release *release)
{
    if (!release)
        return;
    (void)pthread_mutex_lock(&release->lock);
    while (release->is_asking)
        (void)pthread_cond_wait(&release->changed, &release->lock);
    (void)pthread_mutex_unlock(&release->lock);
    (void)pthread_cond_destroy(&release->changed);
    (void)pthread_mutex_destroy(&release->lock);
    free(release);
}
