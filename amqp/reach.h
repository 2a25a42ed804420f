/* SPDX-License-Identifier: Apache-2.0 */
/* Why a TCP connection to a host cannot be made: librabbitmq keeps the errno to itself. */
#pragma once

#include "common/transport_url.h"

/*
 * Tries each address of `host` once more, all of them within `timeout_ms`. Returns the errno of the
 * last one; 0 when the host can be reached now, or nothing is known. Blocks; thread-safe.
 */
int reach_errno(const struct transport_host *host, unsigned timeout_ms);
