/* SPDX-License-Identifier: Apache-2.0 */
/* See restore.h. */
#include "domain/restore.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/interrupt.h"
#include "domain/leftover.h"
#include "domain/restore_int.h"
#include "domain/save_record.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/domain.h"

/* The text of a child of <domain>; NULL when there is none. Owned. */
static char *text_of(const char *xml, const char *element)
{
    struct error ignored = ERROR_INIT;
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    if (xml_node_parse_domain(xml, &document, &devices, &ignored) < 0)
        return NULL;
    xmlNode *node = xml_node_child_named(xmlDocGetRootElement(document), element);
    xmlChar *content = node ? xmlNodeGetContent(node) : NULL;
    char *text = content ? strdup((const char *)content) : NULL;
    xmlFree(content);
    return text;
}

static int read_uuid(struct libvirt_connection *connection, const char *file,
                     char ret_uuid[static DRIVER_UUID_MAX], struct error *err)
{
    cleanup_conn virConnectPtr conn = NULL;
    int r = libvirt_connection_get(connection, 0, &conn, err);
    if (r < 0)
        return r;
    cleanup_free char *xml = virDomainSaveImageGetXMLDesc(conn, file, 0);
    if (!xml)
        return libvirt_error(err, "%s is no saved memory that is complete", file);
    cleanup_free char *uuid = text_of(xml, "uuid");
    if (!uuid || strlen(uuid) >= DRIVER_UUID_MAX)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s does not tell of which domain it is",
                         file);
    (void)snprintf(ret_uuid, DRIVER_UUID_MAX, "%s", uuid);
    return 0;
}

int restore_read_uuid(const char *uri, const char *file, char ret_uuid[static DRIVER_UUID_MAX],
                      struct error *err)
{
    struct libvirt_connection *connection = NULL;
    int r = interrupt_begin(err);
    if (r == 0)
        r = libvirt_connection_new(uri ? uri : "qemu:///system", &connection, err);
    if (r == 0)
        r = read_uuid(connection, file, ret_uuid, err);
    libvirt_connection_free(connection);
    return r;
}

static int check_rests(const struct restoring *restoring, struct error *err)
{
    virDomainPtr domain = restoring->session->domain;
    const char *file = restoring->request->file;
    int active = domain ? virDomainIsActive(domain) : 0;
    int saved = domain && active == 0 ? virDomainHasManagedSaveImage(domain, 0) : 0;
    if (active < 0 || saved < 0)
        return libvirt_error(err, "cannot read whether the domain runs or is saved");
    if (active == 1)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "the domain runs: what it has written since is not in the memory, and "
                         "what it keeps in memory now would be lost");
    if (file && saved == 1)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "libvirt keeps a saved memory of the domain as well, which could not be "
                         "restored afterwards: `virsh managedsave-remove` removes it");
    return file || saved == 1 ? 0
                              : error_set(err, ENOENT, EXC_INTERNAL_ERROR,
                                          "libvirt keeps no saved memory of the domain");
}

/* libvirt would start the guest anew, had it no whole memory: it is read first. */
static int read_definition(struct restoring *restoring, struct error *err)
{
    struct session *session = restoring->session;
    const char *file = restoring->request->file;
    cleanup_conn virConnectPtr conn = NULL;
    int r = libvirt_connection_get(session->driver->connection, 0, &conn, err);
    if (r < 0)
        return r;
    restoring->xml = file ? virDomainSaveImageGetXMLDesc(conn, file, 0)
                          : virDomainManagedSaveGetXMLDesc(session->domain, 0);
    if (!restoring->xml)
        return libvirt_error(err, "cannot read the saved memory");
    restoring->name = text_of(restoring->xml, "name");
    return restoring->name ? 0 : error_nomem(err);
}

static int read_record(struct restoring *restoring, struct error *err)
{
    const char *file = restoring->request->file;
    struct error failure = ERROR_INIT;
    int r = file ? save_record_beside(file, restoring->path, err)
                 : save_record_of_managed(restoring->session, restoring->path, err);
    if (r < 0)
        return r;
    if (save_record_read(restoring->path, &restoring->record, &failure) == 0 ||
        restoring->request->force)
        return 0;
    *err = failure;
    return error_prepend(err, "what the disks were when it was saved is not known");
}

