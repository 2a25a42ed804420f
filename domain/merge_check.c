/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_check.h. */
#include "domain/merge_check.h"

#include <errno.h>
#include <inttypes.h>
#include <libvirt/virterror.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "domain/branch_need.h"
#include "domain/image_check.h"
#include "domain/layer_map.h"
#include "domain/merge_chain.h"
#include "domain/merge_plan.h"
#include "driver/block/block_job.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

static int refuse(struct error *err, int errnum, const char *why)
{
    return error_set(err, errnum, EXC_INTERNAL_ERROR, "%s", why);
}

static int check_state(const struct session *session, struct error *err)
{
    enum power_state state = POWER_STATE_NOSTATE;
    int r = libvirt_domain_power_state(session->domain, &state, err);
    if (r < 0)
        return r;
    if (state != POWER_STATE_RUNNING && state != POWER_STATE_PAUSED &&
        state != POWER_STATE_SHUTDOWN)
        return refuse(err, EINVAL,
                      "the guest has suspended itself, or has crashed: wake or stop it first");
    int persistent = virDomainIsPersistent(session->domain);
    int saved = virDomainHasManagedSaveImage(session->domain, 0);
    if (persistent < 0 || saved < 0)
        return libvirt_error(err, "cannot read what libvirt keeps of the domain");
    if (persistent == 0)
        return refuse(err, EINVAL, "the domain is transient: nothing of it would be kept");
    return saved == 0 ? 0
                      : refuse(err, EINVAL,
                               "the guest is saved to disk with the layers its disks "
                               "have: start it first");
}

/* libvirt names the layer of before a way back nowhere else, and forgets it with the snapshot. */
static int check_not_reverted(virDomainSnapshotPtr snapshot, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    cleanup_free char *xml = virDomainSnapshotGetXMLDesc(snapshot, 0);
    int r = xml ? xml_node_parse(xml, "domainsnapshot", &document, err)
                : libvirt_error(err, "cannot read a checkpoint");
    if (r == 0 && xml_node_child_named(xmlDocGetRootElement(document), "revertDisks"))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "libvirt itself has gone back to checkpoint %s, and keeps an account of "
                         "that: delete it, or what was made after it, with `virsh snapshot-delete`",
                         virDomainSnapshotGetName(snapshot));
    return r;
}

static int check_snapshots(virDomainPtr domain, struct error *err)
{
    virDomainSnapshotPtr *snapshots = NULL;
    int n = virDomainListAllSnapshots(domain, &snapshots, 0);
    int r = n < 0 ? libvirt_error(err, "cannot list the domain's checkpoints") : 0;
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = check_not_reverted(snapshots[i], err);
        (void)virDomainSnapshotFree(snapshots[i]);
    }
    free(snapshots);
    return r;
}

int merge_check_domain(const struct session *session, struct error *err)
{
    virDomainJobInfo job;
    int r = check_state(session, err);
    if (r == 0)
        r = check_snapshots(session->domain, err);
    if (r < 0)
        return r;
    if (virDomainIsActive(session->domain) == 1) {
        if (virDomainGetJobInfo(session->domain, &job) < 0)
            return libvirt_error(err, "cannot read whether the domain has a job");
        if (job.type != VIR_DOMAIN_JOB_NONE)
            return refuse(err, EBUSY,
                          "the domain has a job under way, a backup or a migration: wait for it, "
                          "or end it with `virsh domjobabort`");
    }
    int bitmaps = virDomainListAllCheckpoints(session->domain, NULL, 0);
    if (bitmaps < 0 && virGetLastErrorCode() != VIR_ERR_NO_SUPPORT)
        return libvirt_error(err, "cannot list the domain's checkpoints of increments");
    return bitmaps > 0
               ? refuse(err, EINVAL,
                        "the domain has checkpoints of increments, which a merge would "
                        "spoil: remove them with `virsh checkpoint-delete`, which "
                        "writes to the disks' files, so that there is no way back to other "
                        "checkpoints that those keep; with --metadata where one's bitmap was "
                        "lost")
               : 0;
}

static uint64_t number_of(const json_t *file, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(file, name));
}

/* Elsewhere a block that is shared with a copy of the file, or kept by a snapshot, takes a new one
 * when it is written to. */
static bool is_written_in_place(const struct statfs *fs)
{
    return fs->f_type == EXT4_SUPER_MAGIC || fs->f_type == TMPFS_MAGIC;
}

uint64_t merge_check_bytes(const json_t *disk, bool in_place)
{
    const json_t *file, *base = json_object_get(disk, "base");
    uint64_t down = 0, size = number_of(base, "size_bytes"),
             has = number_of(base, "allocated_bytes");
    size_t i;
    json_array_foreach (json_object_get(disk, "gone"), i, file)
        down += number_of(file, "allocated_bytes");
    uint64_t rest = size > has ? size - has : 0;
    return MERGE_RESERVE_BYTES + (in_place && rest < down ? rest : down);
}

/* All that is written to the file system of that disk's base. */
static int check_room(const json_t *disks, const json_t *disk, struct error *err)
{
    const json_t *base = json_object_get(disk, "base"), *other;
    const char *path = merge_chain_path(base);
    struct statfs fs;
    uint64_t needed = 0;
    size_t i;
    if (statfs(path, &fs) < 0)
        return error_errno(err, errno, "cannot read the room at %s", path);
    json_array_foreach (disks, i, other) {
        if (json_equal(json_object_get(json_object_get(other, "base"), "dev"),
                       json_object_get(base, "dev")))
            needed += merge_check_bytes(other, is_written_in_place(&fs));
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize;
    return free_bytes >= needed ? 0
                                : error_set(err, ENOSPC, EXC_INTERNAL_ERROR,
                                            "what goes into %s may take %" PRIu64
                                            " MiB there, where %" PRIu64 " MiB are free",
                                            path, needed >> 20, free_bytes >> 20);
}

static int check_file(const json_t *file, struct error *err)
{
    const char *format = json_string_member(file, "format");
    return format && image_check_can(format)
               ? image_check_content(merge_chain_path(file), format, err)
               : 0;
}

static int check_disk(const struct session *session, struct layer_map *map, const json_t *disk,
                      const char *snapshot, struct error *err)
{
    const char *target = json_string_member(disk, "target");
    const json_t *file;
    size_t i;
    int r = merge_plan_look_beside(map, disk, err);
    if (r == 0)
        r = merge_plan_check_users(map, disk, snapshot, false, err);
    if (r == 0 && virDomainIsActive(session->domain) == 1)
        return block_job_check_idle(session->domain, session->uuid, target ? target : "", err);
    if (r == 0)
        r = check_file(json_object_get(disk, "base"), err);
    json_array_foreach (json_object_get(disk, "gone"), i, file) {
        if (r == 0)
            r = check_file(file, err);
    }
    return r;
}

int merge_check(const struct session *session, const json_t *merge, const json_t *before,
                struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    const json_t *disks = json_object_get(merge, "disks"), *disk, *branch;
    size_t i;
    int r = layer_map_read(session, &map, err);
    json_array_foreach (before, i, branch) {
        if (r == 0)
            branch_need_apply(branch, &map);
    }
    json_array_foreach (disks, i, disk) {
        if (r == 0)
            r = check_room(disks, disk, err);
        if (r == 0)
            r = check_disk(session, &map, disk, json_string_member(merge, "snapshot"), err);
    }
    return r;
}
