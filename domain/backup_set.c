/* SPDX-License-Identifier: Apache-2.0 */
/* See backup_set.h. */
#include "domain/backup_set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/id.h"
#include "domain/bitmap_checkpoint.h"
#include "domain/earlier_image.h"
#include "driver/block/block_job.h"
#include "driver/block/disk_iothread.h"
#include "driver/image/extent_map.h"
#include "driver/image/image_stream.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/domain.h"
#include "driver/snapshot/live_snapshot.h"

struct backup_set {
    struct session *session;
    const struct image_request *request;
    const struct source_disks *disks;
    struct image_report *report;
    struct snapshot_plan plan;
    struct live_snapshot op; /* of the first disk, and of the job with all of them */
    struct backup_job_disk others[SOURCE_DISKS_MAX];
    struct staging *stagings[SOURCE_DISKS_MAX]; /* of the others */
    struct image_source *sources[SOURCE_DISKS_MAX];
    json_t *earlier; /* images of the checkpoint, by target; NULL: these are no increments */
    char *checkpoint_xml;
    char checkpoint_id[ID_HEX_SIZE]; /* "": none is made */
};

/* The first disk is looked at by the driver itself. */
static int check_disk(const struct backup_set *set, const struct guest_info *info,
                      struct error *err)
{
    if (set->request->checkpoint && strcmp(info->disk_format, "qcow2") != 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "disk %s is %s: only a qcow2 disk can have a checkpoint",
                         info->disk_target, info->disk_format);
    if (info->virtual_size_bytes > EXTENT_MAP_MAX_BYTES)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s is too large to be mapped",
                         info->disk_target);
    int r = block_job_check_idle(set->op.domain, info->uuid, info->disk_target, err);
    return r < 0 ? r : disk_iothread_check(set->op.domain, info->disk_target, err);
}

static int check_set(const struct backup_set *set, struct error *err)
{
    const char *name = set->request->checkpoint;
    int r = name ? bitmap_checkpoint_check_name(set->session, name, err) : 0;
    for (size_t i = 0; r == 0 && i < set->disks->count; i++)
        r = check_disk(set, &set->disks->infos[i], err);
    return r;
}

/* Tells the image of a disk from all others: the next increment looks for it. NULL: none will come.
 */
static const char *mark_of(const struct backup_set *set, const char *target,
                           char mark[static QCOW2_MARK_MAX + 1])
{
    if (set->checkpoint_id[0] == '\0')
        return NULL;
    (void)snprintf(mark, QCOW2_MARK_MAX + 1, "%s.%s", set->checkpoint_id, target);
    return mark;
}

/* Returned owned; NULL without memory. */
static json_t *describe_images(const struct backup_set *set)
{
    char mark[QCOW2_MARK_MAX + 1];
    json_t *images = json_object();
    for (size_t i = 0; i < set->report->count; i++) {
        const struct image_file *file = &set->report->files[i];
        json_t *image = json_pack("{s:s, s:s, s:s}", "path", file->path, "format", file->format,
                                  "mark", mark_of(set, file->target, mark));
        if (json_object_set_new(images, file->target, image) < 0) {
            json_decref(images);
            return NULL;
        }
    }
    return images;
}

/* Writes down what is about to be made. */
static int plan_checkpoint(struct backup_set *set, struct error *err)
{
    const char *name = set->request->checkpoint;
    id_new_hex(set->checkpoint_id);
    json_t *images = describe_images(set);
    int r = images ? bitmap_checkpoint_describe(name, set->checkpoint_id, images,
                                                &set->checkpoint_xml, err)
                   : error_nomem(err);
    json_decref(images);
    if (r < 0)
        return r;
    set->op.backup.checkpoint_xml = set->checkpoint_xml;
    return record_note(set->session->record, "checkpoint",
                       json_pack("{s:s, s:s}", "name", name, "id", set->checkpoint_id), err);
}

/* Where QEMU keeps what the guest overwrites of a disk beside the first; libvirt may let it by
 * itself. */
static int make_scratch_file(struct backup_set *set, size_t i, struct error *err)
{
    struct qemu_user user;
    struct error refused = ERROR_INIT;
    const struct guest_info *info = &set->disks->infos[i];
    int r = staging_new(set->session->driver->snapshots_directory, "", &set->stagings[i], err);
    if (r == 0)
        r = record_note(set->session->record, "scratch",
                        json_pack("{s:s, s:s}", "directory", staging_directory(set->stagings[i]),
                                  "file", staging_file(set->stagings[i])),
                        err);
    if (r == 0)
        r = libvirt_domain_user(set->op.domain, info->disk_path, &user, err);
    if (r == 0)
        r = staging_make(set->stagings[i], STAGING_TRAVERSABLE, err);
    const struct qemu_img_overlay scratch = {.path = r == 0 ? staging_delta_path(set->stagings[i])
                                                            : NULL,
                                             .size_bytes = info->virtual_size_bytes};
    if (r == 0)
        r = qemu_img_create_overlay(&scratch, err);
    if (r < 0)
        return r;
    (void)qemu_user_give(&user, scratch.path, &refused);
    set->others[set->op.backup.n_others++] =
        (struct backup_job_disk){info->disk_target, scratch.path};
    return 0;
}

