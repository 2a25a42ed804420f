/* SPDX-License-Identifier: Apache-2.0 */
/* What takes part. See checkpoint_plan.h. */
#include "domain/checkpoint_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "driver/definition/domain_disk.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/domain.h"

#define OMISSIONS_MAX 256
/* As revert_point.c has it: what the guest writes to has to be of the same instant. */
#define NO_WAY_BACK                                                                                \
    "; `domain revert` cannot go back to such a checkpoint, whose disks can be read all the same"

static int omit(struct checkpoint_plan *plan, const char *what, const char *why, struct error *err)
{
    if (plan->omission_count == OMISSIONS_MAX)
        return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "the domain has more than %d disks",
                         OMISSIONS_MAX);
    size_t size = (plan->omission_count + 1) * sizeof(*plan->omissions);
    struct checkpoint_omission *grown = realloc(plan->omissions, size);
    if (!grown)
        return error_nomem(err);
    plan->omissions = grown;
    struct checkpoint_omission *omission = &grown[plan->omission_count++];
    *omission = (struct checkpoint_omission){.why = why};
    (void)snprintf(omission->what, sizeof(omission->what), "%s", what);
    return 0;
}

/* NULL: it takes part. */
static const char *why_omitted(const xmlNode *element, const struct domain_disk *disk)
{
    if (!disk->is_hard_disk)
        return "it is no hard disk";
    if (!xml_node_child_named(element, "source"))
        return "it has no medium";
    if (xml_node_child_named(element, "readonly"))
        return "it is read-only";
    if (xml_node_child_named(element, "shareable"))
        return "it is shared with other guests" NO_WAY_BACK;
    if (xml_node_attribute_is(element, "snapshot", "no"))
        return "its definition says snapshot='no'" NO_WAY_BACK;
    return NULL;
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

static int add_disk(const xmlNode *element, const struct domain_disk *disk,
                    struct checkpoint_plan *plan, struct error *err)
{
    const char *why = why_omitted(element, disk);
    if (why)
        return omit(plan, disk->target, why, err);
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
    return 0;
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
        r = omit(plan, "nvram", "the firmware's variables stay as they are" NO_WAY_BACK, err);
    if (r == 0 && xml_node_child_named(devices, "tpm"))
        r = omit(plan, "tpm", "its state stays as it is" NO_WAY_BACK, err);
    return r;
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
    return r;
}

void checkpoint_plan_done(struct checkpoint_plan *plan)
{
    free(plan->disks);
    free(plan->omissions);
    *plan = (struct checkpoint_plan){0};
}
