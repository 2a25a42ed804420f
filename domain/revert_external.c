/* SPDX-License-Identifier: Apache-2.0 */
/* To an external checkpoint. See revert.h. */
/* Names begin with revert_. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/secret.h"
#include "domain/checkpoint_name.h"
#include "domain/checkpoint_take.h"
#include "domain/domain_run.h"
#include "domain/new_layer.h"
#include "domain/pending_call.h"
#include "domain/revert_check.h"
#include "domain/revert_definition.h"
#include "domain/revert_hold.h"
#include "domain/revert_int.h"
#include "domain/revert_layers.h"
#include "domain/revert_settle.h"
#include "driver/libvirt/connection.h"

struct reverting {
    struct session *session;
    const struct revert_point *point;
    struct revert_report *report;
    struct checkpoint_request left_request;
    struct checkpoint_report left; /* of what is left behind */
    struct checkpoint_disk *disks; /* owned: the point's, with the new layers */
    struct revert_seen seen;
    char *definition; /* owned, secret: at the new layers */
    char *memory_xml; /* the same */
};

/* A name of this time for the layers, beside the files that keep the point. */
static int name_layers(struct reverting *reverting, const char *stamp, struct error *err)
{
    const struct revert_point *point = reverting->point;
    const struct checkpoint_plan *left = &reverting->left.plan;
    char name[CHECKPOINT_NAME_SIZE + CHECKPOINT_STAMP_SIZE];
    struct stat st;
    (void)snprintf(name, sizeof(name), "%s-%s", point->name, stamp);
    reverting->disks = calloc(point->disk_count, sizeof(*reverting->disks));
    if (!reverting->disks)
        return error_nomem(err);
    for (size_t i = 0; i < point->disk_count; i++) {
        struct checkpoint_disk *disk = &reverting->disks[i];
        *disk = point->disks[i];
        if (!checkpoint_name_overlay(disk->base, point->parent, name, disk->overlay))
            return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s.%s is too long", disk->base,
                             name);
        bool is_taken = lstat(disk->overlay, &st) == 0 || errno != ENOENT;
        for (size_t j = 0; j < i; j++)
            is_taken |= strcmp(disk->overlay, reverting->disks[j].overlay) == 0;
        for (size_t j = 0; j < left->disk_count; j++)
            is_taken |= strcmp(disk->overlay, left->disks[j].overlay) == 0;
        if (is_taken)
            return error_set(err, EEXIST, EXC_INTERNAL_ERROR, "%s is there already", disk->overlay);
    }
    return 0;
}

/* The guest's definition in a memory file, its disks switched; "" without memory. */
static int read_memory(const struct session *session, const char *file,
                       const struct checkpoint_disk *disks, size_t disk_count, char **ret_xml,
                       struct error *err)
{
    cleanup_conn virConnectPtr conn = NULL;
    if (file[0] == '\0') {
        *ret_xml = strdup("");
        return *ret_xml ? 0 : error_nomem(err);
    }
    int r = libvirt_connection_get(session->driver->connection, 0, &conn, err);
    if (r < 0)
        return r;
    char *xml = virDomainSaveImageGetXMLDesc(conn, file, VIR_DOMAIN_SAVE_IMAGE_XML_SECURE);
    if (!xml)
        return libvirt_error(err, "%s holds no whole memory", file);
    if (!strstr(xml, session->uuid))
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s holds the memory of another domain",
                      file);
    if (r == 0)
        r = revert_definition_switch(xml, disks, disk_count, false, ret_xml, err);
    secret_free(xml);
    return r < 0 ? error_prepend(err, "the memory in %s", file) : 0;
}

/* All that can be known before: nothing is touched. */
static int prepare(struct reverting *reverting, const char *stamp, struct error *err)
{
    const struct revert_point *point = reverting->point;
    struct session *session = reverting->session;
    int r = revert_check_domain(session, point, err);
    if (r == 0)
        r = revert_check_files(session, point, &reverting->seen, err);
    if (r == 0)
        r = checkpoint_take_prepare(session, &reverting->left_request, &reverting->left.plan, err);
    if (r == 0)
        r = name_layers(reverting, stamp, err);
    if (r == 0)
        r = revert_definition_switch(point->definition, reverting->disks, point->disk_count, true,
                                     &reverting->definition, err);
    return r < 0 ? r
                 : read_memory(session, point->memory_file, reverting->disks, point->disk_count,
                               &reverting->memory_xml, err);
}

