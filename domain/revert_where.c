/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_where.h. */
#include "domain/revert_where.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/secret.h"
#include "domain/checkpoint_name.h"
#include "domain/revert_enter.h"
#include "domain/revert_hold.h"
#include "domain/revert_notes.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/managed_save.h"

static bool is_to(const char *note)
{
    return note && strcmp(note, REVERT_TO) == 0;
}

static bool is_from(const char *note)
{
    return note && strcmp(note, REVERT_FROM) == 0;
}

static const char *other_of(const char *note)
{
    return is_to(note) ? REVERT_FROM : REVERT_TO;
}

static const char *name_of(const struct session *session, const char *note)
{
    return json_string_member(revert_notes_place(session, note), "current");
}

static const char *find_place(const struct session *session, const char *xml, bool with_base)
{
    static const char *const notes[] = {REVERT_TO, REVERT_FROM};
    for (size_t i = 0; i < ARRAY_SIZE(notes); i++)
        if (revert_enter_is_at(xml, revert_notes_place(session, notes[i]), with_base))
            return notes[i];
    return NULL;
}

static int find_next(const struct session *session, const char **ret_note, struct error *err)
{
    char *xml = virDomainGetXMLDesc(session->domain, VIR_DOMAIN_XML_INACTIVE);
    if (!xml)
        return libvirt_error(err, "cannot read the definition of the domain's next start");
    *ret_note = find_place(session, xml, false);
    secret_free(xml);
    return 0;
}

/* Somebody may have merged what its layers stand on. */
static int find_run(const struct session *session, struct revert_where *where, struct error *err)
{
    char *xml = virDomainGetXMLDesc(session->domain, 0);
    if (!xml)
        return libvirt_error(err, "cannot read the definition of the domain's guest");
    where->runs = find_place(session, xml, true);
    where->is_on_base = where->runs != NULL;
    if (!where->runs)
        where->runs = find_place(session, xml, false);
    secret_free(xml);
    return 0;
}

int revert_where_look(struct session *session, struct revert_where *ret_where, struct error *err)
{
    struct revert_where where = {.to = REVERT_LAYERS_WRITTEN, .from = REVERT_LAYERS_WRITTEN};
    int r = libvirt_domain_find_again(session->driver->connection, session->uuid, &session->domain,
                                      &where.is_active, err);
    if (r < 0 || !session->domain)
        return r;
    int persistent = virDomainIsPersistent(session->domain);
    if (persistent < 0)
        return libvirt_error(err, "cannot read whether the domain is persistent");
    where.is_persistent = persistent == 1;
    if (where.is_active)
        r = find_run(session, &where, err);
    if (r == 0)
        r = find_next(session, &where.next, err);
    if (r == 0)
        r = revert_notes_look_at_layers(session, REVERT_TO, &where.to, err);
    if (r == 0)
        r = revert_notes_look_at_layers(session, REVERT_FROM, &where.from, err);
    if (r == 0)
        *ret_where = where;
    return r;
}

bool revert_where_is_open(const struct revert_where *where)
{
    const char *now = where->is_active ? where->runs : where->next;
    if (!now || where->from != REVERT_LAYERS_UNTOUCHED || where->to == REVERT_LAYERS_WRITTEN)
        return false;
    return !where->is_active ||
           (where->is_on_base && (where->to != REVERT_LAYERS_GONE || is_from(now)));
}

int revert_where_check(struct session *session, const char *note, bool *ret_active,
                       struct error *err)
{
    struct revert_where where;
    int r = revert_where_look(session, &where, err);
    if (r == 0 && !session->domain)
        r = error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND, "the domain has gone");
    if (r < 0)
        return r;
    if (where.is_active && (!where.runs || strcmp(where.runs, note) != 0))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "somebody has started the guest meanwhile");
    enum revert_layers own = is_to(note) ? where.to : where.from;
    enum revert_layers others = is_to(note) ? where.from : where.to;
    if (others == REVERT_LAYERS_WRITTEN || (!where.is_active && own == REVERT_LAYERS_WRITTEN))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "somebody has started the guest meanwhile, and it has written");
    *ret_active = where.is_active;
    return where.is_active ? 0 : managed_save_check_none(session->domain, err);
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

