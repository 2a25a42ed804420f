/* SPDX-License-Identifier: Apache-2.0 */
/* Freeze and thaw as requests of their own (nova: quiesce_instance, unquiesce_instance). */
#include <errno.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/guest_freeze.h"
#include "driver/libvirt_driver_private.h"

static int quiesce_find_running(struct libvirt_driver *driver, const char *uuid,
                                virDomainPtr *ret_domain, struct error *err)
{
    enum power_state state = POWER_STATE_NOSTATE;
    cleanup_domain virDomainPtr domain = NULL;
    struct error failure = ERROR_INIT;
    int r = libvirt_connection_find_domain(driver->connection, uuid, 0, EXC_INSTANCE_NOT_RUNNING,
                                           &domain, &failure);
    if (r == 0)
        r = libvirt_domain_power_state(domain, &state, &failure);
    if (r < 0 && r != -ENOENT) {
        *err = failure;
        return r;
    }
    if (state != POWER_STATE_RUNNING)
        return libvirt_domain_not_running(uuid, err);
    *ret_domain = TAKE_PTR(domain);
    return 0;
}

/* The answer counts, not this: an agent that stays limited only gives up sooner. */
static void quiesce_release_agent(struct guest_freeze *limit, virDomainPtr domain, const char *uuid)
{
    struct error failure = ERROR_INIT;
    if (guest_freeze_release_agent(limit, domain, &failure) < 0 &&
        guest_freeze_release_agent(limit, domain, &failure) < 0)
        log_warning("cannot reset the guest agent timeout of instance %s: %s", uuid,
                    failure.message);
}

/* The class that nova has for it, on releases that have one. */
static int quiesce_name_failure(const struct guest_freeze *freeze, struct error *err)
{
    const struct error failure = *err;
    if (!freeze->unresponsive)
        return -failure.errnum;
    return error_set(err, failure.errnum, EXC_INSTANCE_QUIESCE_FAILED, "%s", failure.message);
}

/* True when nothing is left that could be frozen. */
static bool quiesce_guest_has_ended(struct libvirt_driver *driver, const char *uuid)
{
    struct error failure = ERROR_INIT;
    cleanup_domain virDomainPtr domain = NULL;
    int r = libvirt_connection_find_domain(driver->connection, uuid, 0, EXC_INSTANCE_NOT_RUNNING,
                                           &domain, &failure);
    return r == -ENOENT || (r == 0 && virDomainIsActive(domain) == 0);
}

int libvirt_freeze(struct libvirt_driver *driver, const char *uuid, struct error *err)
{
    struct guest_freeze freeze = {.connection = driver->connection,
                                  .timeout_s = driver->freeze_timeout_s};
    cleanup_domain virDomainPtr domain = NULL;
    int r = quiesce_find_running(driver, uuid, &domain, err);
    if (r < 0)
        return r;
    r = guest_freeze_start(&freeze, domain, err);
    quiesce_release_agent(&freeze, domain, uuid);
    log_debug("freeze of instance %s by request: %s", uuid, r == 0 ? "done" : err->message);
    if (r == 0)
        return 0;
    if (freeze.thaw_needed)
        err->errnum = ETIMEDOUT;
    else if (quiesce_guest_has_ended(driver, uuid))
        return libvirt_domain_not_running(uuid, err);
    return quiesce_name_failure(&freeze, err);
}

static int quiesce_thaw(struct libvirt_driver *driver, virDomainPtr domain, const char *uuid,
                        struct error *err)
{
    struct guest_freeze freeze = {.connection = driver->connection,
                                  .timeout_s = driver->freeze_timeout_s,
                                  .thaw_needed = true};
    int r = guest_freeze_limit_agent(&freeze, domain, err);
    if (r == 0)
        r = guest_freeze_end(&freeze, domain, err);
    quiesce_release_agent(&freeze, domain, uuid);
    log_debug("thaw of instance %s by request: %s", uuid, r == 0 ? "done" : err->message);
    return r == 0 ? 0 : quiesce_name_failure(&freeze, err);
}

int libvirt_thaw(struct libvirt_driver *driver, const char *uuid, struct error *err)
{
    struct error failure = ERROR_INIT;
    cleanup_domain virDomainPtr domain = NULL;
    int r = libvirt_connection_find_domain(driver->connection, uuid, LIBVIRT_PATIENCE_MS,
                                           EXC_INSTANCE_NOT_RUNNING, &domain, &failure);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = quiesce_thaw(driver, domain, uuid, &failure);
    if (r == 0 || quiesce_guest_has_ended(driver, uuid))
        return 0;
    *err = failure;
    return r;
}
