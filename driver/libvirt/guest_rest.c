/* SPDX-License-Identifier: Apache-2.0 */
/* See guest_rest.h. */
#include "driver/libvirt/guest_rest.h"

#include <errno.h>

#include "common/clock.h"
#include "common/log.h"
#include "driver/libvirt/domain.h"

/* A domain is looked up anew: its handle keeps the id of the moment it was made. */
static int read_run(struct libvirt_connection *connection, const char *uuid, unsigned patience_ms,
                    struct guest_run *ret_run, struct error *err)
{
    const uint64_t end_ms = clock_now_ms() + patience_ms;
    for (;;) {
        cleanup_domain virDomainPtr domain = NULL;
        struct error failure = ERROR_INIT;
        int r = libvirt_connection_find_domain(connection, uuid, (unsigned)clock_left_ms(end_ms),
                                               EXC_INSTANCE_NOT_FOUND, &domain, err);
        if (r < 0)
            return r;
        ret_run->domain_id = (int)virDomainGetID(domain);
        r = libvirt_domain_power_state(domain, &ret_run->power_state, &failure);
        if (r == 0)
            return 0;
        if (clock_left_ms(end_ms) == 0 || !libvirt_connection_is_lost(connection, domain)) {
            *err = failure;
            return r;
        }
    }
}

static int check_run(struct libvirt_connection *connection, const char *uuid,
                     const struct guest_run *run, unsigned patience_ms, struct error *err)
{
    struct guest_run now;
    int r = read_run(connection, uuid, patience_ms, &now, err);
    if (r < 0)
        return r;
    log_debug("the guest has power state %u, domain id %d", now.power_state, now.domain_id);
    if (now.power_state == run->power_state && now.domain_id == run->domain_id)
        return 0;
    return error_set(err, ESTALE, EXC_INTERNAL_ERROR,
                     "the guest was started, stopped, paused or resumed meanwhile (power state %u "
                     "of domain %d, not %u of %d)",
                     now.power_state, now.domain_id, run->power_state, run->domain_id);
}

int guest_rest_check_run(struct libvirt_connection *connection, const char *uuid,
                         const struct guest_run *run, struct error *err)
{
    return check_run(connection, uuid, run, LIBVIRT_PATIENCE_MS, err);
}

int guest_rest_begin(struct guest_rest *rest, struct libvirt_connection *connection,
                     const char *uuid, const struct guest_run *run, struct error *err)
{
    const uint64_t end_ms = clock_now_ms() + LIBVIRT_PATIENCE_MS;
    unsigned number;
    int r;
    *rest = (struct guest_rest){.connection = connection, .uuid = uuid, .run = *run};
    do { /* a watch that was begun with a connection that is lost knows of nothing since */
        guest_rest_done(rest);
        number = libvirt_connection_number(connection);
        r = libvirt_connection_watch(connection, uuid, "", (unsigned)clock_left_ms(end_ms),
                                     &rest->watch, err);
        if (r == 0)
            r = check_run(connection, uuid, run, (unsigned)clock_left_ms(end_ms), err);
    } while (r == 0 && number != libvirt_connection_number(connection) &&
             clock_left_ms(end_ms) > 0);
    return r;
}

int guest_rest_check(const struct guest_rest *rest, struct error *err)
{
    struct domain_news news = DOMAIN_NEWS_INIT;
    int r = check_run(rest->connection, rest->uuid, &rest->run, LIBVIRT_PATIENCE_MS, err);
    if (r < 0)
        return r;
    (void)domain_watch_wait(rest->watch, 0, &news);
    if (news.started || news.resumed)
        return error_set(err, ESTALE, EXC_INTERNAL_ERROR,
                         "the guest was %s while its disk was read",
                         news.started ? "started" : "resumed");
    if (news.disconnected)
        return error_set(err, ESTALE, EXC_INTERNAL_ERROR,
                         "libvirt was lost while the disk of a guest that does not run was read: "
                         "whether it has run is not known");
    return 0;
}

void guest_rest_done(struct guest_rest *rest)
{
    domain_watch_free(rest->watch);
    rest->watch = NULL;
}
