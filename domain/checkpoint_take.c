/* SPDX-License-Identifier: Apache-2.0 */
/* See checkpoint_take.h. */
#include "domain/checkpoint_take.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "domain/checkpoint_check.h"
#include "domain/checkpoint_name.h"
#include "domain/checkpoint_settle.h"
#include "domain/file_folder.h"
#include "domain/leftover.h"
#include "domain/merge_rest.h"
#include "domain/nova_guest.h"
#include "domain/pending_call.h"
#include "domain/saved_file.h"
#include "domain/snapshot_call.h"
#include "domain/standstill.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/guest_freeze.h"

#define EVENT_PATIENCE_MS 5000
#define MEMORY_MODE 0600

/* libvirt would write into a file that is there. */
static int reserve_memory_file(const struct checkpoint_plan *plan, struct error *err)
{
    const char *path = plan->memory_file;
    if (path[0] == '\0')
        return 0;
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MEMORY_MODE);
    return fd < 0 ? error_errno(err, errno, "cannot make %s", path) : 0;
}

static int write_file_through(const char *path, struct error *err)
{
    int r = merge_rest_write_through(path, err);
    return r < 0 ? r : file_folder_sync(path, err);
}

/* libvirt closes the memory's file without a sync; of the layers that is up to who made them. */
int checkpoint_take_write_through(const struct checkpoint_plan *plan, struct error *err)
{
    int r = plan->memory_file[0] != '\0' ? write_file_through(plan->memory_file, err) : 0;
    for (size_t i = 0; r == 0 && !plan->is_internal && i < plan->disk_count; i++)
        r = write_file_through(plan->disks[i].overlay, err);
    return r < 0 ? error_prepend(err, "checkpoint %s is not known to be on disk", plan->name) : 0;
}

static int call_libvirt(struct session *session, const struct checkpoint_plan *plan,
                        const struct checkpoint_request *request, struct checkpoint_report *report,
                        struct error *err)
{
    cleanup_free char *xml = NULL;
    struct standstill *standstill = NULL;
    int r = checkpoint_plan_xml(plan, &xml, err);
    if (r == 0)
        r = standstill_begin(session->domain, &standstill, err);
    if (r < 0)
        return r;
    uint64_t since_ms = clock_now_ms();
    r = snapshot_call(session->domain, xml, checkpoint_plan_flags(plan, request),
                      session->driver->stall_timeout_s, err);
    report->frozen_ms = request->quiesce ? clock_now_ms() - since_ms : 0;
    report->stood_still_ms = standstill_end(standstill, request->halt ? 0 : EVENT_PATIENCE_MS);
    if (!plan->is_running)
        report->stood_still_ms = 0;
    else if (plan->has_memory && report->stood_still_ms == 0) /* it did: the events are late */
        report->stood_still_ms = STANDSTILL_UNKNOWN;
    failpoint("checkpoint:made");
    if (r == 0 && plan->memory_file[0] != '\0')
        r = checkpoint_take_write_through(plan, err);
    return r < 0 ? r : record_note(session->record, "made", json_true(), err);
}

static int ask_libvirt(struct session *session, const struct checkpoint_plan *plan,
                       const struct checkpoint_request *request, struct checkpoint_report *report,
                       struct error *err)
{
    struct guest_freeze freeze = {.connection = session->driver->connection,
                                  .timeout_s = session->driver->freeze_timeout_s};
    json_t *note = NULL;
    int r = checkpoint_settle_note(session, plan, request, &note, err);
    if (r == 0)
        r = session_note_domain(session, err);
    if (r < 0) {
        json_decref(note);
        return r;
    }
    r = record_note(session->record, "snapshot", note, err);
    failpoint("checkpoint:written-down");
    if (r < 0)
        return r;
    r = reserve_memory_file(plan, err);
    if (r < 0) { /* what is there is somebody's */
        struct error ignored = ERROR_INIT;
        (void)record_note(session->record, "unreserved", json_true(), &ignored);
        return r;
    }
    failpoint("checkpoint:memory-file-made");
    r = pending_call_begin(session, err);
    if (r == 0 && request->quiesce) /* libvirt thaws whatever becomes of this process */
        r = guest_freeze_limit_agent(&freeze, session->domain, err);
    if (r == 0)
        r = call_libvirt(session, plan, request, report, err);
    if (r < 0)
        pending_call_failed(session);
    return r;
}

/* QEMU 7.2 saves no memory a second time until the guest has run, and does not say what to do. */
static void explain(struct error *err)
{
    if (strstr(err->message, "previous migration"))
        (void)error_append(err, "; a paused guest whose memory was saved before has to run for a "
                                "moment first");
}

int checkpoint_take_prepare(struct session *session, const struct checkpoint_request *request,
                            struct checkpoint_plan *ret_plan, struct error *err)
{
    int r = checkpoint_plan_read(session, request, ret_plan, err);
    if (r == 0)
        r = checkpoint_name_all(session->domain, request, ret_plan, err);
    return r < 0 ? r : checkpoint_check(session, ret_plan, request, err);
}

int checkpoint_take_make(struct session *session, const struct checkpoint_request *request,
                         struct checkpoint_report *report, struct error *err)
{
    int r = ask_libvirt(session, &report->plan, request, report, err);
    if (r < 0)
        explain(err);
    return r;
}

/* Nova would put its disks below what is written from now on. */
static int check_owner(const struct session *session, const struct checkpoint_request *request,
                       struct error *err)
{
    cleanup_free char *xml = NULL;
    if (request->internal || request->force)
        return 0;
    int r = libvirt_domain_xml(session->domain, &xml, err);
    return r < 0 ? r : nova_guest_refuse_checkpoint(xml, err);
}

static void fill_report(const struct checkpoint_plan *plan,
                        const struct checkpoint_request *request, struct checkpoint_report *report)
{
    struct stat st;
    report->is_halted = request->halt;
    if (plan->memory_file[0] != '\0' && stat(plan->memory_file, &st) == 0)
        report->memory_bytes = (uint64_t)st.st_blocks * 512;
}

int checkpoint_take(struct session *session, const struct checkpoint_request *request,
                    struct checkpoint_report *ret_report, struct error *err)
{
    struct error failure = ERROR_INIT, left = ERROR_INIT;
    struct checkpoint_plan *plan = &ret_report->plan;
    *ret_report = (struct checkpoint_report){0};
    int r = checkpoint_request_check(request, err);
    if (r == 0)
        r = leftover_undo_earlier(session, err);
    if (r == 0)
        r = session_need_domain(session, err);
    if (r == 0)
        r = saved_file_check(session, request->force, err);
    if (r == 0)
        r = check_owner(session, request, err);
    if (r == 0)
        r = checkpoint_take_prepare(session, request, plan, err);
    if (r == 0 && !request->force)
        r = checkpoint_check_ends(plan, err);
    if (r == 0 && !request->force)
        r = checkpoint_name_check_way_back(session->domain, plan, err);
    if (r < 0)
        return r;
    (void)checkpoint_take_make(session, request, ret_report, &failure);
    if (leftover_undo(session, &left) < 0)
        error_join(&failure, &left);
    fill_report(plan, request, ret_report);
    if (failure.errnum != 0)
        *err = failure;
    return -failure.errnum;
}

void checkpoint_take_done(struct checkpoint_report *report)
{
    checkpoint_plan_done(&report->plan);
}
