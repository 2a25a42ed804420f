/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that change something. */
#pragma once

#include "tool/invocation.h"

enum invocation_exit change_cancel(const struct invocation *invocation);
enum invocation_exit change_drain(const struct invocation *invocation);
enum invocation_exit change_resume(const struct invocation *invocation);
enum invocation_exit change_throttle(const struct invocation *invocation);
enum invocation_exit change_log_level(const struct invocation *invocation);
