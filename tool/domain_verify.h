/* SPDX-License-Identifier: Apache-2.0 */
/* `domain image --chain-verify`: images that are there, and what they stand on. */
#pragma once

#include <stdio.h>

#include "tool/invocation.h"

/* Checks the file at --output, with --all-disks all images of that folder, whatever one of them
 * comes to; asks for neither the domain nor libvirt. */
enum invocation_exit domain_verify(const struct invocation *invocation, FILE *out);
