/* SPDX-License-Identifier: Apache-2.0 */
/* See save.h. */
#include "domain/save.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "domain/disk_fingerprint.h"
#include "domain/disk_layers.h"
#include "domain/domain_run.h"
#include "domain/image_settle.h"
#include "domain/leftover.h"
#include "domain/pending_call.h"
#include "domain/save_check.h"
#include "domain/save_record.h"
#include "domain/save_settle.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/managed_save.h"

struct saving {
    struct session *session;
    const struct save_request *request;
    struct image_file memory, disks;
    json_t *layers; /* owned */
};

/* One of libvirt's that was removed since has left its record. */
static int name_managed(struct saving *saving, struct error *err)
{
    char path[PATH_MAX];
    int r = save_record_of_managed(saving->session, path, err);
    if (r == 0 && unlink(path) < 0 && errno != ENOENT)
        r = error_errno(err, errno, "cannot remove %s", path);
    return r < 0 ? r : image_file_name(path, &saving->disks, err);
}

static int name_files(struct saving *saving, struct error *err)
{
    char path[PATH_MAX];
    if (!saving->request->file)
        return name_managed(saving, err);
    int r = image_file_name(saving->request->file, &saving->memory, err);
    if (r == 0)
        r = save_record_beside(saving->memory.path, path, err);
    return r < 0 ? r : image_file_name(path, &saving->disks, err);
}

/* As they are before: which files they are is known then whatever becomes of the command. */
static int list_layers(struct saving *saving, const char *xml, struct error *err)
{
    json_t *layers = NULL;
    int r = disk_layers_list(xml, &layers, err);
    const char *device = r == 0 ? disk_layers_device(layers) : NULL;
    if (device && !saving->request->verify_disks)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                      "disk %s is a device, which keeps no time of its last write: only "
                      "--verify-disks can tell whether it has changed",
                      device);
    if (r == 0)
        r = disk_fingerprint_look(layers, &saving->layers, err);
    json_decref(layers);
    return r;
}

/* All that can be found out while the guest runs. */
static int look(struct saving *saving, struct error *err)
{
    cleanup_free char *xml = NULL;
    struct session *session = saving->session;
    int r = libvirt_domain_xml(session->domain, &xml, err);
    if (r == 0)
        r = save_check(session, xml, saving->request->file == NULL, err);
    if (r == 0)
        r = list_layers(saving, xml, err);
    if (r == 0)
        r = name_files(saving, err);
    return r;
}

static int note_files(const struct saving *saving, json_t **ret_memory, json_t **ret_disks,
                      struct error *err)
{
    int r = image_settle_note(saving->disks.partial, saving->disks.path, ret_disks, err);
    if (r == 0 && saving->request->file)
        r = image_settle_note(saving->memory.partial, saving->memory.path, ret_memory, err);
    if (r < 0) {
        json_decref(*ret_disks);
        *ret_disks = NULL;
    }
    return r;
}

static int note_save(struct saving *saving, int64_t stopped_ms, struct error *err)
{
    struct session *session = saving->session;
    cleanup_run json_t *run = NULL;
    json_t *memory = NULL, *disks = NULL;
    enum power_state state;
    const char *name = virDomainGetName(session->domain);
    int r = libvirt_domain_power_state(session->domain, &state, err);
    if (r == 0)
        r = record_note(session->record, "domain", json_pack("{s:s*}", "name", name), err);
    if (r == 0)
        r = domain_run_read(session, &run, err);
    if (r == 0)
        r = note_files(saving, &memory, &disks, err);
    if (r < 0)
        return r;
    json_t *note = json_pack(
        "{s:b, s:b, s:O, s:s*, s:I, s:O, s:o, s:o*}", "is_managed", saving->request->file == NULL,
        "is_running", state == POWER_STATE_RUNNING, "run", run, "name", name, "stopped_ms",
        (json_int_t)stopped_ms, "layers", saving->layers, "disks", disks, "memory", memory);
    return record_note(session->record, "save", note, err);
}

static void tell_written(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    const struct save_request *request = arg;
    image_file_tell(request->observer, IMAGE_PHASE_WRITE, "memory", done_bytes, total_bytes);
}

/* That it can be made is known before the guest stands still. */
static int make_record(const struct saving *saving, struct error *err)
{
    json_t *empty = json_object();
    int r = save_record_write(saving->disks.partial, empty, err);
    json_decref(empty);
    return r;
}

static int write_memory(struct saving *saving, struct save_report *report, struct error *err)
{
    const struct save_request *request = saving->request;
    const struct managed_save_target target = {
        request->file ? saving->memory.partial : NULL, request->flags,
        request->observer ? tell_written : NULL, (void *)(uintptr_t)request};
    struct session *session = saving->session;
    report->stopped_ms = save_record_now_ms();
    int r = note_save(saving, report->stopped_ms, err);
    failpoint("save:noted");
    if (r == 0)
        r = make_record(saving, err);
    if (r == 0)
        r = pending_call_begin(session, err);
    if (r == 0)
        r = managed_save_to(session->domain, &target, session->driver->stall_timeout_s, err);
    if (r < 0)
        pending_call_failed(session);
    report->took_ms = save_record_now_ms() - report->stopped_ms;
    failpoint("save:memory-written");
    return r;
}

static int save_guest(struct saving *saving, struct save_report *report, struct error *err)
{
    int r = look(saving, err);
    if (r == 0)
        r = write_memory(saving, report, err);
    if (r < 0)
        return r;
    r = save_settle_keep(saving->session, saving->request->verify_disks, saving->request->observer,
                         err);
    return r < 0 ? error_prepend(err, "the guest is saved, but not as it was asked for") : 0;
}

int save_take(struct session *session, const struct save_request *request,
              struct save_report *ret_report, struct error *err)
{
    struct saving saving = {.session = session, .request = request};
    struct error failure = ERROR_INIT, left = ERROR_INIT;
    *ret_report = (struct save_report){0};
    int r = leftover_undo_earlier(session, err);
    if (r == 0)
        r = session_need_domain(session, err);
    if (r < 0)
        return r;
    (void)save_guest(&saving, ret_report, &failure);
    if (leftover_undo(session, &left) < 0)
        error_join(&failure, &left);
    memcpy(ret_report->memory, saving.memory.path, sizeof(ret_report->memory));
    memcpy(ret_report->disks, saving.disks.path, sizeof(ret_report->disks));
    ret_report->layer_count = json_array_size(saving.layers);
    json_decref(saving.layers);
    if (failure.errnum != 0)
        *err = failure;
    return -failure.errnum;
}
