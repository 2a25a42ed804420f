/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that show something. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "tool/invocation.h"

enum invocation_exit show_status(const struct invocation *invocation);
enum invocation_exit show_jobs(const struct invocation *invocation);
enum invocation_exit show_job(const struct invocation *invocation);

/* The limits of an answer to /v1/status, in a line; INVOCATION_FAILED when it has none. */
enum invocation_exit show_limits(const json_t *status, FILE *out);