static int begin_set(struct backup_set *set, struct error *err)
{
    const char *since = set->request->since;
    int r = check_set(set, err);
    if (r == 0 && since)
        r = bitmap_checkpoint_images(set->session, since, &set->earlier, err);
    for (size_t i = 0; r == 0 && since && i < set->disks->count; i++)
        r = earlier_image_check(set->earlier, &set->disks->infos[i], since, err);
    if (r == 0 && set->request->checkpoint)
        r = plan_checkpoint(set, err);
    for (size_t i = 1; r == 0 && i < set->disks->count; i++)
        r = make_scratch_file(set, i, err);
    if (r < 0)
        return r;
    set->op.backup.others = set->others;
    set->op.backup.incremental = since;
    r = libvirt_live_stream_show(&set->op, &set->report->quiesced, err);
    failpoint("domain:job-begun");
    return r;
}

/* QEMU's name of the bitmap: qemuBackupDiskPrepareDataOne() in libvirt's qemu_backup.c. */
static int ask_bitmap(struct nbd_client *client, const char *target, struct error *err)
{
    char bitmap[DRIVER_FORMAT_MAX + sizeof("backup-")];
    (void)snprintf(bitmap, sizeof(bitmap), "backup-%s", target);
    return nbd_client_ask_bitmap(client, bitmap, err);
}

/* Takes the client on success. */
static int open_stream(const struct backup_set *set, size_t i, struct nbd_client *client,
                       struct image_source **ret_source, struct error *err)
{
    const struct image_file *file = &set->report->files[i];
    int r = set->earlier ? ask_bitmap(client, file->target, err) : 0;
    if (r == 0)
        r = nbd_client_connect(client, set->op.backup.socket_path, file->target, err);
    if (r < 0)
        return r;
    char path[PATH_MAX], text[QCOW2_MARK_MAX + 1];
    const char *mark = mark_of(set, file->target, text);
    if (!set->earlier)
        return mark ? image_stream_open_marked(client, NULL, mark, ret_source, err)
                    : image_stream_open(client, file->format, 0, ret_source, err);
    const struct qcow2_backing backing = earlier_image_backing(set->earlier, file, path);
    return image_stream_open_marked(client, &backing, mark, ret_source, err);
}

static int write_file(struct backup_set *set, size_t i, struct error *err)
{
    struct nbd_client *client = NULL;
    int r = nbd_client_new(set->session->driver->stall_timeout_s, &client, err);
    if (r < 0)
        return r;
    r = open_stream(set, i, client, &set->sources[i], err);
    if (r < 0) {
        nbd_client_free(client);
        return r;
    }
    return image_file_write(&set->report->files[i], set->session, set->sources[i],
                            set->request->observer, err);
}

/* The job is ended before its readers close: see disk_iothread.h. */
static void end_set(struct backup_set *set, struct error *failure)
{
    live_undo(&set->op, failure);
    failpoint("domain:job-ended");
    for (size_t i = 0; i < set->disks->count; i++) {
        image_source_close(set->sources[i]);
        staging_free(set->stagings[i]);
    }
    live_snapshot_done(&set->op);
    json_decref(set->earlier);
    free(set->checkpoint_xml);
}

static void tell_instant(void *arg)
{
    image_report_set_instant(arg);
}

int backup_set_make(struct session *session, const struct image_request *request,
                    const struct source_disks *disks, struct image_report *report,
                    struct error *err)
{
    const struct driver_observer observer = {.instant = tell_instant, .arg = report};
    struct error failure = ERROR_INIT;
    struct backup_set set = {.session = session,
                             .request = request,
                             .disks = disks,
                             .report = report,
                             .plan = {.method = SNAPSHOT_METHOD_STREAM,
                                      .image_format = image_request_format(request),
                                      .quiesce = request->quiesce,
                                      .require_quiesce = request->quiesce,
                                      .journal = &session->journal,
                                      .observer = &observer}};
    report->method = snapshot_method_name(SNAPSHOT_METHOD_STREAM);
    set.op = live_snapshot_of(session->driver, &disks->infos[0], &set.plan);
    if (virDomainRef(session->domain) < 0)
        return libvirt_error(err, "cannot use the domain");
    set.op.domain = session->domain;
    int r = begin_set(&set, &failure);
    for (size_t i = 0; r == 0 && i < disks->count; i++)
        r = write_file(&set, i, &failure);
    end_set(&set, &failure);
    if (failure.errnum != 0)
        *err = failure;
    return -failure.errnum;
}
