/* SPDX-License-Identifier: Apache-2.0 */
/* Whether Cinder answers at all, for people who ask. */
#include "cinder_client/cinder_int.h"
#include "common/clock.h"

int cinder_reach(struct cinder *cinder, const struct request_context *context, unsigned timeout_ms,
                 struct error *err)
{
    const struct cinder_call call = {.method = "GET",
                                     .path = "/limits",
                                     .kind = &cinder_kind_limits,
                                     .id = "of the project",
                                     .deadline_ms = clock_now_ms() + timeout_ms};
    return cinder_do(cinder, context, &call, err);
}
