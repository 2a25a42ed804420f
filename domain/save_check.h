/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps a guest's memory from being saved, looked for before anything is touched. */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/*
 * Whether the session's domain, whose live definition is `xml`, can be saved to a file or
 * `managed`. InstanceNotRunning (ENOENT); EINVAL for a host device, an emulated TPM or a domain
 * without a definition that is to be saved by libvirt; EBUSY for a job, a frozen guest, or a saved
 * state there is already.
 */
int save_check(const struct session *session, const char *xml, bool managed, struct error *err);
