/* SPDX-License-Identifier: Apache-2.0 */
/* See image.h. */
#include "domain/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "domain/backup_set.h"
#include "domain/leftover.h"
#include "domain/single_image.h"
#include "domain/source_disk.h"
#include "driver/libvirt/guest_freeze.h"

#define FOLDER_MODE 0700

static int name_file(const struct image_request *request, const struct guest_info *info,
                     struct image_file *ret_file, struct error *err)
{
    char path[PATH_MAX];
    const char *output = request->output, *format = image_request_format(request);
    if (request->all_disks) {
        int n = snprintf(path, sizeof(path), "%s/%s.%s", output, info->disk_target, format);
        if (n < 0 || (size_t)n >= sizeof(path))
            return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s is too long", output);
        output = path;
    }
    int r = image_file_name(output, ret_file, err);
    if (r < 0)
        return r;
    memcpy(ret_file->target, info->disk_target, sizeof(ret_file->target));
    ret_file->format = format;
    ret_file->virtual_size_bytes = info->virtual_size_bytes;
    return 0;
}

/* One that is there already stays, whatever becomes of the images. */
static int make_folder(struct session *session, const char *output, struct error *err)
{
    char path[PATH_MAX];
    struct image_file folder;
    struct error failure = ERROR_INIT;
    int n = snprintf(path, sizeof(path), "%s", output);
    if (n < 0 || (size_t)n >= sizeof(path))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s is too long", output);
    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    int r = image_file_name_whole(path, &folder, &failure);
    if (r == -EEXIST)
        return 0;
    if (r < 0) {
        *err = failure;
        return r;
    }
    r = record_note(session->record, "folder", json_pack("{s:s}", "path", folder.path), err);
    if (r == 0 && mkdir(folder.path, FOLDER_MODE) < 0)
        r = error_errno(err, errno, "cannot make %s", folder.path);
    failpoint("domain:folder-made");
    return r;
}

static int name_files(struct session *session, const struct image_request *request,
                      const struct source_disks *disks, struct image_report *report,
                      struct error *err)
{
    if (request->all_disks && make_folder(session, request->output, err) < 0)
        return -err->errnum;
    report->files = calloc(disks->count, sizeof(*report->files));
    if (!report->files)
        return error_nomem(err);
    for (; report->count < disks->count; report->count++) {
        int r =
            name_file(request, &disks->infos[report->count], &report->files[report->count], err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Here, since the driver tells of it in nova's words. A frozen guest's agent refuses the freeze;
 * one that may not tell the time does not. */
static int check_quiesce(const struct session *session, const struct guest_info *info,
                         struct error *err)
{
    struct guest_freeze freeze = {.connection = session->driver->connection,
                                  .timeout_s = session->driver->freeze_timeout_s};
    if (info->domain_id < 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the domain does not run: there is nothing to freeze");
    if (info->power_state != POWER_STATE_RUNNING)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the guest stands still: it cannot be frozen");
    struct error refusal = ERROR_INIT;
    int r = guest_freeze_need_thawed(&freeze, session->domain, &refusal);
    if (r == -EBUSY)
        log_warning("freezing the guest is tried all the same: %s", refusal.message);
    else if (r < 0)
        *err = refusal;
    return r == -EBUSY ? 0 : r;
}

/* A guest that does not run has neither a job nor bitmaps: its disks are read as they rest. */
static int make_files(struct session *session, const struct image_request *request,
                      const struct source_disks *disks, struct image_report *report,
                      struct error *err)
{
    bool runs = disks->infos[0].domain_id >= 0;
    if (!runs && (request->checkpoint || request->since))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the domain does not run: QEMU alone keeps checkpoints, start it first");
    int r = request->quiesce ? check_quiesce(session, disks->infos, err) : 0;
    if (r < 0)
        return r;
    if (runs && image_request_is_of_set(request))
        return backup_set_make(session, request, disks, report, err);
    return request->all_disks ? single_image_make_each(session, request, disks, report, err)
                              : single_image_make(session, request, disks->infos, report, err);
}

static int verify_files(struct image_report *report, const struct image_observer *observer,
                        struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < report->count; i++)
        r = image_file_verify(&report->files[i], observer, err);
    failpoint("domain:verified");
    return r;
}

static int make_and_verify(struct session *session, const struct image_request *request,
                           struct source_disks *disks, struct image_report *report,
                           struct error *err)
{
    int r = source_disks_read(session, request->disk, request->all_disks, disks, err);
    if (r == 0)
        r = session_note_domain(session, err);
    if (r == 0)
        r = name_files(session, request, disks, report, err);
    if (r == 0)
        r = make_files(session, request, disks, report, err);
    if (r == 0)
        r = verify_files(report, request->observer, err);
    if (r == 0 && request->output)
        r = record_note(session->record, "complete", json_true(), err);
    failpoint("domain:complete");
    return r;
}

int image_take(struct session *session, const struct image_request *request,
               struct image_report *ret_report, struct error *err)
{
    struct source_disks disks = {0};
    struct error failure = ERROR_INIT, left = ERROR_INIT;
    *ret_report = (struct image_report){0};
    int r = image_request_check(request, err);
    if (r == 0)
        r = leftover_undo_earlier(session, err);
    if (r == 0)
        r = session_need_domain(session, err);
    if (r < 0)
        return r;
    (void)make_and_verify(session, request, &disks, ret_report, &failure);
    if (leftover_undo(session, &left) < 0)
        error_join(&failure, &left);
    source_disks_done(&disks);
    if (failure.errnum != 0)
        *err = failure;
    return -failure.errnum;
}
