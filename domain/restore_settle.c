/* SPDX-License-Identifier: Apache-2.0 */
/* See restore_settle.h. */
#include "domain/restore_settle.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "domain/disk_fingerprint.h"
#include "domain/save_record.h"
#include "driver/libvirt/domain.h"

static const json_t *last_note(const struct session *session, const char *name)
{
    const json_t *all = record_all(session->record, name);
    return json_array_get(all, json_array_size(all) - 1);
}

void restore_settle_refused(struct session *session)
{
    struct error failure = ERROR_INIT;
    json_t *now_ns = json_integer((save_record_now_ms() + 1) * 1000000);
    if (record_note(session->record, "refused", now_ns, &failure) < 0)
        log_debug("that it was not started is not noted: %s", failure.message);
}

/* The memory stays: it is only marked, where that can be. */
static void mark_used(const char *path)
{
    struct error failure = ERROR_INIT;
    json_t *content = NULL;
    int r = save_record_read(path, &content, &failure);
    if (r == 0 && json_object_set_new(content, "used_ms", json_integer(save_record_now_ms())) < 0)
        r = error_nomem(&failure);
    if (r == 0)
        r = save_record_replace(path, content, &failure);
    json_decref(content);
    if (r < 0)
        log_warning("the memory is not marked as used: %s", failure.message);
}

static int renew_record(const char *path, json_int_t refused_ns, struct error *err)
{
    json_t *content = NULL, *layers = NULL;
    int r = save_record_read(path, &content, err);
    if (r == 0)
        r = disk_fingerprint_renew(json_object_get(content, "layers"), refused_ns, &layers, err);
    if (r == 0 && json_object_set_new(content, "layers", layers) < 0)
        r = error_nomem(err);
    if (r == 0)
        r = save_record_replace(path, content, err);
    json_decref(content);
    return r;
}

/* Whatever was done to them later is told from it: libvirt had answered by then. */
static void keep_restorable(const struct session *session, const json_t *note, const char *path)
{
    struct error failure = ERROR_INIT;
    json_int_t refused_ns = json_integer_value(last_note(session, "refused"));
    if (!json_is_true(json_object_get(note, "is_checked")) || refused_ns == 0)
        return;
    if (renew_record(path, refused_ns, &failure) < 0)
        log_warning("the guest can be restored with --force or by the SHA-256 of its disks alone, "
                    "if it has them: %s",
                    failure.message);
}

static int end_used(struct session *session, const json_t *note, const char *path,
                    struct error *err)
{
    if (virDomainIsActive(session->domain) != 1)
        return libvirt_error(err, "cannot read whether the guest runs");
    if (json_is_true(json_object_get(note, "is_managed")))
        return unlink(path) == 0 || errno == ENOENT
                   ? 0
                   : error_errno(err, errno, "cannot remove %s", path);
    mark_used(path);
    return 0;
}

int restore_settle(struct session *session, struct error *err)
{
    bool is_active = false;
    const json_t *note = last_note(session, "restore");
    const char *path = json_string_member(note, "disks");
    if (!path || path[0] == '\0')
        return 0;
    int r = libvirt_domain_find_again(session->driver->connection, session->uuid, &session->domain,
                                      &is_active, err);
    if (r == 0 && is_active)
        return end_used(session, note, path, err);
    if (r == 0)
        keep_restorable(session, note, path);
    return r;
}
