/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver_ops.recover for each method: fills the operation from the journal's entries and runs the
 * rollback that the operation itself would have run. For driver/ only.
 *
 * An entry "begin" has the members method ("live", "cold" or "direct"), uuid and quiesce; the other
 * ones are written and read by the method's own file. All say what was about to be done, so that
 * each step is looked up before it is taken back. A step needs its own members alone: one that
 * cannot be understood keeps no other step from being done.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/image_source.h"
#include "driver/driver.h"
#include "driver/image/staging.h"
#include "driver/journal.h"
#include "driver/libvirt_driver_private.h"

/* driver_ops.recover */
int libvirt_recover(struct libvirt_driver *driver, const char *uuid, const json_t *entries,
                    bool host_rebooted, const struct driver_owner *owner,
                    struct image_source **ret_image, struct error *err);

/*
 * `info` has the uuid and is filled further. `staging` is borrowed and stays as it is; NULL: nobody
 * knows what was made. EINVAL when the entry lacked something, and the rest has been done.
 */
int libvirt_live_recover(struct libvirt_driver *driver, struct guest_info *info,
                         const struct driver_entries *entries, bool host_rebooted,
                         const struct driver_owner *owner, const struct staging *staging,
                         struct error *err);
int libvirt_cold_recover(struct libvirt_driver *driver, struct guest_info *info,
                         const struct driver_entries *entries, bool host_rebooted,
                         const struct driver_owner *owner, struct error *err);

/* `info` has the uuid. */
int libvirt_direct_recover(struct libvirt_driver *driver, struct guest_info *info,
                           const struct driver_entries *entries, bool host_rebooted,
                           struct error *err);
