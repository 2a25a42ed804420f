/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver asks of nova. */
#pragma once

#include <stdbool.h>

#include "common/error.h"

/*
 * driver_owner.has_instance of an operation (struct operation), as conductor answers: false for an
 * instance that is deleted or being deleted, or is on another host. Without an answer it is here,
 * for a guest that is lost is worse than a definition too many; EAGAIN before the bus is there.
 */
int owner_has_instance(void *operation, bool *ret_has, struct error *err);

/*
 * driver_owner.guest_is_to_run: false when nova shows that the guest was stopped since the request
 * was made, which is possible when its task state was cleared. Without an answer it is to run, and
 * before the bus is there nobody is asked: it is down for as long as that takes.
 */
bool owner_wants_guest_to_run(void *operation);
