/* SPDX-License-Identifier: Apache-2.0 */
/* See preflight.h. */
#include "agent/preflight.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/host_checks.h"
#include "amqp/bus.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/retry.h"
#include "conf/conf.h"
#include "glance_client/glance.h"

#define INTERVAL_MS 60000
#define UNFIT_INTERVAL_MS 10000 /* the first; doubled up to the next */
#define UNFIT_INTERVAL_MAX_MS 30000
#define FRESH_MS 10000 /* a look as old as this is good enough for a request */
#define GLANCE_URL_MS 300000

struct preflight {
    struct agent *agent;
    unsigned pause_ms;
    pthread_mutex_t looking; /* one look at a time */
    char *glance_url;        /* of the last request's catalog; guarded by `looking` */
    uint64_t glance_url_ms;  /* when that was */
    struct cancel *stop;     /* the thread's own */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct error trouble; /* errnum 0 = none */
    json_t *troubles;     /* of all checks; owned */
    char hypervisor[DRIVER_TEXT_MAX];
    uint64_t looked_ms; /* 0 = never */
    uint64_t next_ms;   /* when the thread looks again */
    uint64_t unfit_interval_ms;
    bool stopping;
};

static bool has_nova_compute(const struct preflight *preflight)
{
    return strcmp(preflight->agent->conf->snapshot_agent.attach, "exclusive") != 0;
}

static void tell_change(const struct preflight *preflight, const struct error *trouble)
{
    if (trouble->errnum != 0)
        log_error("this host cannot take snapshots%s: %s",
                  has_nova_compute(preflight) ? ", requests go to nova-compute until it can" : "",
                  trouble->message);
    else
        log_info("this host can take snapshots again");
}

/* A service that is back must not be asked by all hosts at once, nor by each all the time. */
static uint64_t next_interval_ms(struct preflight *preflight, bool is_fit)
{
    uint64_t interval_ms = is_fit ? INTERVAL_MS : preflight->unfit_interval_ms;
    preflight->unfit_interval_ms =
        is_fit ? UNFIT_INTERVAL_MS : earlier_ms(2 * interval_ms, UNFIT_INTERVAL_MAX_MS);
    return retry_jitter_ms(interval_ms);
}

static void note_look(struct preflight *preflight, const struct error *trouble)
{
    LOCK_SCOPE(&preflight->lock);
    preflight->trouble = *trouble;
    preflight->looked_ms = clock_now_ms();
    preflight->next_ms = preflight->looked_ms + next_interval_ms(preflight, trouble->errnum == 0);
    (void)pthread_cond_broadcast(&preflight->changed);
}

/* Who is told that the host is unfit finds the agent detached; of one that is back nobody is. */
static void keep_look(struct preflight *preflight, const struct error *trouble)
{
    bool is_fit = trouble->errnum == 0;
    log_debug("preflight: %s", is_fit ? "this host can take snapshots" : trouble->message);
    bool was_fit = preflight->trouble.errnum == 0; /* nobody else writes it */
    if (was_fit != is_fit)
        tell_change(preflight, trouble);
    if (was_fit && !is_fit && has_nova_compute(preflight))
        bus_stand_aside(preflight->agent->bus, BUS_ASIDE_UNFIT, true);
    note_look(preflight, trouble);
    if (!was_fit && is_fit && has_nova_compute(preflight))
        bus_stand_aside(preflight->agent->bus, BUS_ASIDE_UNFIT, false);
}

/* A host that waits for a Glance that has moved would never hear from a request where it is now. */
static void forget_old_glance_url(struct preflight *preflight)
{
    if (!preflight->glance_url || clock_now_ms() < preflight->glance_url_ms + GLANCE_URL_MS)
        return;
    free(preflight->glance_url);
    preflight->glance_url = NULL;
}

