/* SPDX-License-Identifier: Apache-2.0 */
/* See source_disk.h. */
#include "domain/source_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/definition/root_disk.h"
#include "driver/libvirt/domain.h"

/* What all disks of the domain have in common. */
static int read_domain(const struct session *session, struct guest_info *info, struct error *err)
{
    int r = libvirt_domain_power_state(session->domain, &info->power_state, err);
    if (r < 0)
        return r;
    int persistent = virDomainIsPersistent(session->domain);
    if (persistent < 0)
        return libvirt_error(err, "cannot read what kind of domain it is");
    memcpy(info->uuid, session->uuid, sizeof(info->uuid));
    info->domain_id = (int)virDomainGetID(session->domain);
    info->persistent = persistent == 1;
    info->connection_is_qemu = true;
    return 0;
}

static int read_disk(const struct domain_disk *disk, struct guest_info *info, struct error *err)
{
    static const struct root_disk_policy policy = {.deep_image_inspection = true};
    const char *path = disk->layers[0].path;
    if (disk->problem)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s: %s", disk->target,
                         disk->problem);
    if (path[0] != '/')
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "disk %s is neither a file nor a block device", disk->target);
    info->source_type = root_disk_source_type(disk);
    (void)snprintf(info->disk_path, sizeof(info->disk_path), "%s", path);
    (void)snprintf(info->disk_target, sizeof(info->disk_target), "%s", disk->target);
    (void)snprintf(info->disk_format, sizeof(info->disk_format), "%s", disk->layers[0].format);
    return root_disk_inspect(disk, info->uuid, &policy, info, err);
}

static bool is_wanted(const struct domain_disk *disk, const char *target, bool all, size_t count)
{
    if (target)
        return strcmp(disk->target, target) == 0;
    return disk->is_hard_disk && (all || count == 0);
}

static int read_disks(const struct domain_description *description, const char *target, bool all,
                      const struct guest_info *domain, struct source_disks *disks,
                      struct error *err)
{
    disks->infos = calloc(SOURCE_DISKS_MAX, sizeof(*disks->infos));
    if (!disks->infos)
        return error_nomem(err);
    for (size_t i = 0; i < description->disk_count; i++) {
        const struct domain_disk *disk = &description->disks[i];
        if (!is_wanted(disk, target, all, disks->count))
            continue;
        if (disks->count == SOURCE_DISKS_MAX)
            return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "it has more than %d disks",
                             SOURCE_DISKS_MAX);
        disks->infos[disks->count] = *domain;
        int r = read_disk(disk, &disks->infos[disks->count++], err);
        if (r < 0)
            return r;
    }
    if (disks->count > 0)
        return 0;
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "the domain has no disk%s%s",
                     target ? " " : "", target ? target : "");
}

int source_disks_read(const struct session *session, const char *target, bool all,
                      struct source_disks *ret_disks, struct error *err)
{
    struct domain_description *description = NULL;
    struct guest_info domain = {0};
    *ret_disks = (struct source_disks){0};
    int r = read_domain(session, &domain, err);
    if (r == 0)
        r = libvirt_domain_describe(session->domain, &description, err);
    if (r == 0)
        r = read_disks(description, target, all, &domain, ret_disks, err);
    domain_description_free(description);
    return r;
}

void source_disks_done(struct source_disks *disks)
{
    free(disks->infos);
    *disks = (struct source_disks){0};
}
