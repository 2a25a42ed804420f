/* SPDX-License-Identifier: Apache-2.0 */
/* What takes part. See checkpoint_plan.h. */
#include "domain/checkpoint_plan.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "driver/definition/domain_disk.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/domain.h"

#define REMARKS_MAX 256
/* As revert_point.c and merge_chain.c have it: what the guest writes to has to be of the same
 * instant, and all layers in files. */
#define NO_WAY_BACK                                                                                \
    "; `domain revert` cannot go back to such a checkpoint, whose disks can be read all the same"
#define NO_MERGE ", nor can `domain delete-checkpoint` and `domain flatten` merge its layers"

static struct checkpoint_remark information(const char *why)
{
    return (struct checkpoint_remark){.why = why};
}

static struct checkpoint_remark dead_end(const char *why)
{
    return (struct checkpoint_remark){.why = why, .is_dead_end = true};
}

static int remark(struct checkpoint_remarks *remarks, const char *what,
                  struct checkpoint_remark told, struct error *err)
{
    if (!told.why)
        return 0;
    if (remarks->count == REMARKS_MAX)
        return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "the domain has more than %d disks",
                         REMARKS_MAX);
    struct checkpoint_remark *grown =
        realloc(remarks->all, (remarks->count + 1) * sizeof(*remarks->all));
    if (!grown)
        return error_nomem(err);
    remarks->all = grown;
    struct checkpoint_remark *added = &grown[remarks->count++];
    *added = told;
    (void)snprintf(added->what, sizeof(added->what), "%s", what);
    return 0;
}

/* Of nothing: it takes part. */
static struct checkpoint_remark why_omitted(const xmlNode *element, const struct domain_disk *disk)
{
    if (!disk->is_hard_disk)
        return information("it is no hard disk");
    if (!xml_node_child_named(element, "source"))
        return information("it has no medium");
    if (xml_node_child_named(element, "readonly"))
        return information("it is read-only");
    if (xml_node_child_named(element, "shareable"))
        return dead_end("it is shared with other guests" NO_WAY_BACK);
    if (xml_node_attribute_is(element, "snapshot", "no"))
        return dead_end("its definition says snapshot='no'" NO_WAY_BACK);
    return information(NULL);
}

static const char *reason_against(const struct domain_disk *disk, bool is_internal)
{
    if (disk->problem)
        return disk->problem;
    if (disk->layers[0].path[0] != '/')
        return "it is neither a file nor a block device; snapshot='no' in the domain's definition "
               "leaves it out";
    if (disk->layers[0].encrypted && !is_internal)
        return "it is encrypted, and what the guest writes from then on would not be";
    if (disk->has_mirror)
        return "it is being copied by a block job: wait for that, or end it";
    if (is_internal && strcmp(disk->layers[0].format, "qcow2") != 0)
        return "it is not qcow2, which alone holds checkpoints inside: make it without --internal";
    return NULL;
}

/* Of nothing: there is a way back of it, and it can be merged again. */
static struct checkpoint_remark
reason_to_be_careful(const xmlNode *element, const struct domain_disk *disk, bool is_internal)
{
    const struct disk_layer *layer = &disk->layers[0];
    struct stat st;
    if (!xml_node_attribute_is(element, "type", "file"))
        return dead_end("it is no file" NO_WAY_BACK NO_MERGE);
    if (layer->encrypted)
        return dead_end("it is encrypted" NO_WAY_BACK);
    if (xml_node_child_named(element, "transient"))
        return dead_end(
            "what is written to it is thrown away when the guest ends" NO_WAY_BACK NO_MERGE);
    if (strcmp(layer->format, "qcow2") != 0 && strcmp(layer->format, "raw") != 0)
        return dead_end("it is neither qcow2 nor raw" NO_WAY_BACK NO_MERGE);
    if (!is_internal && lstat(layer->path, &st) == 0 && S_ISLNK(st.st_mode))
        return dead_end("it is called by a link: neither `domain delete-checkpoint` nor `domain "
                        "flatten` can merge its layers");
    return information(NULL);
}

static int add_disk(const xmlNode *element, const struct domain_disk *disk,
                    struct checkpoint_plan *plan, struct error *err)
{
    struct checkpoint_remark omission = why_omitted(element, disk);
    if (omission.why)
        return remark(&plan->omissions, disk->target, omission, err);
    const char *reason = reason_against(disk, plan->is_internal);
    if (reason)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s: %s", disk->target, reason);
    if (plan->disk_count == CHECKPOINT_PLAN_DISKS_MAX)
        return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "the domain has more than %d disks",
                         CHECKPOINT_PLAN_DISKS_MAX);
    struct checkpoint_disk *added = &plan->disks[plan->disk_count++];
    (void)snprintf(added->target, sizeof(added->target), "%s", disk->target);
    (void)snprintf(added->format, sizeof(added->format), "%s", disk->layers[0].format);
    (void)snprintf(added->base, sizeof(added->base), "%s", disk->layers[0].path);
    return remark(&plan->cautions, disk->target,
                  reason_to_be_careful(element, disk, plan->is_internal), err);
}

