/* SPDX-License-Identifier: Apache-2.0 */
/* See single_image.h. */
#include "domain/single_image.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/image/image_stream.h"
#include "driver/journal.h"
#include "driver/libvirt/guest_freeze.h"
#include "driver/libvirt/guest_rest.h"

struct making {
    struct session *session;
    const struct image_request *request;
    struct image_report *report;
    struct image_file *file;
};

static void tell_instant(void *arg)
{
    struct making *making = arg;
    image_report_set_instant(making->report);
}

static void tell_copied(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    const struct making *making = arg;
    image_file_tell(making->request->observer, IMAGE_PHASE_COPY, making->file->target, done_bytes,
                    total_bytes);
}

static enum snapshot_method method_of(const char *name)
{
    enum snapshot_method method = SNAPSHOT_METHOD_STREAM;
    while (strcmp(snapshot_method_name(method), name) != 0)
        method++; /* the request was checked: it is one of them */
    return method;
}

/* What is tried by itself; cold, which saves a running guest, has to be asked for. */
static size_t list_methods(const struct image_request *request, const struct guest_info *info,
                           enum snapshot_method ret_methods[static 2])
{
    bool runs = info->domain_id >= 0;
    size_t n = 0;
    if (request->method) {
        ret_methods[0] = method_of(request->method);
        return 1;
    }
    if (runs || image_stream_can_make(image_request_format(request), request->compress))
        ret_methods[n++] = SNAPSHOT_METHOD_STREAM;
    if (!runs)
        ret_methods[n++] = SNAPSHOT_METHOD_COLD;
    else if (info->source_type == DISK_SOURCE_FILE)
        ret_methods[n++] = SNAPSHOT_METHOD_BLOCKCOPY;
    return n;
}

/* Whoever has frozen the guest could not thaw it while it is saved. */
static int check_thawed(const struct session *session, const struct guest_info *info,
                        enum snapshot_method method, struct error *err)
{
    struct guest_freeze freeze = {.connection = session->driver->connection,
                                  .timeout_s = session->driver->freeze_timeout_s};
    return method == SNAPSHOT_METHOD_COLD && info->power_state == POWER_STATE_RUNNING
               ? guest_freeze_check_thawed(&freeze, session->domain, err)
               : 0;
}

static int extract(struct making *making, const struct guest_info *info,
                   struct snapshot_result *ret_result, struct error *err)
{
    const struct driver_observer observer = {
        .instant = tell_instant, .copied = tell_copied, .arg = making};
    struct driver *driver = &making->session->driver->base;
    struct snapshot_plan plan = {.image_format = making->file->format,
                                 .compress = making->request->compress,
                                 .compression_type = "zlib",
                                 .quiesce = making->request->quiesce,
                                 .require_quiesce = making->request->quiesce,
                                 .journal = &making->session->journal,
                                 .observer = &observer};
    enum snapshot_method methods[2];
    size_t n = list_methods(making->request, info, methods);
    int r = -EOPNOTSUPP;
    for (size_t i = 0; i < n && r == -EOPNOTSUPP; i++) {
        struct error failure = ERROR_INIT;
        plan.method = methods[i];
        r = check_thawed(making->session, info, plan.method, &failure);
        if (r == 0)
            r = driver->ops->extract(driver, info, &plan, ret_result, &failure);
        if (r == -EOPNOTSUPP && i + 1 < n)
            log_warning("by %s, not %s: %s", snapshot_method_name(methods[i + 1]),
                        snapshot_method_name(methods[i]), failure.message);
        else if (r < 0)
            *err = failure;
    }
    making->report->method = snapshot_method_name(plan.method);
    return r;
}

/* A guest that is back is not to be brought back again by the record. */
static int close_image(struct making *making, const struct snapshot_result *result,
                       struct error *err)
{
    image_source_close(result->image);
    if (!result->guest_is_back)
        return 0;
    return driver_journal_write(&making->session->journal, json_pack("{s:s}", "step", "undone"),
                                err);
}

static int make_file(struct making *making, const struct guest_info *info, struct error *err)
{
    struct error failure = ERROR_INIT, closing = ERROR_INIT;
    struct snapshot_result result = {0};
    int r = extract(making, info, &result, err);
    if (r < 0)
        return r;
    failpoint("domain:extracted");
    making->report->quiesced = result.quiesced;
    making->report->guest_paused_ms = result.guest_paused_ms;
    (void)image_file_write(making->file, making->session, result.image, making->request->observer,
                           &failure);
    if (close_image(making, &result, &closing) < 0)
        error_join(&failure, &closing);
    if (failure.errnum != 0)
        *err = failure;
    return -failure.errnum;
}

int single_image_make(struct session *session, const struct image_request *request,
                      const struct guest_info *info, struct image_report *report, struct error *err)
{
    struct making making = {session, request, report, report->files};
    return make_file(&making, info, err);
}

int single_image_make_each(struct session *session, const struct image_request *request,
                           const struct source_disks *disks, struct image_report *report,
                           struct error *err)
{
    const struct guest_run run = {disks->infos[0].power_state, disks->infos[0].domain_id};
    struct guest_rest rest = {0};
    int r = guest_rest_begin(&rest, session->driver->connection, session->uuid, &run, err);
    for (size_t i = 0; r == 0 && i < disks->count; i++) {
        struct making making = {session, request, report, &report->files[i]};
        r = make_file(&making, &disks->infos[i], err);
    }
    if (r == 0)
        r = guest_rest_check(&rest, err);
    guest_rest_done(&rest);
    return r;
}
