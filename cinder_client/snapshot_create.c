/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a snapshot once. Cinder has no idempotent POST and takes no id from its clients, so every
 * snapshot is made with metadata by which it is found again. Cinder may still be handling a POST
 * whose answer was lost, and writes the snapshot only then: so there are several looks.
 */
#include <errno.h>
#include <stdbool.h>
#include <strings.h>

#include "cinder_client/cinder_int.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/retry.h"

#define MAX_DELAY_MS 30000
#define TOTAL_MS 180000
#define ANSWER_MS 20 /* none comes in less */
#define LOOKS 4
#define NOT_THERE 1 /* beside 0 and -errno */

struct creation {
    struct cinder *cinder;
    const struct request_context *context;
    const struct cinder_snapshot_request *request;
    const char *body;
};

/* nova.volume.cinder:API.create_snapshot_force. Returns owned; NULL = no memory. */
static char *creation_body(const struct cinder_snapshot_request *request)
{
    json_t *body =
        json_pack("{s:{s:s, s:b, s:s*, s:s*, s:O}}", "snapshot", "volume_id", request->volume_id,
                  "force", 1, "name", request->name, "description", request->description,
                  "metadata", (json_t *)(uintptr_t)request->metadata);
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

static int read_created(const struct creation *creation, const struct http_response *response,
                        struct cinder_snapshot *ret_snapshot, struct error *err)
{
    json_t *object = NULL;
    struct cinder_snapshot snapshot;
    int r = cinder_answer_object(response, "snapshot", &object, err);
    if (r < 0)
        return r;
    r = cinder_snapshot_parse(object, &snapshot, err);
    if (r < 0)
        return r;
    if (strcasecmp(snapshot.volume_id, creation->request->volume_id) != 0) {
        cinder_snapshot_done(&snapshot);
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                         "Cinder's answer is not a snapshot of volume %s",
                         creation->request->volume_id);
    }
    *ret_snapshot = snapshot;
    return 0;
}

/* On failure *ret_maybe_done tells whether there may be a snapshot. */
static int post_snapshot(const struct creation *creation, struct cinder_snapshot *ret_snapshot,
                         bool *ret_maybe_done, struct error *err)
{
    const struct cinder_call call = {
        .method = "POST",
        .path = "/snapshots",
        .body = creation->body,
        .kind = &cinder_kind_volume,
        .id = creation->request->volume_id,
        .once = true,
        .deadline_ms = creation->request->deadline_ms,
    };
    struct http_response response;
    int r = cinder_call(creation->cinder, creation->context, &call, &response, ret_maybe_done, err);
    if (r < 0)
        return r;
    r = read_created(creation, &response, ret_snapshot, err);
    http_response_done(&response);
    *ret_maybe_done = true;
    return r;
}

static int not_known(const struct creation *creation, struct error *err)
{
    return error_prepend(err, "whether there is a snapshot of volume %s is not known",
                         creation->request->volume_id);
}

/*
 * 0, NOT_THERE or -errno; *err says already why it is looked for. Cancelled work looks as well: the
 * snapshot has to be known to be deleted.
 */
static int look_for_snapshot(const struct creation *creation, struct cinder_snapshot *ret_snapshot,
                             struct error *err)
{
    struct cinder *cinder = creation->cinder;
    const struct retry_policy policy = {
        LOOKS, cinder->poll_interval_ms, MAX_DELAY_MS,
        cinder_time_left_ms(creation->request->deadline_ms, TOTAL_MS)};
    struct retry retry = retry_begin(&policy);
    const uint64_t deadline_ms = creation->request->deadline_ms;
    bool found;
    CANCEL_SHIELD();
    if (deadline_ms > 0 && clock_now_ms() + ANSWER_MS >= deadline_ms)
        return not_known(creation, err);
    do {
        int r = cinder_snapshot_find(cinder, creation->context, creation->request, &found,
                                     ret_snapshot, err);
        if (r < 0)
            return not_known(creation, err);
    } while (!found && retry_wait(&retry, 0));
    return found ? 0 : NOT_THERE;
}

static int create_once(const struct creation *creation, struct cinder_snapshot *ret_snapshot,
                       struct error *err)
{
    struct cinder *cinder = creation->cinder;
    const struct retry_policy policy = {
        cinder->http_retries + 1, http_client_retry_delay_ms(cinder->http), MAX_DELAY_MS,
        cinder_time_left_ms(creation->request->deadline_ms, TOTAL_MS)};
    struct retry retry = retry_begin(&policy);
    struct error failed = ERROR_INIT;
    int r;
    do {
        bool maybe_done = false;
        r = cancel_check(&failed);
        if (r == 0)
            r = post_snapshot(creation, ret_snapshot, &maybe_done, &failed);
        if (r < 0 && maybe_done) {
            log_debug("volume %s: there may be a snapshot, it is looked for: %s",
                      creation->request->volume_id, failed.message);
            r = look_for_snapshot(creation, ret_snapshot, &failed);
        }
    } while (r == NOT_THERE && retry_wait(&retry, 0));
    if (r == 0) {
        log_debug("volume %s: snapshot %s is begun", creation->request->volume_id,
                  ret_snapshot->id);
        return 0;
    }
    if (r == NOT_THERE)
        (void)cancel_check(&failed);
    *err = failed;
    return -err->errnum;
}

int cinder_snapshot_create(struct cinder *cinder, const struct request_context *context,
                           const struct cinder_snapshot_request *request,
                           struct cinder_snapshot *ret_snapshot, struct error *err)
{
    int r = cinder_check_snapshot_request(request, err);
    if (r < 0)
        return r;
    cleanup_free char *body = creation_body(request);
    if (!body)
        return error_nomem(err);
    const struct creation creation = {cinder, context, request, body};
    return create_once(&creation, ret_snapshot, err);
}
