/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for what Cinder does on its own. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "cinder_client/cinder_int.h"
#include "common/cancel.h"
#include "common/log.h"
#include "common/retry.h"

static bool may_pass(const struct error *failed)
{
    return error_is(failed, EXC_CINDER_CONNECTION_FAILED) || failed->http_status / 100 == 5;
}

struct status_wait {
    const struct cinder *cinder;
    const struct request_context *context;
    const char *snapshot_id;
    const char *passing; /* the status that does not last */
    uint64_t deadline_ms;
};

/* Reads the object until its status is another than the passing one. */
static int await_status(const struct status_wait *wait, struct cinder_snapshot *ret_snapshot,
                        struct error *err)
{
    const unsigned interval_ms = wait->cinder->poll_interval_ms;
    const uint64_t deadline_ms = wait->deadline_ms > 0 ? wait->deadline_ms : 1; /* 0: long past */
    const struct retry_policy policy = {UINT_MAX, interval_ms, interval_ms,
                                        cinder_time_left_ms(deadline_ms, UINT_MAX)};
    struct retry retry = retry_begin(&policy);
    struct error failed;
    int r = cinder_check_id(&cinder_kind_snapshot, wait->snapshot_id, err);
    if (r < 0)
        return r;
    do {
        struct cinder_snapshot snapshot;
        failed = (struct error)ERROR_INIT;
        r = cinder_snapshot_read(wait->cinder, wait->context, wait->snapshot_id, deadline_ms,
                                 &snapshot, &failed);
        if (r == 0 && strcmp(snapshot.status, wait->passing) != 0) {
            *ret_snapshot = snapshot;
            return 0;
        }
        if (r < 0 && !may_pass(&failed)) {
            *err = failed;
            return r;
        }
        log_debug("snapshot %s: %s%s, will look again", wait->snapshot_id,
                  r == 0 ? "status " : "Cinder failed: ", r == 0 ? wait->passing : failed.message);
        if (r == 0)
            cinder_snapshot_done(&snapshot);
    } while (retry_wait(&retry, 0));
    if (cancel_check(err) < 0)
        return -ECANCELED;
    return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR, "snapshot %s is not done in time: %s%s",
                     wait->snapshot_id, r == 0 ? "it goes on " : "",
                     r == 0 ? wait->passing : failed.message);
}

int cinder_snapshot_await(struct cinder *cinder, const struct request_context *context,
                          const char *snapshot_id, uint64_t deadline_ms,
                          struct cinder_snapshot *ret_snapshot, struct error *err)
{
    const struct status_wait wait = {cinder, context, snapshot_id, "creating", deadline_ms};
    return await_status(&wait, ret_snapshot, err);
}

int cinder_snapshot_await_gone(struct cinder *cinder, const struct request_context *context,
                               const char *snapshot_id, uint64_t deadline_ms, struct error *err)
{
    struct cinder_snapshot snapshot;
    struct error failed = ERROR_INIT;
    const struct status_wait wait = {cinder, context, snapshot_id, "deleting", deadline_ms};
    int r = await_status(&wait, &snapshot, &failed);
    if (r == -ENOENT && error_is(&failed, EXC_SNAPSHOT_NOT_FOUND))
        return 0;
    if (r < 0) {
        *err = failed;
        return r;
    }
    if (strcmp(snapshot.status, "deleted") != 0)
        r = error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                      "snapshot %s is not deleted: its status is '%s'", snapshot_id,
                      snapshot.status);
    cinder_snapshot_done(&snapshot);
    return r;
}
