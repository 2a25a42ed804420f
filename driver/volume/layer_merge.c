/* SPDX-License-Identifier: Apache-2.0 */
/* See layer_merge.h. */
#include "driver/volume/layer_merge.h"

#include <stdio.h>

#include "common/log.h"
#include "driver/libvirt/connection.h"

#define LAYER_NAME_MAX (DRIVER_FORMAT_MAX + 16)

/* libvirt's own name of a layer tells files of one name apart; the path is for a layer without. */
static const char *layer_name(const struct volume_disk *disk, size_t place,
                              char ret_name[static LAYER_NAME_MAX])
{
    const struct volume_layer *layer = &disk->layers[place];
    if (layer->index < 0)
        return layer->path;
    (void)snprintf(ret_name, LAYER_NAME_MAX, "%s[%d]", disk->target, layer->index);
    return ret_name;
}

/* RELATIVE keeps Cinder's relative names in the headers: it mounts the share elsewhere. */
int layer_merge_start(virDomainPtr domain, const struct volume_disk *disk,
                      const struct volume_merge_plan *plan, struct error *err)
{
    char top[LAYER_NAME_MAX], base[LAYER_NAME_MAX];
    bool to_the_end = plan->end == disk->layer_count;
    int r = plan->commit
                ? virDomainBlockCommit(domain, disk->target, layer_name(disk, plan->end, base),
                                       layer_name(disk, plan->first, top), 0,
                                       VIR_DOMAIN_BLOCK_COMMIT_RELATIVE)
                : virDomainBlockRebase(domain, disk->target,
                                       to_the_end ? NULL : layer_name(disk, plan->end, base), 0,
                                       to_the_end ? 0 : VIR_DOMAIN_BLOCK_REBASE_RELATIVE);
    if (r < 0)
        return libvirt_error(err, "cannot start to merge layers of disk %s", disk->target);
    log_debug("block %s on disk %s started", plan->commit ? "commit" : "pull", disk->target);
    return 0;
}

int layer_merge_find(virDomainPtr domain, const char *disk_target,
                     const struct volume_merge_plan *plan, virDomainBlockJobInfo *ret_job,
                     bool *ret_there, struct error *err)
{
    int type = plan->commit ? VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT : VIR_DOMAIN_BLOCK_JOB_TYPE_PULL;
    *ret_job = (virDomainBlockJobInfo){0};
    int n = virDomainGetBlockJobInfo(domain, disk_target, ret_job, 0);
    if (n < 0)
        return libvirt_error(err, "cannot read the progress of the merge on disk %s", disk_target);
    *ret_there = n > 0 && ret_job->type == type;
    return 0;
}