int revert_where_define(struct session *session, const struct revert_where *where, const char *note,
                        struct error *err)
{
    if (!where->next)
        return 0;
    int r = strcmp(where->next, note) == 0
                ? 0
                : revert_enter_define(session, revert_notes_place(session, note), err);
    return r < 0 ? r : make_current(session, note, err);
}

void revert_where_warn_of_boot(const struct session *session, const char *note)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    const json_t *place = revert_notes_place(session, note);
    const char *memory = is_to(note) ? json_string_member(place, "memory") : NULL;
    if (memory && memory[0] != '\0' &&
        virDomainGetState(session->domain, &state, &reason, 0) == 0 &&
        state == VIR_DOMAIN_RUNNING && reason == VIR_DOMAIN_RUNNING_BOOTED)
        log_warning("the guest was started anew meanwhile, and not woken of the memory of "
                    "checkpoint %s: go back once more for that",
                    json_string_member(place, "current"));
}

/* Of a stopped one the definition tells, unless it was defined just behind its start: then it has
 * written where it is not to start next. NULL: it is at neither. */
static const char *find_end(const struct session *session, const struct revert_where *where)
{
    bool wrote_to = where->to == REVERT_LAYERS_WRITTEN;
    bool wrote_from = where->from == REVERT_LAYERS_WRITTEN;
    if (where->is_active)
        return where->runs;
    if (is_to(where->next) && wrote_from && !wrote_to)
        return REVERT_FROM;
    if (is_from(where->next) && wrote_to && !wrote_from && revert_notes_has(session, "back"))
        return REVERT_TO;
    return where->next;
}

/* Somebody may have started it, once more, just before a definition. NULL: it is at neither. */
static int check_end(struct session *session, const char *note, struct error *err)
{
    struct revert_where where;
    int r = revert_where_look(session, &where, err);
    if (r < 0)
        return r;
    const char *now = session->domain ? find_end(session, &where) : NULL;
    bool is_same = session->domain && (now && note ? strcmp(now, note) == 0 : now == note);
    return is_same ? 0
                   : error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                               "somebody starts, stops or removes the guest meanwhile: the next "
                               "command looks again");
}

/* Its next start at the checkpoint is this command's definition, and nobody's wish. */
static int end_elsewhere(struct session *session, const struct revert_where *where,
                         struct error *err)
{
    const char *to = name_of(session, REVERT_TO), *from = name_of(session, REVERT_FROM);
    if (is_to(where->next))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "the guest runs on other disks than those of checkpoints %s and %s, and "
                         "starts next on those of %s: stop it, or give its definition the disks it "
                         "runs on (`virsh edit`)",
                         to, from, to);
    int r = where->is_active ? revert_hold_end(session, err) : 0;
    if (r == 0)
        r = check_end(session, NULL, err);
    if (r < 0)
        return r;
    log_warning("the domain went on meanwhile, on other disks than those of checkpoints %s and %s: "
                "it stays as it is; nothing is started or ended",
                to, from);
    r = revert_notes_end(session, REVERT_FROM, err);
    session->outcome = "the domain is on the disks that somebody has given it";
    return r;
}

/* Of one that has written it is another pause than that of before; a merge writes as well. */
static int end_hold(struct session *session, const struct revert_where *where, const char *note,
                    struct error *err)
{
    if (!where->is_active || !is_from(note))
        return 0;
    bool is_ours = where->from == REVERT_LAYERS_UNTOUCHED || !where->is_on_base;
    int r = is_ours ? revert_hold_end(session, err) : 0;
    if (r == 0)
        revert_hold_warn(session);
    return r;
}

int revert_where_end(struct session *session, const struct revert_where *where, struct error *err)
{
    const char *note = find_end(session, where);
    if (!note)
        return end_elsewhere(session, where, err);
    if (where->is_active)
        revert_where_warn_of_boot(session, note);
    log_warning("the domain went on meanwhile behind checkpoint %s: it stays there, and as it is; "
                "nothing is started or ended",
                name_of(session, note));
    if ((is_to(note) ? where->from : where->to) == REVERT_LAYERS_WRITTEN)
        log_warning("what was written behind checkpoint %s meanwhile stays in its files",
                    name_of(session, other_of(note)));
    int r = end_hold(session, where, note, err);
    if (r == 0)
        r = revert_where_define(session, where, note, err);
    if (r == 0)
        r = check_end(session, note, err);
    return r < 0 ? r : revert_notes_end(session, note, err);
}