/* Takes the troubles. */
static void note_troubles(struct preflight *preflight, json_t *troubles, const char *hypervisor)
{
    LOCK_SCOPE(&preflight->lock);
    json_decref(preflight->troubles);
    preflight->troubles = troubles;
    if (hypervisor[0] != '\0')
        (void)snprintf(preflight->hypervisor, sizeof(preflight->hypervisor), "%s", hypervisor);
}

struct look {
    struct preflight *preflight;
    bool is_whole; /* goes on behind the first trouble */
    struct error first;
    json_t *troubles;
};

/* The first counts at once: what follows may take a while. */
static bool keep_trouble(void *arg, const struct host_finding *finding)
{
    struct look *look = arg;
    if (!finding->trouble)
        return true;
    if (finding->trouble->errnum == ECANCELED)
        return false;
    (void)json_array_append_new(look->troubles, json_pack("{s:s, s:s}", "check", finding->name,
                                                          "text", finding->trouble->message));
    if (look->first.errnum != 0)
        return true;
    look->first = *finding->trouble;
    if (finding->is_local)
        (void)error_prepend(&look->first, "%s", finding->name);
    note_troubles(look->preflight, json_deep_copy(look->troubles), "");
    keep_look(look->preflight, &look->first);
    return look->is_whole;
}

/* With `looking`. A look that was cancelled has found nothing. */
static void look_at_host(struct preflight *preflight, bool is_whole)
{
    struct error ends = ERROR_INIT;
    forget_old_glance_url(preflight);
    struct host_view view = {
        .agent = preflight->agent, .is_serving = true, .glance_url = preflight->glance_url};
    struct look look = {.preflight = preflight, .is_whole = is_whole, .troubles = json_array()};
    (void)host_checks_run(&view, HOST_CHECKS_FIT, keep_trouble, &look);
    if (cancel_check(&ends) < 0) {
        json_decref(look.troubles);
        return;
    }
    note_troubles(preflight, look.troubles, view.hypervisor);
    if (look.first.errnum == 0)
        keep_look(preflight, &look.first);
}

/* Where the last request has found Glance. */
static void keep_glance_url(struct preflight *preflight, const struct request_context *context)
{
    char *url = NULL;
    struct error ignored = ERROR_INIT;
    if (glance_endpoint(preflight->agent->glance, context, &url, &ignored) < 0)
        return;
    free(preflight->glance_url);
    preflight->glance_url = url;
    log_debug("preflight: Glance is looked for at %s", http_request_show_url(url).text);
    preflight->glance_url_ms = clock_now_ms();
}

static bool is_fresh(struct preflight *preflight)
{
    LOCK_SCOPE(&preflight->lock);
    return preflight->looked_ms != 0 && clock_now_ms() < preflight->looked_ms + FRESH_MS;
}

int preflight_look(struct preflight *preflight, const struct request_context *context,
                   struct error *err)
{
    if (!preflight)
        return 0;
    /* A file system that hangs under somebody else's look is no reason to wait for it. */
    if (pthread_mutex_trylock(&preflight->looking) != 0) {
        log_debug("preflight: somebody else is looking, the last result counts");
        return preflight_check(preflight, err);
    }
    if (!is_fresh(preflight)) {
        keep_glance_url(preflight, context);
        look_at_host(preflight, false);
    }
    (void)pthread_mutex_unlock(&preflight->looking);
    return preflight_check(preflight, err);
}

int preflight_trouble(struct preflight *preflight, struct error *err)
{
    if (!preflight)
        return 0;
    LOCK_SCOPE(&preflight->lock);
    if (preflight->trouble.errnum == 0)
        return 0;
    *err = preflight->trouble;
    return -err->errnum;
}

json_t *preflight_troubles(struct preflight *preflight)
{
    if (!preflight)
        return json_array();
    LOCK_SCOPE(&preflight->lock);
    return preflight->troubles ? json_deep_copy(preflight->troubles) : json_array();
}

