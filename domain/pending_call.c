/* SPDX-License-Identifier: Apache-2.0 */
/* See pending_call.h. */
#include "domain/pending_call.h"

#include "common/clock.h"
#include "common/log.h"
#include "driver/libvirt/connection.h"

/* libvirt: src/qemu/qemu_domainjob.c, QEMU_JOB_WAIT_TIME, is 30 s; and the way there. */
#define LINE_MS 35000

int pending_call_begin(struct session *session, struct error *err)
{
    return record_note(session->record, "begun", json_integer((json_int_t)clock_now_ms()), err);
}

int pending_call_answered(struct session *session, struct error *err)
{
    return record_note(session->record, "answered", json_true(), err);
}

void pending_call_failed(struct session *session)
{
    struct error failure = ERROR_INIT;
    if (session->domain && libvirt_connection_is_lost(session->driver->connection, session->domain))
        return;
    if (pending_call_answered(session, &failure) < 0)
        log_debug("libvirt's answer is not noted: %s", failure.message);
}

uint64_t pending_call_until_ms(const struct session *session)
{
    const json_t *begun = record_all(session->record, "begun");
    size_t count = json_array_size(begun);
    uint64_t begun_ms = (uint64_t)json_integer_value(json_array_get(begun, count - 1));
    uint64_t now_ms = clock_now_ms();
    if (json_array_size(record_all(session->record, "answered")) >= count ||
        record_host_rebooted(session->record) || now_ms < begun_ms || now_ms - begun_ms >= LINE_MS)
        return 0;
    uint64_t until_ms = begun_ms + LINE_MS;
    log_info("libvirt may still begin with what it was asked for: looking for it for up to %u s",
             (unsigned)((until_ms - now_ms) / 1000 + 1));
    return until_ms;
}
