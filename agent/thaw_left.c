/* See thaw_left.h. */
#include "agent/thaw_left.h"

#include "agent/agent.h"
#include "agent/setup.h"
#include "common/log.h"
#include "common/retry.h"

struct thawing {
    const struct agent *agent;
    struct driver *driver; /* NULL until it is needed */
};

static int thaw(struct thawing *thawing, const char *uuid, struct error *err)
{
    int r = thawing->driver ? 0 : setup_driver(thawing->agent->conf, &thawing->driver, err);
    return r < 0 ? r : thawing->driver->ops->thaw(thawing->driver, uuid, err);
}

static void thaw_guest(void *arg, const char *uuid, bool by_us)
{
    static const struct retry_policy policy = {1000, 200, 2000, 30000};
    struct thawing *thawing = arg;
    struct error err = ERROR_INIT;
    struct retry retry = retry_begin(&policy);
    if (!by_us)
        return;
    log_set_context(NULL, uuid);
    int r = thaw(thawing, uuid, &err);
    while (r < 0 && retry_wait(&retry, 0)) {
        err = (struct error)ERROR_INIT;
        r = thaw(thawing, uuid, &err);
    }
    if (r == 0) {
        freeze_ledger_remove(thawing->agent->freeze_ledger, uuid);
        log_warning("the agent died while the guest was frozen: it is thawed");
    } else {
        log_error("the agent died while the guest was frozen, and it cannot be thawed: %s",
                  err.message);
    }
    log_set_context(NULL, NULL);
}

void thaw_left(void *arg)
{
    struct thawing thawing = {.agent = arg};
    struct error err = ERROR_INIT;
    if (freeze_ledger_visit(thawing.agent->freeze_ledger, thaw_guest, &thawing, &err) < 0)
        log_error("%s", err.message);
    driver_free(thawing.driver);
}
