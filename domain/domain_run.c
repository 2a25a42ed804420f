/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_run.h. */
#include "domain/domain_run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/qemu_process.h"

static int mark_of_qemu(virDomainPtr domain, const char *uuid,
                        char ret_mark[static QEMU_PROCESS_MARK_SIZE], struct error *err)
{
    char directory[PATH_MAX];
    char *uri = virConnectGetURI(virDomainGetConnect(domain));
    int r = uri ? qemu_process_directory(uri, directory, err)
                : libvirt_error(err, "cannot read which libvirt this is");
    free(uri);
    return r < 0 ? r
                 : qemu_process_mark_of(directory, virDomainGetName(domain), uuid, ret_mark, err);
}

/* libvirt gives no id twice while it lives. */
static json_t *mark_of_command(const struct session *session)
{
    struct error ignored = ERROR_INIT;
    char mark[QEMU_PROCESS_MARK_SIZE];
    return qemu_process_mark((int)getpid(), mark, &ignored) < 0
               ? NULL
               : json_sprintf("%s %u", mark,
                              libvirt_connection_number(session->driver->connection));
}

static json_t *pack_run(const struct session *session, virDomainPtr domain)
{
    struct error unknown = ERROR_INIT;
    char mark[QEMU_PROCESS_MARK_SIZE];
    int id = (int)virDomainGetID(domain);
    if (id >= 0 && mark_of_qemu(domain, session->uuid, mark, &unknown) == 0)
        return json_pack("{s:i, s:s}", "id", id, "qemu", mark);
    if (id >= 0)
        log_debug("by libvirt's id alone, while this command lasts: %s", unknown.message);
    return json_pack("{s:i, s:o*}", "id", id, "command", id >= 0 ? mark_of_command(session) : NULL);
}

int domain_run_read(const struct session *session, json_t **ret_run, struct error *err)
{
    cleanup_domain virDomainPtr domain = NULL;
    int r =
        libvirt_connection_find_domain(session->driver->connection, session->uuid,
                                       LIBVIRT_PATIENCE_MS, EXC_INSTANCE_NOT_FOUND, &domain, err);
    if (r < 0)
        return r;
    json_t *run = pack_run(session, domain);
    if (!run)
        return error_nomem(err);
    *ret_run = run;
    return 0;
}

static json_int_t id_of(const json_t *run)
{
    const json_t *id = json_object_get(run, "id");
    return id ? json_integer_value(id) : -1;
}

bool domain_run_is_active(const json_t *run)
{
    return id_of(run) >= 0;
}

enum domain_run_likeness domain_run_compare(const struct record *record, const json_t *noted,
                                            const json_t *now)
{
    const json_t *qemu = json_object_get(noted, "qemu"), *qemu_now = json_object_get(now, "qemu");
    const json_t *command = json_object_get(noted, "command");
    if (record_host_rebooted(record) || !domain_run_is_active(now) ||
        (noted && id_of(noted) != id_of(now)))
        return DOMAIN_RUN_OTHER;
    if (qemu && qemu_now)
        return json_equal(qemu, qemu_now) ? DOMAIN_RUN_SAME : DOMAIN_RUN_OTHER;
    return command && json_equal(command, json_object_get(now, "command")) ? DOMAIN_RUN_SAME
                                                                           : DOMAIN_RUN_UNKNOWN;
}
