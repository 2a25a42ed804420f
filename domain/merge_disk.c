/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_disk.h. */
#include "domain/merge_disk.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/domain_run.h"
#include "domain/layer_map.h"
#include "domain/merge_chain.h"
#include "domain/merge_end.h"
#include "domain/merge_give_up.h"
#include "domain/merge_live.h"
#include "domain/merge_plan.h"
#include "domain/merge_progress.h"
#include "domain/merge_relink.h"
#include "domain/merge_rest.h"
#include "driver/block/block_job.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/managed_save.h"

#define ATTEMPTS 5 /* the guest may be started or stopped meanwhile, libvirtd restarted */

/* libvirt has refused, and QEMU has no job: the disk is as it was, and so is what is noted. */
static void forget_begin(const struct merging *merging, const json_t *disk)
{
    struct session *session = merging->session;
    const char *target = json_string_member(disk, "target");
    struct error ignored = ERROR_INIT;
    if (libvirt_connection_is_lost(session->driver->connection, merging->domain) ||
        block_job_check_idle(merging->domain, session->uuid, target, &ignored) < 0)
        return;
    if (merge_progress_forget(session->record, disk, &ignored) < 0)
        log_debug("%s", ignored.message);
}

/* QEMU lets go of the files of a paused guest when it has saved its memory; what it says of them
   then is 7.2's and 10.0's. */
static bool has_let_go(const struct error *refused)
{
    return strstr(refused->message, "read-only") || strstr(refused->message, "Inactive");
}

static int begin_live(const struct merging *merging, const json_t *disk, struct error *err)
{
    int r = merge_live_start(merging->domain, disk, err);
    if (r < 0)
        forget_begin(merging, disk);
    if (r < 0 && has_let_go(err))
        return error_append(err, "; a paused guest whose memory was saved before has to run for a "
                                 "moment first");
    return r;
}

/*
 * From then on nothing but the note tells that all is in base. A guest that was started meanwhile
 * goes on on the layer: it runs, or what it wrote is to be merged as well, for the next attempt.
 */
static int put_on_base(const struct merging *merging, json_t *disk, struct error *err)
{
    if (virDomainIsActive(merging->domain) != 0)
        return 0;
    int r = merge_progress_note_committed(merging->session->record, disk, err);
    if (r == -EAGAIN) {
        log_info("%s", err->message);
        *err = (struct error)ERROR_INIT;
        return 0;
    }
    if (r < 0)
        return r;
    json_t *one = json_pack("[O]", disk);
    r = one ? merge_relink_definition(merging->domain, one, err) : error_nomem(err);
    json_decref(one);
    return r;
}

/* It was known to be nobody else's when it was planned; whoever came since keeps it. */
static int begin_disk(const struct merging *merging, json_t *disk, struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    unsigned stall_timeout_s = merging->session->driver->stall_timeout_s;
    struct record *record = merging->session->record;
    cleanup_run json_t *run = NULL;
    int r = merging->is_active ? domain_run_read(merging->session, &run, err) : 0;
    if (r == 0)
        r = layer_map_read(merging->session, &map, err);
    if (r == 0)
        r = merge_plan_look_beside(&map, disk, err);
    if (r == 0)
        r = merge_plan_check_users(&map, disk, merging->snapshot,
                                   merge_progress_has_begun(record, disk), err);
    if (r == 0)
        r = merge_progress_note(record, disk, run, false, err);
    failpoint("merge:begun");
    if (r < 0 || merging->is_active)
        return r < 0 ? r : begin_live(merging, disk, err);
    r = merge_rest(disk, stall_timeout_s, err);
    if (r < 0 && virDomainIsActive(merging->domain) == 1) {
        log_info("the guest was started meanwhile, it is merged while it runs: %s", err->message);
        *err = (struct error)ERROR_INIT;
        return 0;
    }
    if (r == 0 && !json_object_get(disk, "above"))
        r = put_on_base(merging, disk, err);
    failpoint("merge:defined");
    return r;
}

static int pivot(const struct merging *merging, const json_t *disk, const json_t *run,
                 struct error *err)
{
    struct record *record = merging->session->record;
    failpoint("merge:ready");
    int r = merge_progress_note_pivot(record, disk, run, err);
    failpoint("merge:pivot-noted");
    if (r == 0)
        r = merge_live_pivot(merging->domain, disk, err);
    return r < 0 ? r : merge_progress_note(record, disk, run, true, err);
}

static int await_commit(const struct merging *merging, const json_t *disk, struct error *err)
{
    bool is_ready = false;
    cleanup_run json_t *run = NULL;
    int r = merge_live_await(merging->domain, disk, merging->session->driver->stall_timeout_s,
                             &is_ready, err);
    if (r == 0 && is_ready)
        r = domain_run_read(merging->session, &run, err);
    return r < 0 || !domain_run_is_active(run) ? r : pivot(merging, disk, run, err);
}

