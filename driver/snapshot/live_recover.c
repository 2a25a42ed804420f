/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal tells of a live snapshot, made into the operation that is undone. */
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "driver/journal.h"
#include "driver/snapshot/live_snapshot.h"
#include "driver/snapshot/recover.h"

static int live_read_definition(const json_t *entry, struct saved_definition *definition,
                                struct error *err)
{
    const json_t *xml = json_object_get(entry, "definition");
    const char *live = json_string_member(entry, "live"); /* absent in an older agent's */
    if (!json_is_string(xml) && !json_is_null(xml))
        return driver_entry_bad(err, "has no definition of the domain");
    if (json_is_null(xml))
        return 0;
    definition->xml = strdup(json_string_value(xml));
    definition->live = live ? strdup(live) : NULL;
    return definition->xml && (definition->live || !live) ? 0 : error_nomem(err);
}

static int live_read_autostart(const json_t *entry, struct saved_definition *definition,
                               struct error *err)
{
    const json_t *autostart = json_object_get(entry, "autostart");
    definition->autostart = json_is_true(autostart);
    return json_is_boolean(autostart)
               ? 0
               : driver_entry_bad(err, "does not say whether the domain starts by itself");
}

/* Which of two jobs is ours is told by the file it writes to. */
static void live_expect_job(struct live_snapshot *op, const json_t *entry,
                            const struct staging *staging)
{
    const char *by = json_string_member(entry, "by"); /* absent: blockrebase */
    bool is_backup = by && strcmp(by, snapshot_method_name(SNAPSHOT_METHOD_STREAM)) == 0;
    op->copy.overlay_path = op->backup.scratch_path = staging_delta_path(staging);
    op->copy.running = op->copy.may_come = !is_backup;
    op->backup.running = op->backup.may_come = is_backup;
}

/* Joins what the entry lacks. A path that is not known is none: of a guest that is gone. */
static void live_read_entry(struct live_snapshot *op, struct guest_info *info, const json_t *entry,
                            struct error *unreadable)
{
    const struct driver_entry_member path = {"disk_path", info->disk_path, sizeof(info->disk_path)};
    struct error lacks[3] = {ERROR_INIT, ERROR_INIT, ERROR_INIT};
    (void)driver_entry_copy(entry, &path, 1, &lacks[0]);
    (void)live_read_definition(entry, &op->definition, &lacks[1]);
    (void)live_read_autostart(entry, &op->definition, &lacks[2]);
    for (size_t i = 0; i < ARRAY_SIZE(lacks); i++)
        if (lacks[i].errnum != 0)
            error_join(unreadable, &lacks[i]);
}

int libvirt_live_recover(struct recovery *recovery, struct error *err)
{
    struct guest_info *info = recovery->info;
    const struct driver_entries *entries = &recovery->entries;
    const json_t *entry = entries->begin;
    bool rebooted = recovery->wanted->host_rebooted;
    __attribute__((cleanup(live_snapshot_done))) struct live_snapshot op = {
        .driver = recovery->driver,
        .info = info,
        .owner = recovery->wanted->owner,
        .freeze = {.connection = recovery->driver->connection,
                   .timeout_s = recovery->driver->freeze_timeout_s,
                   .thaw_needed = !rebooted && entries->frozen && !entries->image,
                   .limited = json_is_true(json_object_get(entry, "quiesce"))},
        .copy = {.uuid = info->uuid, .disk_target = info->disk_target},
        .backup = {.disk_target = info->disk_target},
        .may_be_stopped = !rebooted && json_is_true(json_object_get(entry, "may_be_stopped"))};
    struct error unreadable = ERROR_INIT, failure = ERROR_INIT;
    live_read_entry(&op, info, entry, &unreadable);
    if (recovery->staging && !rebooted)
        live_expect_job(&op, entry, recovery->staging);
    log_debug("recovering a live snapshot of disk %s: freeze %s, %s%s",
              info->disk_target[0] ? info->disk_target : "(unknown)",
              op.freeze.thaw_needed ? "may be there" : "is over",
              op.copy.running     ? "copy may run"
              : op.backup.running ? "backup job may run"
                                  : "no block job is ours",
              op.definition.xml ? ", domain may be undefined" : "");
    live_undo(&op, &failure);
    if (failure.errnum == 0)
        failure = unreadable;
    else if (failure.errnum == EINVAL) /* what libvirt says, not the entry */
        failure.errnum = EIO;
    if (failure.errnum != 0)
        *err = failure;
    return -failure.errnum;
}
