/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that nova encrypts: an image of one, as it is taken here, would hold its data in the clear.
 */
#pragma once

#include "agent/instance.h"
#include "conf/conf.h"

/*
 * Refuses an instance whose local disks are encrypted, as far as the instance tells: ENOTSUP with
 * the reason. Asks nobody, for it is to be called before a request is taken. What Nova does not
 * know of is the driver's to refuse (driver_ops.inspect).
 */
int encryption_check(const struct conf *conf, const struct instance *instance, struct error *err);
