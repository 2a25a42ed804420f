/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice between a live and a cold snapshot, and of the image's format: nova's rules. How a
 * live one is taken: the operator's live_snapshot_method.
 */
#pragma once

#include "agent/instance.h"
#include "conf/conf.h"
#include "driver/driver.h"

/* What a plan is made from; all borrowed. */
struct plan_input {
    const struct conf *conf;
    enum snapshot_method wanted; /* the operator's live_snapshot_method */
    const struct instance *instance;
    const struct guest_info *info;
};

/* Whether the guest is to be frozen. */
struct plan_quiesce {
    bool wanted;
    bool required;                  /* os_require_quiesce: give up when it cannot be */
    char reason[ERROR_MESSAGE_MAX]; /* why it is not wanted */
};

/*
 * Decides from configuration, image properties and what the driver found. Fails when the image
 * property os_require_quiesce asks for what the guest cannot do (QemuGuestAgentNotEnabled,
 * InstanceQuiesceNotSupported). Strings of *ret_plan point into `conf` and `info`. *ret_reason is
 * why it is not the wanted method, a constant; NULL when it is. Source:
 * nova.virt.libvirt.driver:snapshot, _can_quiesce.
 */
int plan_snapshot(const struct plan_input *input, struct snapshot_plan *ret_plan,
                  struct plan_quiesce *ret_quiesce, const char **ret_reason, struct error *err);

/* For the log: how the snapshot is about to be taken, and why not as wanted (NULL: it is). */
void plan_tell(const struct guest_info *info, const struct snapshot_plan *plan, const char *reason);

/* Why this method is out of the question; NULL when nothing is known against it. A constant. */
const char *plan_reason_against(enum snapshot_method method, const struct conf *conf,
                                const struct guest_info *info);

/* What live_snapshot_method names. */
enum snapshot_method plan_wanted_method(const struct conf *conf);

/*
 * After the method of the plan turned out not to be usable: the next one that is possible, of those
 * that stand behind the wanted one. None is tried twice. False when there is none.
 */
bool plan_next_method(const struct conf *conf, enum snapshot_method wanted,
                      const struct guest_info *info, struct snapshot_plan *plan);

/* Whether nothing is known that speaks against stream, wanted or not. */
bool plan_can_stream(const struct conf *conf, const struct guest_info *info);

/*
 * Whether the guest can be frozen at all: InstanceQuiesceNotSupported, QemuGuestAgentNotEnabled.
 * Source: nova.virt.libvirt.driver:_can_quiesce.
 */
int plan_check_quiesce(const struct conf *conf, const struct instance *instance, struct error *err);

/*
 * Whether volumes are to be snapshotted of a frozen guest. Fails only when os_require_quiesce asks
 * for what the guest cannot do.
 */
int plan_quiesce(const struct conf *conf, const struct instance *instance,
                 struct plan_quiesce *ret_quiesce, struct error *err);

/* It is not to be frozen after all; the reason is copied. */
void plan_no_quiesce(struct plan_quiesce *quiesce, const char *reason);
