/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_internal_settle.h. */
#include "domain/revert_internal_settle.h"

#include <errno.h>
#include <stdbool.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/domain_run.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

/* Each try of it is noted, and all are to one checkpoint. */
static const char *name_of(const struct session *session)
{
    return json_string_member(json_array_get(record_all(session->record, "internal"), 0), "name");
}

static enum domain_run_likeness compare_run(const struct session *session, size_t try,
                                            const json_t *run)
{
    const json_t *note = json_array_get(record_all(session->record, "internal"), try);
    return domain_run_compare(session->record, json_object_get(note, "run"), run);
}

static bool is_from_snapshot(int state, int reason)
{
    return (state == VIR_DOMAIN_RUNNING && reason == VIR_DOMAIN_RUNNING_FROM_SNAPSHOT) ||
           (state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_FROM_SNAPSHOT);
}

/* A record of an older version has not noted the guest of before. */
static bool has_noted_run(const struct session *session, size_t try)
{
    const json_t *note = json_array_get(record_all(session->record, "internal"), try);
    return json_object_get(note, "run") != NULL;
}

/* One that was started for the last try has it all; that of before the first, which libvirt ends or
 * pauses and leaves so where it fails, has nothing of it as long as it runs. */
static int look_at_guest(const struct session *session, bool *ret_is_whole, struct error *err)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    size_t tries = json_array_size(record_all(session->record, "internal"));
    cleanup_run json_t *run = NULL;
    int r = domain_run_read(session, &run, err);
    if (r == 0 && virDomainGetState(session->domain, &state, &reason, 0) < 0)
        r = libvirt_error(err, "cannot read whether the guest runs");
    if (r < 0)
        return r;
    bool is_other = !has_noted_run(session, tries - 1) ||
                    compare_run(session, tries - 1, run) == DOMAIN_RUN_OTHER;
    bool is_new = is_other && is_from_snapshot(state, reason);
    bool is_old = compare_run(session, 0, run) == DOMAIN_RUN_SAME && state == VIR_DOMAIN_RUNNING;
    *ret_is_whole = domain_run_is_active(run) && (is_new || is_old);
    if (is_old)
        log_warning("the guest runs on, and libvirt is not known to have taken it back to "
                    "checkpoint %s: if it is not there, go back once more",
                    name_of(session));
    return 0;
}

int revert_internal_settle(struct session *session, struct error *err)
{
    bool is_whole = false, is_active = false;
    const struct record *record = session->record;
    if (record_all(record, "entered") || record_all(record, "returned") ||
        !record_all(record, "begun"))
        return 0;
    int r = libvirt_domain_find_again(session->driver->connection, session->uuid, &session->domain,
                                      &is_active, err);
    if (r < 0 || !session->domain)
        return r;
    r = look_at_guest(session, &is_whole, err);
    if (r < 0 || is_whole)
        return r;
    const char *name = name_of(session);
    return error_set(
        err, EBUSY, EXC_INTERNAL_ERROR,
        "libvirt is not known to have taken all disks of the domain back to "
        "checkpoint %s, one may be as it was then and another as it is now: go back to "
        "checkpoint %s once more, with `domain revert --force`, or remove %s when the "
        "disks are known to be of one time",
        name, name, record_path(record));
}
