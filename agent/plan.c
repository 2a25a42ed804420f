/* SPDX-License-Identifier: Apache-2.0 */
/* See plan.h. */
#include "agent/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

/* Why a live snapshot is out of the question; NULL when it is possible. */
static const char *reason_against_live(const struct conf *conf, const struct guest_info *info)
{
    if (info->power_state == POWER_STATE_SHUTDOWN)
        return "the guest is not running";
    if (!info->connection_is_qemu)
        return "the hypervisor is not QEMU";
    if (info->source_type == DISK_SOURCE_LVM)
        return "the root disk is a block device";
    if (info->source_type == DISK_SOURCE_RBD)
        return "the root disk is on RBD";
    if (conf->ephemeral_storage_encryption.enabled)
        return "[ephemeral_storage_encryption]enabled is set";
    if (conf->workarounds.disable_libvirt_livesnapshot)
        return "[workarounds]disable_libvirt_livesnapshot is set";
    return NULL;
}

static bool virt_type_is(const struct conf *conf, const char *virt_type)
{
    return strcmp(conf->libvirt.virt_type, virt_type) == 0;
}

int plan_check_quiesce(const struct conf *conf, const struct instance *instance, struct error *err)
{
    if (!virt_type_is(conf, "kvm") && !virt_type_is(conf, "qemu"))
        return error_set(err, ENOTSUP, EXC_INSTANCE_QUIESCE_NOT_SUPPORTED,
                         "Quiescing is not supported in instance %s: virt_type is %s",
                         instance->uuid, conf->libvirt.virt_type);
    if (!instance_image_flag(instance, "hw_qemu_guest_agent"))
        return error_set(err, ENOTSUP, EXC_QEMU_GUEST_AGENT_NOT_ENABLED,
                         "QEMU guest agent is not enabled");
    return 0;
}

int plan_quiesce(const struct conf *conf, const struct instance *instance,
                 struct plan_quiesce *ret_quiesce, struct error *err)
{
    struct error cannot = ERROR_INIT;
    bool required = instance_image_flag(instance, "os_require_quiesce");
    bool can = plan_check_quiesce(conf, instance, &cannot) == 0;
    if (!can && required) {
        *err = cannot;
        return -err->errnum;
    }
    *ret_quiesce = (struct plan_quiesce){.wanted = can, .required = can && required};
    if (!can)
        plan_no_quiesce(ret_quiesce, cannot.message);
    return 0;
}

void plan_no_quiesce(struct plan_quiesce *quiesce, const char *reason)
{
    quiesce->wanted = quiesce->required = false;
    (void)snprintf(quiesce->reason, sizeof(quiesce->reason), "%s", reason);
    log_debug("the guest is not frozen: %s", reason);
}

/* A cold snapshot of a running guest saves it, and what it has in memory with it. */
static int plan_quiesce_of_guest(const struct plan_input *input, enum snapshot_method method,
                                 struct plan_quiesce *ret_quiesce, struct error *err)
{
    const struct guest_info *info = input->info;
    *ret_quiesce = (struct plan_quiesce){.wanted = false};
    if (info->power_state == POWER_STATE_SHUTDOWN) {
        plan_no_quiesce(ret_quiesce, "the guest does not run");
        return 0;
    }
    /* Within the cluster a snapshot of a running guest is an instant, as a live one is. */
    if (method == SNAPSHOT_METHOD_COLD && info->source_type != DISK_SOURCE_RBD) {
        plan_no_quiesce(ret_quiesce, "the guest is saved for a cold snapshot");
        return 0;
    }
    int r = plan_quiesce(input->conf, input->instance, ret_quiesce, err);
    if (r == 0 && ret_quiesce->wanted && info->power_state != POWER_STATE_RUNNING)
        plan_no_quiesce(ret_quiesce, "a paused guest cannot answer and does not write");
    return r;
}

static const char *image_format(const struct conf *conf, const struct guest_info *info)
{
    const char *configured = conf->libvirt.snapshot_image_format;
    if (configured)
        return configured;
    if (info->source_type == DISK_SOURCE_LVM || info->source_type == DISK_SOURCE_RBD)
        return "raw";
    return info->disk_format;
}

const char *plan_reason_against(enum snapshot_method method, const struct conf *conf,
                                const struct guest_info *info)
{
    const char *format = image_format(conf, info);
    if (method == SNAPSHOT_METHOD_COLD)
        return NULL;
    if (method != SNAPSHOT_METHOD_STREAM)
        return reason_against_live(conf, info);
    if (info->power_state != POWER_STATE_SHUTDOWN)
        return reason_against_live(conf, info);
    if (strcmp(format, "qcow2") != 0 && strcmp(format, "raw") != 0)
        return "the size of an image of this format is not known in advance";
    if (conf->libvirt.snapshot_compression && strcmp(format, "qcow2") == 0)
        return "the size of a compressed image is not known in advance";
    return NULL;
}

