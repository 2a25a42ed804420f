/* SPDX-License-Identifier: Apache-2.0 */
/* See session.h. */
#include "domain/session.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/id.h"
#include "domain/interrupt.h"
#include "domain/record_list.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt_driver.h"

#define STALL_TIMEOUT_S 60
#define FREEZE_TIMEOUT_S 10
#define SCRATCH_RESERVE_BYTES (UINT64_C(512) << 20)
#define STATE_DIR_MODE 0711 /* QEMU passes through it; what is in it has modes of its own */

static int make_state_dir(const char *state_dir, struct error *err)
{
    if (mkdir(state_dir, STATE_DIR_MODE) < 0 && errno != EEXIST)
        return error_errno(err, errno, "cannot make %s, where is written down what is done",
                           state_dir);
    return 0;
}

static int make_driver(const struct session_options *options, struct libvirt_driver **ret_driver,
                       struct error *err)
{
    const char *state_dir = options->state_dir;
    char work[PATH_MAX];
    struct driver *driver = NULL;
    int n = snprintf(work, sizeof(work), "%s/work", state_dir);
    if (n < 0 || (size_t)n >= sizeof(work))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "the state folder %s", state_dir);
    const struct libvirt_driver_options driver_options = {
        .connection_uri = options->uri,
        .virt_type = "qemu",
        .snapshots_directory = work,
        .instances_path = "", /* of nova's; a domain's disks may be anywhere */
        .stall_timeout_s = STALL_TIMEOUT_S,
        .freeze_timeout_s = FREEZE_TIMEOUT_S,
        .scratch_reserve_bytes = SCRATCH_RESERVE_BYTES};
    int r = libvirt_driver_new(&driver_options, &driver, err);
    if (r == 0)
        *ret_driver = (struct libvirt_driver *)driver;
    return r;
}

/* *ret_domain is NULL when libvirt knows none. */
static int look_up(virConnectPtr conn, const char *name, virDomainPtr *ret_domain,
                   struct error *err)
{
    virDomainPtr domain = virDomainLookupByName(conn, name);
    if (!domain && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN && id_is_uuid(name))
        domain = virDomainLookupByUUIDString(conn, name);
    if (!domain && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
        return libvirt_error(err, "cannot look for domain %s", name);
    *ret_domain = domain;
    return 0;
}

static int find_domain(struct session *session, const struct session_options *options,
                       const char *name, struct error *err)
{
    cleanup_conn virConnectPtr conn = NULL;
    struct error none = ERROR_INIT;
    int r = libvirt_connection_get(session->driver->connection, 0, &conn, err);
    if (r < 0)
        return r;
    session->libvirt = virConnectGetURI(conn);
    if (!session->libvirt)
        return libvirt_error(err, "cannot read which libvirt it is");
    r = look_up(conn, name, &session->domain, err);
    if (r < 0)
        return r;
    if (session->domain)
        return virDomainGetUUIDString(session->domain, session->uuid) < 0
                   ? libvirt_error(err, "cannot read the domain's uuid")
                   : 0;
    if (options->takes_unknown && id_is_uuid(name)) {
        (void)snprintf(session->uuid, sizeof(session->uuid), "%s", name);
        return 0;
    }
    if (!options->looks_only &&
        record_list_find(options->state_dir, name, session->uuid, &none) == 0)
        return 0;
    return error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND,
                     "there is no domain of the name or uuid %s", name);
}

static int write_entry(void *arg, const json_t *entry, struct error *err)
{
    struct session *session = arg;
    return record_note(session->record, "driver", json_deep_copy(entry), err);
}

/* The driver writes down a freeze before it comes; that it is over, also one that was refused: the
 * guest may be somebody else's to thaw. */
static int note_frozen(void *arg, bool frozen, struct error *err)
{
    struct session *session = arg;
    return frozen ? 0
                  : record_note(session->record, "driver", json_pack("{s:s}", "step", "thaw"), err);
}

static int begin_session(struct session *session, const struct session_options *options,
                         const char *name, struct error *err)
{
    int r = interrupt_begin(err);
    (void)umask(0022); /* what is private is made so by its own mode */
    if (r == 0 && !options->looks_only)
        r = make_state_dir(options->state_dir, err);
    if (r < 0)
        return r;
    failpoint_init(options->state_dir);
    r = make_driver(options, &session->driver, err);
    if (r == 0)
        r = find_domain(session, options, name, err);
    if (r < 0 || options->looks_only)
        return r;
    r = domain_lock_take(options->lock_folder, session->uuid, &session->lock, err);
    if (r == 0)
        r = record_open(options->state_dir, session->uuid, &session->record, err);
    return r < 0 ? r : record_set_libvirt(session->record, session->libvirt, err);
}

int session_open(const struct session_options *options, const char *domain_name,
                 struct session **ret_session, struct error *err)
{
    struct session_options chosen = *options;
    struct session *session = calloc(1, sizeof(*session));
    if (!session)
        return error_nomem(err);
    session->journal = (struct driver_journal){write_entry, note_frozen, session};
    if (!chosen.state_dir)
        chosen.state_dir = SESSION_STATE_DIR;
    session->state_dir = chosen.state_dir;
    if (!chosen.lock_folder)
        chosen.lock_folder = DOMAIN_LOCK_FOLDER;
    int r = begin_session(session, &chosen, domain_name, err);
    if (r < 0) {
        session_close(session);
        return r;
    }
    *ret_session = session;
    return 0;
}

int session_need_domain(struct session *session, struct error *err)
{
    cleanup_free_domain(&session->domain);
    session->domain = NULL;
    return libvirt_connection_find_domain(session->driver->connection, session->uuid, 0,
                                          EXC_INSTANCE_NOT_FOUND, &session->domain, err);
}

int session_note_domain(struct session *session, struct error *err)
{
    const char *name = virDomainGetName(session->domain);
    return name ? record_note(session->record, "domain", json_pack("{s:s}", "name", name), err)
                : libvirt_error(err, "cannot read the domain's name");
}

void session_close(struct session *session)
{
    if (!session)
        return;
    record_close(session->record);
    cleanup_free_domain(&session->domain);
    if (session->driver)
        driver_free(&session->driver->base);
    domain_lock_release(session->lock);
    free(session->libvirt);
    free(session);
}
