/* SPDX-License-Identifier: Apache-2.0 */
/* The command that looks whether all is well. */
#pragma once

#include "tool/invocation.h"

/* Where no agent answers its program is run in place of this one. */
enum invocation_exit doctor_run(const struct invocation *invocation);
