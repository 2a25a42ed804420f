/* SPDX-License-Identifier: Apache-2.0 */
/* See service_checks.h. */
#include "agent/service_checks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "agent/agent.h"
#include "cinder_client/cinder.h"
#include "common/cleanup.h"
#include "common/keystone.h"
#include "common/secret.h"
#include "conf/conf.h"
#include "driver/driver.h"
#include "glance_client/glance.h"

#define GLANCE_MS 5000
#define CINDER_MS 8000
#define KEYSTONE_MS 8000

#define NO_SERVICE_TOKEN "no service token is sent: an upload that outlives the user's token fails"

/* Below it not even a journal's record, or the header of an overlay, is sure to be written. */
#define ROOM_BYTES ((uint64_t)16 << 20)

/*
 * check_host makes folders, to see whether it can be done: not for an operator, nor on a host where
 * something is wrong, as a file system that is not mounted.
 */
int service_checks_libvirt(struct host_view *view, struct host_fact *fact, struct error *err)
{
    struct driver *driver = view->agent->driver;
    struct error unknown = ERROR_INIT;
    bool only_asks = view->is_thorough || view->is_bad;
    int r = only_asks ? 0 : driver->ops->check_host(driver, err);
    if (r < 0)
        return r;
    r = driver->ops->describe_host(driver, view->hypervisor, only_asks ? err : &unknown);
    if (r == 0)
        host_check_tell(fact, "%s", view->hypervisor);
    return only_asks ? r : 0; /* it has answered */
}

/* Before the agent has made its folders nobody misses them. */
static bool may_be_missing(const struct host_view *view)
{
    return view->is_thorough && !view->is_serving;
}

static int check_room(const struct host_view *view, const char *path, struct host_fact *fact,
                      struct error *err)
{
    struct statvfs fs;
    int errnum = statvfs(path, &fs) < 0 ? errno : 0;
    if (errnum == ENOENT && may_be_missing(view)) {
        host_check_tell(fact, "%s is not there yet", path);
        return 0;
    }
    if (errnum != 0)
        return error_errno(err, errnum, "cannot look at the room in %s", path);
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes < ROOM_BYTES)
        return error_set(err, ENOSPC, EXC_INTERNAL_ERROR, "only %" PRIu64 " bytes are free in %s",
                         free_bytes, path);
    host_check_tell(fact, "%" PRIu64 " MiB are free in %s", free_bytes >> 20, path);
    return 0;
}

/* What is to stay free besides costs a copy its method, not its snapshot: it is streamed. */
int service_checks_snapshots_room(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const struct conf *conf = view->agent->conf;
    const char *path = conf->libvirt.snapshots_directory;
    struct statvfs fs;
    int r = check_room(view, path, fact, err);
    if (r < 0 || statvfs(path, &fs) < 0)
        return r;
    uint64_t free_mib = ((uint64_t)fs.f_bavail * fs.f_frsize) >> 20;
    uint64_t kept_mib = (uint64_t)conf->snapshot_agent.scratch_reserve;
    if (free_mib < kept_mib)
        host_check_warn(fact,
                        "%" PRIu64 " MiB are free in %s, less than [snapshot_agent]scratch_reserve "
                        "(%" PRIu64 ")",
                        free_mib, path, kept_mib);
    return 0;
}

int service_checks_state_room(struct host_view *view, struct host_fact *fact, struct error *err)
{
    return check_room(view, view->agent->conf->snapshot_agent.state_dir, fact, err);
}

static int get_token(struct keystone_session *session, struct error *err)
{
    char *token = NULL;
    int r = keystone_session_get_token(session, &token, err);
    secret_free(token);
    return r;
}

/* A token that is kept says nothing of a password that was changed since: an operator gets a new
 * one. Where none is sent (send_service_user_token is false) nothing depends on it. */
int service_checks_keystone(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const struct agent *agent = view->agent;
    struct error refusal = ERROR_INIT;
    if (view->is_thorough && agent->own_session)
        (void)keystone_session_context(agent->own_session, KEYSTONE_MS, &view->context, &refusal);
    else if (agent->service_session)
        (void)get_token(agent->service_session, &refusal);
    if (refusal.errnum != 0 && agent->service_session) {
        *err = refusal;
        return error_prepend(err, "[service_user]");
    }
    if (agent->service_session)
        host_check_tell(fact, "gives a token for [service_user], which is sent with each request");
    else if (refusal.errnum != 0)
        host_check_warn(fact, NO_SERVICE_TOKEN "; [service_user] gets none: %s", refusal.message);
    else
        host_check_warn(fact, NO_SERVICE_TOKEN);
    return 0;
}

/* As it is configured, whoever asks. NULL: only a catalog tells where it is. */
static int find_configured_glance(struct glance *glance, char **ret_url, struct error *err)
{
    struct request_context *nobody = NULL;
    struct error unknown = ERROR_INIT;
    int r = request_context_new_admin(&nobody, err);
    if (r == 0)
        (void)glance_endpoint(glance, nobody, ret_url, &unknown);
    request_context_free(nobody);
    return r;
}

/* Where Glance is: as a request told, else as our own catalog tells, if somebody wants to know. */
static int find_glance(const struct host_view *view, char **ret_url, struct error *err)
{
    struct glance *glance = view->agent->glance;
    if (view->glance_url || !view->is_thorough)
        return 0;
    return view->context ? glance_endpoint(glance, view->context, ret_url, err)
                         : find_configured_glance(glance, ret_url, err);
}

int service_checks_glance(struct host_view *view, struct host_fact *fact, struct error *err)
{
    cleanup_free char *found = NULL;
    int r = find_glance(view, &found, err);
    const char *url = found ? found : view->glance_url;
    if (r == 0)
        r = glance_reach(view->agent->glance, url, GLANCE_MS, err);
    if (r < 0)
        return r;
    if (url)
        host_check_tell(fact, "%s answers", http_request_show_url(url).text);
    else
        host_check_warn(fact, "where it is only a catalog tells, and there was none");
    return 0;
}

/* Snapshots ask Cinder with a user's token and catalog: that ours has no entry, or may not, costs
 * none. */
static bool is_of_own_user(const struct error *trouble, bool has_endpoint)
{
    return has_endpoint ? trouble->http_status == 401 || trouble->http_status == 403
                        : trouble->errnum == ENOENT;
}

int service_checks_cinder(struct host_view *view, struct host_fact *fact, struct error *err)
{
    cleanup_free char *url = NULL;
    struct error trouble = ERROR_INIT;
    if (!view->context) {
        host_check_warn(fact, "cannot be asked without a token of [service_user]");
        return 0;
    }
    int r = cinder_endpoint(view->agent->cinder, view->context, &url, &trouble);
    if (r == 0)
        r = cinder_reach(view->agent->cinder, view->context, CINDER_MS, &trouble);
    if (r == 0) {
        host_check_tell(fact, "%s answers, with the token of [service_user]",
                        http_request_show_url(url).text);
    } else if (is_of_own_user(&trouble, url != NULL)) {
        host_check_warn(fact,
                        "[service_user] may not ask it; snapshots ask with their users' tokens: %s",
                        trouble.message);
        r = 0;
    } else {
        *err = trouble;
    }
    return r;
}
