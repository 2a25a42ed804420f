/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_enter.h. */
#include "domain/revert_enter.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "common/secret.h"
#include "domain/checkpoint_plan.h"
#include "domain/pending_call.h"
#include "domain/revert_definition.h"
#include "driver/libvirt/domain.h"

static const char *text_of(const json_t *place, const char *key)
{
    const char *text = json_string_member(place, key);
    return text ? text : "";
}

static bool is_to_be(const json_t *place, const char *state)
{
    return strcmp(text_of(place, "state"), state) == 0;
}

static int check_disk(const char *xml, const json_t *note, bool with_base, struct error *err)
{
    struct checkpoint_disk disk = {0};
    (void)snprintf(disk.target, sizeof(disk.target), "%s", text_of(note, "target"));
    (void)snprintf(disk.base, sizeof(disk.base), "%s", text_of(note, "base"));
    (void)snprintf(disk.overlay, sizeof(disk.overlay), "%s", text_of(note, "overlay"));
    return revert_definition_check(xml, &disk, 1, with_base, err);
}

static int check_disks(const char *xml, const json_t *place, bool with_base, struct error *err)
{
    size_t i;
    const json_t *disk;
    int r = 0;
    json_array_foreach (json_object_get(place, "disks"), i, disk) {
        if (r == 0)
            r = check_disk(xml, disk, with_base, err);
    }
    return r;
}

bool revert_enter_is_at(const char *xml, const json_t *place, bool is_active)
{
    struct error ignored = ERROR_INIT;
    return check_disks(xml, place, is_active, &ignored) == 0;
}

/* Of a guest that runs, with what they stand on. */
static int check_domain(const struct session *session, const json_t *place, bool is_active,
                        struct error *err)
{
    char *xml = virDomainGetXMLDesc(session->domain, is_active ? 0 : VIR_DOMAIN_XML_INACTIVE);
    int r = xml ? check_disks(xml, place, is_active, err)
                : libvirt_error(err, "cannot read the domain's definition");
    secret_free(xml);
    return r;
}

int revert_enter_let_run(const struct session *session, const json_t *place, struct error *err)
{
    enum power_state state = POWER_STATE_NOSTATE;
    if (!is_to_be(place, "running"))
        return 0;
    int r = libvirt_domain_power_state(session->domain, &state, err);
    if (r < 0 || state != POWER_STATE_PAUSED)
        return r;
    return virDomainResume(session->domain) < 0 ? libvirt_error(err, "cannot let the guest run")
                                                : 0;
}

/* A call that may outlive this process: `r` is what it has returned. */
static int end_call(struct session *session, int r, const char *what, struct error *err)
{
    if (r >= 0)
        return pending_call_answered(session, err);
    r = libvirt_error(err, "cannot %s", what);
    pending_call_failed(session);
    return r;
}

int revert_enter_stop(struct session *session, struct error *err)
{
    int r = pending_call_begin(session, err);
    if (r < 0)
        return r;
    return end_call(session, virDomainDestroy(session->domain), "stop the guest", err);
}

static int define(struct session *session, virConnectPtr conn, const json_t *place,
                  struct error *err)
{
    virDomainPtr domain = virDomainDefineXML(conn, text_of(place, "definition"));
    if (!domain)
        return libvirt_error(err, "libvirt does not take the domain's definition");
    (void)virDomainFree(domain);
    return check_domain(session, place, false, err);
}

/* As virsh does: what is written of it is written again. */
int revert_enter_make_current(const struct session *session, const json_t *place, struct error *err)
{
    const char *name = text_of(place, "current");
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(session->domain, name, 0);
    if (!snapshot && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_SNAPSHOT) {
        log_warning("checkpoint %s has been deleted meanwhile: it is not the current one", name);
        return 0;
    }
    if (!snapshot)
        return libvirt_error(err, "cannot look for checkpoint %s", name);
    bool is_current = virDomainSnapshotIsCurrent(snapshot, 0) == 1;
    char *xml =
        is_current ? NULL : virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE);
    (void)virDomainSnapshotFree(snapshot);
    if (is_current)
        return 0;
    snapshot = xml ? virDomainSnapshotCreateXML(session->domain, xml,
                                                VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE |
                                                    VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT)
                   : NULL;
    int r = snapshot ? 0 : libvirt_error(err, "cannot make checkpoint %s the current one", name);
    if (snapshot)
        (void)virDomainSnapshotFree(snapshot);
    secret_free(xml);
    return r;
}

static int start_paused(struct session *session, virConnectPtr conn, const json_t *place,
                        struct error *err)
{
    const char *memory = text_of(place, "memory");
    int r = pending_call_begin(session, err);
    if (r < 0)
        return r;
    if (memory[0] != '\0')
        r = virDomainRestoreFlags(conn, memory, text_of(place, "memory_xml"),
                                  VIR_DOMAIN_SAVE_PAUSED);
    else
        r = virDomainCreateWithFlags(session->domain, VIR_DOMAIN_START_PAUSED);
    r = end_call(session, r, "start the guest", err);
    failpoint("revert:started");
    return r;
}

/* Nothing was written yet: it has not run. */
static int start(struct session *session, virConnectPtr conn, const json_t *place,
                 struct error *err)
{
    struct error ignored = ERROR_INIT;
    int r = start_paused(session, conn, place, err);
    if (r < 0)
        return r;
    r = check_domain(session, place, true, err);
    if (r < 0) {
        (void)revert_enter_stop(session, &ignored);
        return r;
    }
    return revert_enter_let_run(session, place, err);
}

int revert_enter_define(struct session *session, const json_t *place, struct error *err)
{
    cleanup_conn virConnectPtr conn = NULL;
    int r = libvirt_connection_get(session->driver->connection, LIBVIRT_PATIENCE_MS, &conn, err);
    if (r == 0)
        r = define(session, conn, place, err);
    failpoint("revert:defined");
    return r;
}

int revert_enter_start(struct session *session, const json_t *place, struct error *err)
{
    cleanup_conn virConnectPtr conn = NULL;
    if (is_to_be(place, "shut off"))
        return 0;
    int r = libvirt_connection_get(session->driver->connection, LIBVIRT_PATIENCE_MS, &conn, err);
    return r < 0 ? r : start(session, conn, place, err);
}
