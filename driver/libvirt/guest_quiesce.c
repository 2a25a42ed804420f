/* SPDX-License-Identifier: Apache-2.0 */
/* See guest_quiesce.h. */
#include "driver/libvirt/guest_quiesce.h"

#include <errno.h>

#include "common/log.h"

#define THAW_TRIES 3

int guest_quiesce_check(const struct guest_quiesce *quiesce, struct error *err)
{
    if (!quiesce->required)
        return 0;
    if (!quiesce->wanted)
        return error_set(err, EINVAL, EXC_QEMU_GUEST_AGENT_NOT_ENABLED,
                         "QEMU guest agent is not enabled");
    if (quiesce->power_state != POWER_STATE_RUNNING)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "os_require_quiesce is set, but a guest that does not run cannot be "
                         "frozen");
    return 0;
}

int guest_quiesce_start(const struct guest_quiesce *quiesce, struct guest_freeze *freeze,
                        virDomainPtr domain, bool *ret_quiesced, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (!quiesce->wanted)
        return 0;
    int r = quiesce->power_state == POWER_STATE_RUNNING
                ? guest_freeze_start(freeze, domain, &failure)
                : error_set(&failure, EINVAL, EXC_INTERNAL_ERROR, "the guest does not run");
    *ret_quiesced = r == 0;
    if (r == 0)
        return 0;
    if (quiesce->required) {
        *err = failure;
        return error_prepend(err, "Quiescing instance failed but image property "
                                  "\"os_require_quiesce\" is set");
    }
    log_debug("Skipping quiescing instance: %s", failure.message);
    return 0;
}

int guest_quiesce_end(const struct guest_quiesce *quiesce, struct guest_freeze *freeze,
                      virDomainPtr domain, bool *quiesced, struct error *err)
{
    struct error first = ERROR_INIT;
    int r = guest_freeze_end(freeze, domain, &first);
    if (r == 0)
        return 0;
    *quiesced = false;
    for (int i = 1; i < THAW_TRIES && r < 0; i++) {
        struct error ignored = ERROR_INIT;
        log_debug("guest not thawed yet, will retry: %s", first.message);
        r = guest_freeze_end(freeze, domain, &ignored);
    }
    if (r == 0 && !quiesce->required) {
        log_warning("thaw needed another try, the image counts as not quiesced: %s", first.message);
        return 0;
    }
    *err = first;
    return -err->errnum;
}
