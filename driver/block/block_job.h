/* SPDX-License-Identifier: Apache-2.0 */
/* Block jobs as such, whoever started them. */
#pragma once

#include <libvirt/libvirt.h>

#include "common/error.h"

/* EBUSY when a job is running on the disk: somebody else's, which is not ours to end. */
int block_job_check_idle(virDomainPtr domain, const char *uuid, const char *disk_target,
                         struct error *err);
