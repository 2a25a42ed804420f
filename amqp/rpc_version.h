/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of RPC interfaces and of envelopes: "6.5", "2.0". Pure functions. */
#pragma once

#include <stdbool.h>

/* oslo_messaging._utils.version_is_compatible: same major, requested minor not newer. */
bool rpc_version_is_compatible(const char *implemented, const char *requested);

/* True when one of the `implemented` (NULL-ended) is compatible. */
bool rpc_version_is_served(const char *const *implemented, const char *requested);
