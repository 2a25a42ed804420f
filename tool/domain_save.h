/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's memory to a file and back. Names begin with domain_. */
#pragma once

#include "tool/invocation.h"

enum invocation_exit domain_save(const struct invocation *invocation);
enum invocation_exit domain_restore(const struct invocation *invocation);
