/* SPDX-License-Identifier: Apache-2.0 */
/* See run.h. */
#include "agent/clean/run.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "agent/clean/host.h"
#include "agent/clean/nova.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "conf/conf.h"

struct clean {
    struct agent *agent;
    struct clean_clock begun;
    struct cancel *cancel;
    pthread_t thread;
    pthread_mutex_t
        lock;     /* guards what follows, but for `thread`, which is who starts and joins's */
    unsigned run; /* the last one's number; 0: there was none */
    bool apply;
    bool running;
    bool joinable;
    json_t *result; /* owned; of the last run, NULL: it has none yet */
};

int clean_new(struct agent *agent, struct clean **ret_clean, struct error *err)
{
    struct clean *clean = calloc(1, sizeof(*clean));
    if (!clean)
        return error_nomem(err);
    int r = cancel_new(&clean->cancel, err);
    if (r < 0) {
        free(clean);
        return r;
    }
    clean->agent = agent;
    clean->begun = clean_look_clock();
    (void)pthread_mutex_init(&clean->lock, NULL);
    *ret_clean = clean;
    return 0;
}

void clean_free(struct clean *clean)
{
    struct error end = ERROR_INIT;
    if (!clean)
        return;
    (void)error_set(&end, ECANCELED, EXC_INTERNAL_ERROR, "the agent ends");
    cancel_request(clean->cancel, &end);
    if (clean->joinable)
        (void)pthread_join(clean->thread, NULL);
    cancel_free(clean->cancel);
    json_decref(clean->result);
    (void)pthread_mutex_destroy(&clean->lock);
    free(clean);
}

static json_t *clean_look_and_remove(struct clean *clean, bool apply)
{
    struct error ends = ERROR_INIT;
    struct clean_look look = {.agent = clean->agent, .begun = clean->begun};
    look.nova = clean_processes_nova_compute(clean->agent->conf->DEFAULT.instances_path);
    clean_host_find(&look);
    clean_nova_find(&look);
    if (apply && cancel_check(&ends) == 0)
        clean_host_remove(&look);
    if (apply && cancel_check(&ends) == 0)
        clean_nova_remove(&look);
    json_t *result = clean_list_view(&look.list);
    clean_list_done(&look.list);
    return result;
}

static void *clean_run(void *arg)
{
    struct clean *clean = arg;
    (void)cancel_enter(clean->cancel);
    json_t *result = clean_look_and_remove(clean, clean->apply);
    (void)cancel_enter(NULL);
    LOCK_SCOPE(&clean->lock);
    clean->result = result;
    clean->running = false;
    return NULL;
}

int clean_start(struct clean *clean, bool apply, unsigned *ret_run, struct error *err)
{
    LOCK_SCOPE(&clean->lock);
    if (clean->running)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "another clean is under way");
    if (clean->joinable)
        (void)pthread_join(clean->thread, NULL);
    json_decref(clean->result);
    clean->result = NULL;
    clean->apply = apply;
    int r = pthread_create(&clean->thread, NULL, clean_run, clean);
    clean->joinable = clean->running = r == 0;
    if (r != 0)
        return error_errno(err, r, "cannot start a thread");
    *ret_run = ++clean->run;
    log_info("an operator looks for what snapshots have left%s",
             apply ? ", and removes what is nobody's" : "");
    return 0;
}

json_t *clean_view(struct clean *clean)
{
    LOCK_SCOPE(&clean->lock);
    if (clean->run > 0 && !clean->running && !clean->result) /* there was no memory for it */
        return NULL;
    json_t *view = json_pack("{s:i, s:b, s:b}", "run", (int)clean->run, "apply", (int)clean->apply,
                             "running", (int)clean->running);
    if (clean->result)
        (void)json_object_update(view, clean->result);
    return view;
}
