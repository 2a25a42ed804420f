/* SPDX-License-Identifier: Apache-2.0 */
/* Failures that may be gone in a while, and how long to wait for that. Any thread. */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/retry.h"

/* What may be otherwise in a while: nobody answered, or a service is not itself. */
bool temporary_failure(const struct error *err);

/* The pauses until then: growing to some seconds, for an hour. */
struct retry temporary_retry(void);