static int note_begin(struct reverting *reverting, struct error *err)
{
    struct session *session = reverting->session;
    const struct checkpoint_plan *left = &reverting->left.plan;
    const struct revert_place to = {.current = reverting->point->name,
                                    .state = reverting->report->state,
                                    .memory = reverting->point->memory_file,
                                    .memory_xml = reverting->memory_xml,
                                    .definition = reverting->definition,
                                    .disks = reverting->disks,
                                    .disk_count = reverting->point->disk_count};
    cleanup_run json_t *run = NULL;
    int r = domain_run_read(session, &run, err);
    if (r == 0)
        r = session_note_domain(session, err);
    if (r == 0)
        r = record_note(session->record, "revert",
                        json_pack("{s:o, s:b, s:O}", "to", revert_settle_note_of(&to),
                                  "was_running", left->is_running, "run", run),
                        err);
    failpoint("revert:written-down");
    return r;
}

static int make_layers(const struct reverting *reverting, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < reverting->point->disk_count; i++) {
        const struct checkpoint_disk *disk = &reverting->disks[i];
        r = new_layer_create(disk->overlay, disk->base, disk->format, err);
        failpoint("revert:layer-made");
    }
    return r < 0 ? r
                 : revert_layers_note(reverting->session, reverting->disks,
                                      reverting->point->disk_count, err);
}

/* Where the domain is now: at the checkpoint of what is left behind. */
static int note_switch(struct reverting *reverting, struct error *err)
{
    struct session *session = reverting->session;
    const struct checkpoint_plan *left = &reverting->left.plan;
    bool was_running = json_is_true(
        json_object_get(json_array_get(record_all(session->record, "revert"), 0), "was_running"));
    struct revert_place from = {.current = left->name,
                                .state = was_running  ? "running"
                                         : left->runs ? "paused"
                                                      : "shut off",
                                .memory = left->memory_file,
                                .disks = left->disks,
                                .disk_count = left->disk_count};
    char *memory_xml = NULL;
    char *definition =
        virDomainGetXMLDesc(session->domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    int r = definition
                ? revert_definition_check(definition, left->disks, left->disk_count, false, err)
                : libvirt_error(err, "cannot read the domain's definition");
    if (r == 0)
        r = read_memory(session, left->memory_file, left->disks, left->disk_count, &memory_xml,
                        err);
    from.definition = definition;
    from.memory_xml = memory_xml;
    if (r == 0)
        r = revert_layers_note(session, left->disks, left->disk_count, err);
    if (r == 0)
        r = record_note(session->record, "switch",
                        json_pack("{s:o}", "to", revert_settle_note_of(&from)), err);
    secret_free(definition);
    secret_free(memory_xml);
    failpoint("revert:switch-noted");
    return r;
}

/* It is not at the checkpoint. */
static int tell_why(const struct session *session, struct error *err)
{
    const json_t *back = json_array_get(record_all(session->record, "back"), 0);
    const char *why = json_string_member(back, "why");
    if (session->outcome) /* is told behind that: it has gone, or is on disks of somebody's */
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "it does not come to the checkpoint");
    return error_set(err, EIO, EXC_INTERNAL_ERROR, "the domain is where it was again: %s",
                     why ? why : "its guest went on meanwhile");
}

/* Keeps what is now, then goes. */
static int leave(struct reverting *reverting, struct error *err)
{
    struct session *session = reverting->session;
    int r = revert_hold_begin(session, &reverting->left.plan, err);
    if (r == 0)
        r = checkpoint_take_make(session, &reverting->left_request, &reverting->left, err);
    if (r == 0)
        r = pending_call_answered(session, err);
    failpoint("revert:left-kept");
    if (r == 0)
        r = checkpoint_take_write_through(&reverting->left.plan, err);
    if (r == 0)
        r = revert_check_files(session, reverting->point, &reverting->seen, err);
    if (r == 0)
        r = note_switch(reverting, err);
    if (r == 0)
        r = revert_settle(session, err);
    if (r < 0 || record_all(session->record, "entered"))
        return r;
    return tell_why(session, err);
}

static int run(struct reverting *reverting, const char *stamp, struct error *err)
{
    int r = prepare(reverting, stamp, err);
    if (r == 0)
        r = note_begin(reverting, err);
    if (r == 0)
        r = make_layers(reverting, err);
    return r < 0 ? r : leave(reverting, err);
}

int revert_external(struct session *session, const struct revert_point *point,
                    struct revert_report *report, struct error *err)
{
    struct reverting reverting = {.session = session, .point = point, .report = report};
    int r = revert_name_left(session, report, err);
    if (r < 0)
        return r;
    reverting.left_request.name = report->left;
    r = run(&reverting, report->left + strlen(CHECKPOINT_LEFT), err);
    checkpoint_take_done(&reverting.left);
    secret_free(reverting.definition);
    secret_free(reverting.memory_xml);
    free(reverting.disks);
    return r;
}
