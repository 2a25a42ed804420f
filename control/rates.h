/* SPDX-License-Identifier: Apache-2.0 */
/* The rate limits that a request wants changed. Pure. */
#pragma once

#include "control/control_ops.h"

/*
 * Of the request's body, an object: what it does not name is kept. `job` is borrowed from it.
 * EINVAL naming what is wrong.
 */
int rates_read(json_t *object, struct control_rates *ret_rates, struct error *err);
