/* SPDX-License-Identifier: Apache-2.0 */
/* Images made by the driver, disk by disk: of a running domain's one disk, or of one that rests. */
#pragma once

#include "common/error.h"
#include "domain/image_report.h"
#include "domain/image_request.h"
#include "domain/session.h"
#include "domain/source_disk.h"

/*
 * By the wanted method alone, or by the first that can be used and keeps the guest running. Fills
 * the report's only file.
 */
int single_image_make(struct session *session, const struct image_request *request,
                      const struct guest_info *info, struct image_report *report,
                      struct error *err);

/* All disks of a domain that does not run. ESTALE when it has run meanwhile. */
int single_image_make_each(struct session *session, const struct image_request *request,
                           const struct source_disks *disks, struct image_report *report,
                           struct error *err);
