/* SPDX-License-Identifier: Apache-2.0 */
/* See temporary.h. */
#include "agent/temporary.h"

#include <limits.h>
#include <string.h>

bool temporary_failure(const struct error *err)
{
    return err->passes || err->http_status >= 500 || err->http_status == 429 ||
           error_is(err, EXC_MESSAGING_TIMEOUT) || error_is(err, EXC_MESSAGE_DELIVERY_FAILURE) ||
           error_is(err, EXC_GLANCE_CONNECTION_FAILED) ||
           error_is(err, EXC_CINDER_CONNECTION_FAILED) || strncmp(err->exc, "DB", 2) == 0;
}

struct retry temporary_retry(void)
{
    static const struct retry_policy policy = {UINT_MAX, 1000, 5000, 3600000};
    return retry_begin(&policy);
}
