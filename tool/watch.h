/* SPDX-License-Identifier: Apache-2.0 */
/* The command that shows jobs again and again. */
#pragma once

#include "tool/invocation.h"

enum invocation_exit watch_jobs(const struct invocation *invocation);