void preflight_hypervisor(struct preflight *preflight, char ret_text[static DRIVER_TEXT_MAX])
{
    ret_text[0] = '\0';
    if (!preflight)
        return;
    LOCK_SCOPE(&preflight->lock);
    memcpy(ret_text, preflight->hypervisor, DRIVER_TEXT_MAX);
}

int preflight_check(struct preflight *preflight, struct error *err)
{
    return preflight && has_nova_compute(preflight) ? preflight_trouble(preflight, err) : 0;
}

void preflight_suspect(struct preflight *preflight)
{
    if (!preflight)
        return;
    LOCK_SCOPE(&preflight->lock);
    preflight->next_ms = earlier_ms(preflight->next_ms, preflight->looked_ms + preflight->pause_ms);
    (void)pthread_cond_broadcast(&preflight->changed);
}

/* False when it is time to end. */
static bool await_next(struct preflight *preflight)
{
    LOCK_SCOPE(&preflight->lock);
    for (uint64_t now_ms; !preflight->stopping && (now_ms = clock_now_ms()) < preflight->next_ms;) {
        const struct timespec next = clock_deadline((unsigned)(preflight->next_ms - now_ms));
        (void)pthread_cond_timedwait(&preflight->changed, &preflight->lock, &next);
    }
    return !preflight->stopping;
}

static void *preflight_run(void *arg)
{
    struct preflight *preflight = arg;
    (void)cancel_enter(preflight->stop);
    while (await_next(preflight)) {
        LOCK_SCOPE(&preflight->looking);
        look_at_host(preflight, true);
    }
    return NULL;
}

static void await_first(struct preflight *preflight, unsigned timeout_ms)
{
    const struct timespec deadline = clock_deadline(timeout_ms);
    LOCK_SCOPE(&preflight->lock);
    while (preflight->looked_ms == 0)
        if (pthread_cond_timedwait(&preflight->changed, &preflight->lock, &deadline) == ETIMEDOUT)
            break;
}

int preflight_start(struct preflight *preflight, unsigned timeout_ms, struct error *err)
{
    int r = pthread_create(&preflight->thread, NULL, preflight_run, preflight);
    if (r != 0)
        return error_errno(err, r, "cannot start the thread that looks at the host");
    preflight->has_thread = true;
    await_first(preflight, timeout_ms);
    return 0;
}

int preflight_new(struct agent *agent, unsigned pause_ms, struct preflight **ret_preflight,
                  struct error *err)
{
    struct preflight *preflight = calloc(1, sizeof(*preflight));
    if (!preflight)
        return error_nomem(err);
    preflight->agent = agent;
    preflight->pause_ms = pause_ms;
    preflight->unfit_interval_ms = UNFIT_INTERVAL_MS;
    (void)pthread_mutex_init(&preflight->looking, NULL);
    (void)pthread_mutex_init(&preflight->lock, NULL);
    clock_cond_init(&preflight->changed);
    int r = cancel_new(&preflight->stop, err);
    if (r < 0) {
        preflight_free(preflight);
        return r;
    }
    *ret_preflight = preflight;
    return 0;
}

static void stop_looking(struct preflight *preflight)
{
    struct error ends = ERROR_INIT;
    (void)error_set(&ends, ECANCELED, EXC_INTERNAL_ERROR, "the agent ends");
    cancel_request(preflight->stop, &ends);
    {
        LOCK_SCOPE(&preflight->lock);
        preflight->stopping = true;
        (void)pthread_cond_broadcast(&preflight->changed);
    }
    (void)pthread_join(preflight->thread, NULL);
}

void preflight_free(struct preflight *preflight)
{
    if (!preflight)
        return;
    if (preflight->has_thread)
        stop_looking(preflight);
    cancel_free(preflight->stop);
    (void)pthread_cond_destroy(&preflight->changed);
    (void)pthread_mutex_destroy(&preflight->lock);
    (void)pthread_mutex_destroy(&preflight->looking);
    free(preflight->glance_url);
    json_decref(preflight->troubles);
    free(preflight);
}