bool plan_can_stream(const struct conf *conf, const struct guest_info *info)
{
    return !plan_reason_against(SNAPSHOT_METHOD_STREAM, conf, info);
}

enum snapshot_method plan_wanted_method(const struct conf *conf)
{
    const char *name = conf->snapshot_agent.live_snapshot_method;
    if (strcmp(name, "stream") == 0)
        return SNAPSHOT_METHOD_STREAM;
    return strcmp(name, "blockcopy") == 0 ? SNAPSHOT_METHOD_BLOCKCOPY : SNAPSHOT_METHOD_BLOCKREBASE;
}

/*
 * What is tried for each wish, in this order. blockrebase and blockcopy stand in for each other:
 * they read the disk alike, and neither needs the guest to be at rest.
 */
static const enum snapshot_method *methods_for(enum snapshot_method wanted)
{
    static const enum snapshot_method lists[][SNAPSHOT_METHOD_COLD + 1] = {
        [SNAPSHOT_METHOD_STREAM] = {SNAPSHOT_METHOD_STREAM, SNAPSHOT_METHOD_BLOCKCOPY,
                                    SNAPSHOT_METHOD_BLOCKREBASE, SNAPSHOT_METHOD_COLD},
        [SNAPSHOT_METHOD_BLOCKCOPY] = {SNAPSHOT_METHOD_BLOCKCOPY, SNAPSHOT_METHOD_BLOCKREBASE,
                                       SNAPSHOT_METHOD_COLD},
        [SNAPSHOT_METHOD_BLOCKREBASE] = {SNAPSHOT_METHOD_BLOCKREBASE, SNAPSHOT_METHOD_BLOCKCOPY,
                                         SNAPSHOT_METHOD_COLD},
    };
    return lists[wanted];
}

/* The first of the list, which ends with cold, that is possible. */
static enum snapshot_method first_possible(const enum snapshot_method *methods,
                                           const struct conf *conf, const struct guest_info *info)
{
    while (plan_reason_against(*methods, conf, info))
        methods++;
    return *methods;
}

bool plan_next_method(const struct conf *conf, enum snapshot_method wanted,
                      const struct guest_info *info, struct snapshot_plan *plan)
{
    const enum snapshot_method *methods = methods_for(wanted);
    if (plan->method == SNAPSHOT_METHOD_COLD)
        return false;
    while (*methods != plan->method)
        methods++;
    plan->method = first_possible(methods + 1, conf, info);
    log_debug("the next possible method is %s", snapshot_method_name(plan->method));
    return true;
}

/* Whether it is taken within the cluster only shows when it was tried. */
void plan_tell(const struct guest_info *info, const struct snapshot_plan *plan, const char *reason)
{
    bool is_live =
        plan->method != SNAPSHOT_METHOD_COLD && info->power_state != POWER_STATE_SHUTDOWN;
    if (info->source_type == DISK_SOURCE_RBD)
        log_info("Beginning snapshot process of %s, within the cluster if Glance is in it",
                 info->disk_path);
    else
        log_info("Beginning %s snapshot process of %s (%s) as %s by %s%s%s",
                 is_live ? "live" : "cold", info->disk_path, info->disk_format, plan->image_format,
                 snapshot_method_name(plan->method), reason ? ", because " : "",
                 reason ? reason : "");
}

int plan_snapshot(const struct plan_input *input, struct snapshot_plan *ret_plan,
                  struct plan_quiesce *ret_quiesce, const char **ret_reason, struct error *err)
{
    const struct conf *conf = input->conf;
    const struct guest_info *info = input->info;
    const char *reason = plan_reason_against(input->wanted, conf, info);
    struct snapshot_plan plan = {
        .method = first_possible(methods_for(input->wanted), conf, info),
        .image_format = image_format(conf, info),
        .compress = conf->libvirt.snapshot_compression,
        .compression_type = conf->snapshot_agent.compression_type,
    };
    int r = plan_quiesce_of_guest(input, plan.method, ret_quiesce, err);
    if (r < 0)
        return r;
    plan.quiesce = ret_quiesce->wanted;
    plan.require_quiesce = ret_quiesce->required;
    *ret_plan = plan;
    *ret_reason = reason;
    return 0;
}
