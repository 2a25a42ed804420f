/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a snapshot could be taken now, for people who ask beforehand: what each method looks at
 * before it does anything, and no more.
 */
#include "common/cancel.h"
#include "common/cleanup.h"
#include "driver/snapshot/cold_snapshot.h"
#include "driver/snapshot/live_snapshot.h"

static int check_live(struct libvirt_driver *driver, const struct guest_info *info,
                      const struct snapshot_plan *plan, uint64_t *ret_bytes, struct error *err)
{
    __attribute__((cleanup(live_snapshot_done))) struct live_snapshot op =
        live_snapshot_of(driver, info, plan);
    op.looks_only = true;
    int r = libvirt_connection_find_domain(driver->connection, info->uuid, 0,
                                           EXC_INSTANCE_NOT_FOUND, &op.domain, err);
    if (r == 0)
        r = (plan->method == SNAPSHOT_METHOD_STREAM ? live_stream_prepare : live_copy_prepare)(&op,
                                                                                               err);
    if (r == 0)
        *ret_bytes = disk_space_bytes(op.space);
    return r;
}

static int check_cold(struct libvirt_driver *driver, const struct guest_info *info,
                      const struct snapshot_plan *plan, uint64_t *ret_bytes, struct error *err)
{
    __attribute__((cleanup(cold_snapshot_done))) struct cold_snapshot op = {
        .driver = driver, .info = info, .plan = plan};
    int r = disk_source_find(info, &driver->rbd, &op.source, err);
    if (r == 0)
        r = cold_snapshot_prepare(&op, err);
    if (r == 0)
        *ret_bytes = disk_space_bytes(op.space);
    return r;
}

/* A stopped guest's disk is read by a qemu-nbd of ours, which writes nothing. */
static int check_stopped(const struct libvirt_driver *driver, const struct guest_info *info,
                         uint64_t *ret_bytes, struct error *err)
{
    struct disk_source source;
    int r = disk_source_find(info, &driver->rbd, &source, err);
    if (r == 0)
        *ret_bytes = 0;
    return r;
}

int libvirt_check_plan(struct libvirt_driver *driver, const struct guest_info *info,
                       const struct snapshot_plan *plan, uint64_t *ret_bytes, struct error *err)
{
    CANCEL_SHIELD(); /* room that is short ends snapshots, by their cancellation, and not a look */
    struct snapshot_plan looked_at = *plan;
    looked_at.journal = NULL;
    if (plan->method == SNAPSHOT_METHOD_COLD)
        return check_cold(driver, info, &looked_at, ret_bytes, err);
    return plan->method == SNAPSHOT_METHOD_STREAM && info->power_state == POWER_STATE_SHUTDOWN
               ? check_stopped(driver, info, ret_bytes, err)
               : check_live(driver, info, &looked_at, ret_bytes, err);
}
