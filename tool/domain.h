/* SPDX-License-Identifier: Apache-2.0 */
/* Commands on libvirt's domains, which ask no agent. */
#pragma once

#include "tool/invocation.h"

enum invocation_exit domain_image(const struct invocation *invocation);
enum invocation_exit domain_checkpoint(const struct invocation *invocation);
enum invocation_exit domain_checkpoints(const struct invocation *invocation);
enum invocation_exit domain_revert(const struct invocation *invocation);
enum invocation_exit domain_recover(const struct invocation *invocation);