static int read_disks(const xmlNode *devices, struct checkpoint_plan *plan, struct error *err)
{
    int r = 0;
    plan->disks = calloc(CHECKPOINT_PLAN_DISKS_MAX, sizeof(*plan->disks));
    if (!plan->disks)
        return error_nomem(err);
    for (xmlNode *element = xml_node_child_named(devices, "disk"); r == 0 && element;
         element = xml_node_next_named(element->next, "disk")) {
        struct domain_disk disk = {0};
        r = domain_disk_read(element, &disk, err);
        if (r == 0)
            r = add_disk(element, &disk, plan, err);
        domain_disk_done(&disk);
    }
    if (r < 0 || plan->disk_count > 0)
        return r;
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "the domain has no disk that can take part in a checkpoint");
}

/* What has a state of its own, in no disk and, unless memory is kept, nowhere else. */
static int omit_devices(const xmlNode *devices, struct checkpoint_plan *plan, struct error *err)
{
    const xmlNode *os = xml_node_child_named(devices->parent, "os");
    bool has_firmware = xml_node_attribute_is(os, "firmware", "efi") ||
                        xml_node_child_named(os, "nvram") ||
                        xml_node_attribute_is(xml_node_child_named(os, "loader"), "type", "pflash");
    int r = 0;
    if (has_firmware)
        r = remark(&plan->omissions, "nvram",
                   dead_end("the firmware's variables stay as they are" NO_WAY_BACK), err);
    if (r == 0 && xml_node_child_named(devices, "tpm"))
        r = remark(&plan->omissions, "tpm", dead_end("its state stays as it is" NO_WAY_BACK), err);
    return r;
}

/* libvirt takes them along while the guest runs; revert_check.c and merge_check.c do not. */
static int read_bitmaps(const struct session *session, struct checkpoint_plan *plan,
                        struct error *err)
{
    int bitmaps = virDomainListAllCheckpoints(session->domain, NULL, 0);
    if (bitmaps < 0 && virGetLastErrorCode() != VIR_ERR_NO_SUPPORT)
        return libvirt_error(err, "cannot list the domain's checkpoints of increments");
    plan->has_bitmaps = bitmaps > 0;
    return plan->has_bitmaps
               ? remark(&plan->cautions, "increments",
                        information(
                            "the domain has checkpoints of increments: `domain revert` and `domain "
                            "delete-checkpoint` work when libvirt has them no more, and `virsh "
                            "checkpoint-delete` without --metadata writes to the files that keep "
                            "this checkpoint, after which there is no way back to it"),
                        err)
               : 0;
}

int checkpoint_plan_read_devices(const xmlNode *devices, struct checkpoint_plan *plan,
                                 struct error *err)
{
    int r = read_disks(devices, plan, err);
    return r < 0 ? r : omit_devices(devices, plan, err);
}

static int read_state(const struct session *session, const struct checkpoint_request *request,
                      struct checkpoint_plan *plan, struct error *err)
{
    enum power_state state = POWER_STATE_NOSTATE;
    int r = libvirt_domain_power_state(session->domain, &state, err);
    if (r < 0)
        return r;
    plan->is_running = state == POWER_STATE_RUNNING;
    plan->runs = plan->is_running || state == POWER_STATE_PAUSED;
    plan->is_internal = request->internal;
    plan->has_memory = plan->runs && !request->disk_only;
    plan->is_frozen = request->quiesce;
    if (!plan->runs && state != POWER_STATE_SHUTDOWN)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the guest has suspended itself, or has crashed: wake or stop it first");
    if (!plan->runs && (request->memory || request->live || request->halt || request->quiesce))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the domain does not run: there is no memory to keep, and nothing to "
                         "freeze or halt");
    if (plan->runs && plan->is_internal && request->disk_only)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "an internal checkpoint of a domain that runs has its memory: make it "
                         "without --disk-only, or without --internal");
    if (!plan->is_running && (request->quiesce || request->live))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the guest is paused: it cannot be frozen, nor run on meanwhile");
    return 0;
}

int checkpoint_plan_read(const struct session *session, const struct checkpoint_request *request,
                         struct checkpoint_plan *ret_plan, struct error *err)
{
    cleanup_free char *xml = NULL;
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    *ret_plan = (struct checkpoint_plan){0};
    int r = read_state(session, request, ret_plan, err);
    if (r == 0)
        r = libvirt_domain_xml(session->domain, &xml, err);
    if (r == 0)
        r = xml_node_parse_domain(xml, &document, &devices, err);
    if (r == 0)
        r = checkpoint_plan_read_devices(devices, ret_plan, err);
    return r < 0 ? r : read_bitmaps(session, ret_plan, err);
}

void checkpoint_plan_done(struct checkpoint_plan *plan)
{
    free(plan->disks);
    free(plan->omissions.all);
    free(plan->cautions.all);
    *plan = (struct checkpoint_plan){0};
}
