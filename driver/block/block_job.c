/* SPDX-License-Identifier: Apache-2.0 */
/* See block_job.h. */
#include "driver/block/block_job.h"

#include <errno.h>

#include "driver/libvirt/connection.h"

int block_job_check_idle(virDomainPtr domain, const char *uuid, const char *disk_target,
                         struct error *err)
{
    virDomainBlockJobInfo job;
    int n = virDomainGetBlockJobInfo(domain, disk_target, &job, 0);
    if (n < 0)
        return libvirt_error(err, "cannot read the block jobs of %s", disk_target);
    if (n > 0)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "another block job is running on disk %s of instance %s", disk_target,
                         uuid);
    return 0;
}
