/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_meanwhile.h. */
#include "domain/revert_meanwhile.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "domain/checkpoint_name.h"
#include "domain/revert_enter.h"
#include "domain/revert_hold.h"
#include "domain/revert_notes.h"
#include "driver/libvirt/domain.h"

static const char *other_of(const char *note)
{
    return strcmp(note, REVERT_TO) == 0 ? REVERT_FROM : REVERT_TO;
}

static const char *name_of(const struct session *session, const char *note)
{
    return json_string_member(revert_notes_place(session, note), "current");
}

static bool is_defined(const struct session *session, const char *note, bool is_active)
{
    return revert_enter_is_defined(session, revert_notes_place(session, note), is_active);
}

int revert_meanwhile_check(struct session *session, const char *note, struct error *err)
{
    bool is_active = false;
    enum revert_layers left = REVERT_LAYERS_WRITTEN;
    int r = libvirt_domain_find_again(session->driver->connection, session->uuid, &session->domain,
                                      &is_active, err);
    if (r == 0 && !session->domain)
        r = error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND, "the domain has gone");
    if (r == 0 && is_active && !is_defined(session, note, true))
        r = error_set(err, EBUSY, EXC_INTERNAL_ERROR, "somebody has started the guest meanwhile");
    if (r == 0)
        r = revert_notes_look_at_layers(session, other_of(note), &left, err);
    if (r == 0 && left == REVERT_LAYERS_WRITTEN)
        r = error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                      "somebody has started the guest meanwhile, and it has written");
    return r;
}

static int make_current(struct session *session, const char *note, struct error *err)
{
    char current[CHECKPOINT_NAME_SIZE];
    const char *other = name_of(session, other_of(note));
    int r = checkpoint_name_current(session->domain, current, err);
    if (r < 0 || !other || strcmp(current, other) != 0)
        return r;
    return revert_enter_make_current(session, revert_notes_place(session, note), err);
}

int revert_meanwhile_define(struct session *session, const char *note, struct error *err)
{
    if (is_defined(session, other_of(note), false))
        return revert_enter_define(session, revert_notes_place(session, note), err);
    return is_defined(session, note, false) ? make_current(session, note, err) : 0;
}

void revert_meanwhile_warn_of_boot(const struct session *session)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    const json_t *place = revert_notes_place(session, REVERT_TO);
    const char *memory = json_string_member(place, "memory");
    if (memory && memory[0] != '\0' &&
        virDomainGetState(session->domain, &state, &reason, 0) == 0 &&
        state == VIR_DOMAIN_RUNNING && reason == VIR_DOMAIN_RUNNING_BOOTED)
        log_warning("the guest was started anew meanwhile, and not woken of the memory of "
                    "checkpoint %s: go back once more for that",
                    json_string_member(place, "current"));
}

/* Of a stopped one the definition tells, unless it was defined just behind its start: then it has
 * written where it is not to start next. NULL: it is at neither. */
static const char *find_where(const struct session *session, bool is_active, enum revert_layers to,
                              enum revert_layers from)
{
    bool is_to = is_defined(session, REVERT_TO, is_active);
    bool is_from = !is_to && is_defined(session, REVERT_FROM, is_active);
    bool has_written_to = to == REVERT_LAYERS_WRITTEN && from == REVERT_LAYERS_UNTOUCHED;
    bool has_written_from = from == REVERT_LAYERS_WRITTEN && to != REVERT_LAYERS_WRITTEN;
    if (!is_active && is_to && has_written_from)
        return REVERT_FROM;
    if (!is_active && is_from && has_written_to && revert_notes_has(session, "back"))
        return REVERT_TO;
    return is_to ? REVERT_TO : is_from ? REVERT_FROM : NULL;
}

int revert_meanwhile_end(struct session *session, bool is_active, enum revert_layers to,
                         enum revert_layers from, struct error *err)
{
    const char *note = find_where(session, is_active, to, from);
    if (!note) {
        log_warning("the domain went on meanwhile, on other disks than those of checkpoints %s and "
                    "%s: it stays as it is; nothing is started or ended",
                    name_of(session, REVERT_TO), name_of(session, REVERT_FROM));
        return revert_notes_end(session, REVERT_FROM, err);
    }
    bool is_to = strcmp(note, REVERT_TO) == 0;
    if (is_to && is_active)
        revert_meanwhile_warn_of_boot(session);
    log_warning("the domain went on meanwhile behind checkpoint %s: it stays there, and as it is; "
                "nothing is started or ended",
                name_of(session, note));
    if (!is_to && is_active)
        revert_hold_warn(session);
    int r = revert_meanwhile_define(session, note, err);
    return r < 0 ? r : revert_notes_end(session, note, err);
}