/* Also when it is stopped afterwards, and this is done again. */
static int confirm_done(const struct merging *merging, const json_t *disk, struct error *err)
{
    struct record *record = merging->session->record;
    cleanup_run json_t *run = NULL;
    int r = domain_run_read(merging->session, &run, err);
    if (r == 0)
        r = merge_progress_check_done(record, disk, run, err);
    bool is_known = json_object_get(disk, "above") ||
                    (merge_progress_check_done(record, disk, NULL, &(struct error){0}) == 0 &&
                     !merge_progress_was_pivoting(record, disk));
    return r < 0 || is_known ? r : merge_progress_note(record, disk, run, true, err);
}

/* A checkpoint that one disk is merged of is none any more, and libvirt, which forgets it, takes
 * all of its disks for merged then. */
static bool has_to_be_merged(const struct merging *merging, const json_t *disk)
{
    return merging->snapshot && merge_progress_has_another(merging->session->record, disk);
}

static int put_below(const struct merging *merging, json_t *disk, json_t *chain, struct error *err)
{
    struct record *record = merging->session->record;
    size_t place = merge_chain_find(chain, json_array_get(json_object_get(disk, "gone"), 0),
                                    record_host_rebooted(record));
    return merge_progress_put_below(record, disk, json_array_get(chain, place - 1), err);
}

static int give_up_below(const struct merging *merging, const json_t *disk, struct error *err)
{
    struct error why = ERROR_INIT;
    (void)error_set(&why, ESTALE, EXC_INTERNAL_ERROR,
                    "disk %s goes on above the layers that were to be merged: they stay, nothing "
                    "of the disk is lost; but %s may hold a part of what was written since, what "
                    "it kept is spoilt",
                    json_string_member(disk, "target"),
                    merge_chain_path(json_object_get(disk, "base")));
    int r = merge_give_up(merging->session->record, disk, why.message, err);
    return r == -ESTALE ? error_append(err, ": begin the deletion again") : r;
}

/* Others' layers are on base: that is known to have all, or left as it is. */
static int confirm_under(const struct merging *merging, const json_t *disk, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = confirm_done(merging, disk, &failure);
    if (r == -EINVAL)
        return merge_give_up(merging->session->record, disk, failure.message, err);
    if (r < 0)
        *err = failure;
    return r;
}

static int advance_disk(const struct merging *merging, json_t *disk, bool *ret_done,
                        struct error *err)
{
    const char *target = json_string_member(disk, "target");
    json_t *chain = NULL;
    /* A memory that libvirt keeps goes on with the layers of then, however far this has come. */
    int r = merging->is_active ? await_commit(merging, disk, err)
                               : managed_save_check_none(merging->domain, err);
    if (r == 0)
        r = merge_chain_read(merging->domain, target ? target : "", &chain, err);
    if (r < 0)
        return r;
    enum merge_plan_state state =
        merge_plan_state(disk, chain, record_host_rebooted(merging->session->record));
    bool is_put_below = state == MERGE_PLAN_BELOW && has_to_be_merged(merging, disk);
    if (state == MERGE_PLAN_DONE)
        r = confirm_done(merging, disk, err);
    else if (state == MERGE_PLAN_PENDING)
        r = begin_disk(merging, disk, err);
    else if (state == MERGE_PLAN_BELOW)
        r = is_put_below ? put_below(merging, disk, chain, err) : give_up_below(merging, disk, err);
    else if (state == MERGE_PLAN_UNDER)
        r = confirm_under(merging, disk, err);
    else
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                      "disk %s has other layers than when its merge was begun", target);
    *ret_done = r == 0 && state != MERGE_PLAN_PENDING && !is_put_below;
    if (*ret_done)
        merge_end_keep_age(disk, chain, record_host_rebooted(merging->session->record));
    json_decref(chain);
    return r;
}

static int has_gone(struct error *err)
{
    return error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND,
                     "the domain has gone: the files of its disks stay");
}

static int find_domain(struct merging *merging, struct error *err)
{
    return libvirt_domain_find_again(merging->session->driver->connection, merging->session->uuid,
                                     &merging->domain, &merging->is_active, err);
}

static int merge_disk(struct merging *merging, json_t *disk, struct error *err)
{
    struct error failure = ERROR_INIT;
    bool is_done = false;
    for (int i = 0; i < ATTEMPTS && !is_done; i++) {
        int r = find_domain(merging, err);
        if (r == 0 && !merging->domain)
            r = has_gone(err);
        if (r < 0)
            return r;
        failure = (struct error)ERROR_INIT;
        r = advance_disk(merging, disk, &is_done, &failure);
        if (r < 0 &&
            !libvirt_connection_is_lost(merging->session->driver->connection, merging->domain)) {
            *err = failure;
            return r;
        }
    }
    if (!is_done && failure.errnum == 0)
        (void)error_set(&failure, EAGAIN, EXC_INTERNAL_ERROR,
                        "the layers of disk %s are not merged yet",
                        json_string_member(disk, "target"));
    if (!is_done)
        *err = failure;
    return is_done ? 0 : -err->errnum;
}

int merge_disks(struct merging *merging, struct error *err)
{
    json_t *disks = json_incref(disks_of(merging)), *disk;
    size_t i;
    int r = find_domain(merging, err);
    if (r == 0 && !merging->domain)
        r = has_gone(err);
    json_array_foreach (disks, i, disk) {
        if (r == 0)
            r = merge_disk(merging, disk, err);
        failpoint("merge:disk-merged");
    }
    json_decref(disks);
    return r;
}
