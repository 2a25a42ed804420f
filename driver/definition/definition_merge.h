/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of a guest's devices while its domain had no definition, brought into the definition
 * that is put back. Pure: no libvirt call.
 */
#pragma once

#include "common/error.h"

/*
 * Compares the live descriptions from before and from `now` and does to `saved` what was done to
 * the guest: a disk got another source (external snapshot, changed media) or another chain, an
 * interface another network; a device came or went. What else was changed in the running guest
 * (memory, tuning) was for this run of it, as libvirt has it for a persistent domain, and is not
 * brought over; nor is what `saved` says of its next start otherwise.
 *
 * All NUL-terminated domain XML, borrowed. *ret_merged is owned and as secret as `saved`, or NULL
 * when there is nothing to bring over. InternalError (EINVAL) for what is no domain XML.
 */
int definition_merge(const char *saved, const char *before, const char *now, char **ret_merged,
                     struct error *err);