/* `r` is what a look at the disks has come to, with `failure`. 0 also when it is forced. */
static int judge(const struct restoring *restoring, int r, const struct error *failure,
                 bool *ret_is_checked, struct error *err)
{
    *ret_is_checked = r == 0;
    if (r == 0 || (restoring->request->force && r != -ECANCELED)) {
        if (r < 0)
            log_warning("restoring all the same: %s", failure->message);
        return 0;
    }
    *err = *failure;
    return error_append(err, "; a guest that goes on with other disks than it knows destroys "
                             "them, --force does it all the same");
}

/* *ret_is_checked is false when it is forced. */
static int check(struct restoring *restoring, bool *ret_is_checked, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (!restoring->record) {
        log_warning("restoring onto disks of which nothing is known");
        return 0;
    }
    int r = restore_check_disks(restoring, &failure);
    return judge(restoring, r, &failure, ret_is_checked, err);
}

/* Their content may have been read for long, and somebody have come meanwhile. */
static int check_again(const struct restoring *restoring, bool *is_checked, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = *is_checked ? restore_check_again(restoring, &failure) : 0;
    return *is_checked ? judge(restoring, r, &failure, is_checked, err) : 0;
}

static int note_restore(const struct restoring *restoring, bool is_checked, struct error *err)
{
    struct record *record = restoring->session->record;
    int r = record_note(record, "domain", json_pack("{s:s}", "name", restoring->name), err);
    return r < 0 ? r
                 : record_note(
                       record, "restore",
                       json_pack("{s:b, s:s, s:b, s:b}", "is_managed", !restoring->request->file,
                                 "disks", restoring->record ? restoring->path : "", "is_checked",
                                 is_checked, "is_to_run", restore_start_is_to_run(restoring)),
                       err);
}

static int start_guest(const struct restoring *restoring, struct restore_report *report,
                       struct error *err)
{
    struct session *session = restoring->session;
    enum power_state state;
    int r = restore_start(restoring, err);
    failpoint("restore:started");
    if (r == 0)
        r = session_need_domain(session, err);
    if (r == 0)
        r = libvirt_domain_power_state(session->domain, &state, err);
    if (r < 0)
        return r;
    json_int_t stopped_ms = json_integer_value(json_object_get(restoring->record, "stopped_ms"));
    report->is_paused = state == POWER_STATE_PAUSED;
    report->stood_still_ms = stopped_ms > 0 ? save_record_now_ms() - stopped_ms : 0;
    return 0;
}

static int restore_guest(struct restoring *restoring, struct restore_report *report,
                         struct error *err)
{
    int r = check_rests(restoring, err);
    if (r == 0)
        r = read_definition(restoring, err);
    if (r == 0)
        r = read_record(restoring, err);
    if (r == 0)
        r = check(restoring, &report->is_checked, err);
    if (r == 0)
        r = note_restore(restoring, report->is_checked, err);
    failpoint("restore:noted");
    if (r == 0)
        r = check_again(restoring, &report->is_checked, err);
    return r < 0 ? r : start_guest(restoring, report, err);
}

int restore_run(struct session *session, const struct restore_request *request,
                struct restore_report *ret_report, struct error *err)
{
    struct restoring restoring = {.session = session, .request = request};
    struct error failure = ERROR_INIT, left = ERROR_INIT;
    *ret_report = (struct restore_report){0};
    int r = leftover_undo_earlier(session, err);
    if (r == 0 && !request->file)
        r = session_need_domain(session, err);
    if (r < 0)
        return r;
    (void)restore_guest(&restoring, ret_report, &failure);
    if (leftover_undo(session, &left) < 0)
        error_join(&failure, &left);
    json_decref(restoring.record);
    json_decref(restoring.seen);
    free(restoring.xml);
    free(restoring.name);
    if (failure.errnum != 0)
        *err = failure;
    return -failure.errnum;
}
