/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_settle.h. */
#include "domain/revert_settle.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/pending_call.h"
#include "domain/revert_enter.h"
#include "domain/revert_hold.h"
#include "domain/revert_internal_settle.h"
#include "domain/revert_layers.h"
#include "domain/revert_notes.h"
#include "domain/revert_where.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/managed_save.h"

#define LOOK_MS 200

json_t *revert_settle_note_of(const struct revert_place *place)
{
    json_t *disks = json_array();
    for (size_t i = 0; i < place->disk_count; i++) {
        const struct checkpoint_disk *disk = &place->disks[i];
        json_t *noted = json_pack("{s:s, s:s, s:s}", "target", disk->target, "base", disk->base,
                                  "overlay", disk->overlay);
        if (json_array_append_new(disks, noted) < 0) {
            json_decref(disks);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "current", place->current, "state",
                     place->state, "memory", place->memory, "memory_xml", place->memory_xml,
                     "definition", place->definition, "disks", disks);
}

/* What a dead command has asked libvirt for last may still come: nothing else is asked before. */
static int await_call(struct session *session, struct error *err)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    bool is_waited_for = revert_notes_has(session, "snapshot") &&
                         !revert_notes_has(session, REVERT_FROM) &&
                         !revert_notes_has(session, "internal");
    uint64_t until_ms = is_waited_for ? 0 : pending_call_until_ms(session);
    if (until_ms == 0)
        return 0;
    while (clock_now_ms() < until_ms)
        (void)nanosleep(&pause, NULL);
    return pending_call_answered(session, err);
}

static bool is_open(const struct session *session)
{
    return revert_notes_has(session, REVERT_TO) && !revert_notes_has(session, "entered") &&
           !revert_notes_has(session, "returned");
}

void revert_settle_release(struct session *session)
{
    struct error failure = ERROR_INIT;
    if (is_open(session) && revert_hold_end(session, &failure) < 0)
        log_warning("the guest stays paused: %s", failure.message);
}

static int let_go(const struct session *session, struct error *err)
{
    int r = revert_hold_end(session, err);
    if (r == 0)
        revert_hold_warn(session);
    return r;
}

static void tell_left(const struct session *session)
{
    if (revert_notes_has(session, "made"))
        log_warning("checkpoint %s of what was to be left behind was made: it stays",
                    json_string_member(revert_notes_find(session, "snapshot"), "name"));
}

/* Before the switch: nothing has become of the domain but that it may be paused. */
static int undo(const struct session *session, bool is_active, struct error *err)
{
    int r = is_active ? let_go(session, err) : 0;
    if (r == 0)
        r = revert_notes_remove_layers(session, err);
    if (r == 0)
        tell_left(session);
    return r;
}

static int look_again(struct session *session, bool *ret_active, struct error *err)
{
    return libvirt_domain_find_again(session->driver->connection, session->uuid, &session->domain,
                                     ret_active, err);
}

static int end_gone(struct session *session)
{
    log_warning("the domain has gone: the files of its checkpoints stay");
    session->outcome = SESSION_GONE;
    return 0;
}

/* libvirt goes on with it when the command has died. */
static int settle_internal(struct session *session, struct error *err)
{
    bool is_answered =
        revert_notes_has(session, "entered") || revert_notes_has(session, "returned");
    bool is_active = false;
    int r = is_answered ? 0 : await_call(session, err);
    if (r == 0)
        r = look_again(session, &is_active, err);
    if (r == 0 && !session->domain)
        return end_gone(session);
    if (r == 0)
        r = revert_internal_settle(session, err);
    if (r < 0 || !revert_notes_has(session, "returned"))
        return r;
    r = let_go(session, err);
    if (r == 0)
        tell_left(session);
    return r;
}

/* Each step may have been done before. */
static int enter(struct session *session, const struct revert_where *where, const char *note,
                 struct error *err)
{
    const json_t *place = revert_notes_place(session, note);
    int r = strcmp(where->next, note) == 0 ? 0 : revert_enter_define(session, place, err);
    if (r == 0)
        r = revert_enter_make_current(session, place, err);
    failpoint("revert:is-current");
    bool runs = false;
    if (r == 0)
        r = revert_where_check(session, note, &runs, err);
    if (r < 0)
        return r;
    if (!runs)
        return revert_enter_start(session, place, err);
    revert_where_warn_of_boot(session, note);
    return revert_enter_let_run(session, place, err);
}

static int let_run_there(struct session *session, const struct revert_where *where,
                         struct error *err)
{
    revert_where_warn_of_boot(session, where->runs);
    int r = revert_enter_let_run(session, revert_notes_place(session, where->runs), err);
    return r < 0 ? r : revert_where_define(session, where, where->runs, err);
}

/* The definition that is to go is the one that all this began with. */
static int check_is_ours(const struct session *session, const struct revert_where *where,
                         struct error *err)
{
    if (!session->domain || !where->is_persistent)
        return error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND,
                         "somebody has undefined it meanwhile");
    return where->next ? 0
                       : error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                                   "somebody has given its next start other disks meanwhile");
}

static int stop(struct session *session, struct revert_where *where, struct error *err)
{
    int r = revert_enter_stop(session, err);
    failpoint("revert:stopped");
    if (r == 0)
        r = revert_where_look(session, where, err);
    if (r < 0 || check_is_ours(session, where, err) == 0)
        return r;
    return error_append(err, "; its guest was ended, and checkpoint %s has its memory",
                        json_string_member(revert_notes_place(session, REVERT_FROM), "current"));
}

static int go_on(struct session *session, struct revert_where *where, struct error *err)
{
    if (where->is_active && strcmp(where->runs, REVERT_TO) == 0)
        return let_run_there(session, where, err);
    int r = check_is_ours(session, where, err);
    if (r < 0)
        return r;
    if (where->is_active && !revert_hold_lasts(session))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "somebody has let the guest run on, or started it, meanwhile");
    if (where->is_active)
        r = stop(session, where, err);
    else
        failpoint("revert:stopped");
    return r < 0 ? r : enter(session, where, REVERT_TO, err);
}

/* Where it came from, unless it has come there after all: what libvirt was asked for last may. */
static int go_back(struct session *session, const struct revert_where *where, struct error *err)
{
    const char *note = where->is_active ? where->runs : REVERT_FROM;
    int r =
        where->is_active ? let_run_there(session, where, err) : enter(session, where, note, err);
    return r < 0 ? r : revert_notes_end(session, note, err);
}

static int note_back(const struct session *session, const char *why, struct error *err)
{
    log_warning("the domain cannot go back to checkpoint %s, and stays where it was: %s",
                json_string_member(revert_notes_place(session, REVERT_TO), "current"), why);
    return record_note(session->record, "back", json_pack("{s:s}", "why", why), err);
}

/* To the checkpoint; else it is noted why not. */
static int try_on(struct session *session, struct revert_where *where, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (go_on(session, where, &failure) == 0)
        return revert_notes_end(session, REVERT_TO, err);
    return note_back(session, failure.message, err);
}

/* They were empty, and all is kept of where it comes from: a guest that is held there runs on. */
static int go_without_layers(struct session *session, const struct revert_where *where,
                             struct error *err)
{
    int r = where->is_active ? let_go(session, err) : 0;
    if (r == 0)
        r = note_back(session, "its new layers have gone", err);
    if (r < 0 || !where->is_active)
        return r;
    r = revert_where_define(session, where, REVERT_FROM, err);
    return r < 0 ? r : revert_notes_end(session, REVERT_FROM, err);
}

/* Where nothing was written since: to the checkpoint, or back. */
static int settle_switch(struct session *session, struct error *err)
{
    struct revert_where where;
    int r = revert_where_look(session, &where, err);
    if (r < 0)
        return r;
    if (!session->domain)
        return end_gone(session);
    if (!revert_where_is_open(&where))
        return revert_where_end(session, &where, err);
    r = where.is_active ? 0 : managed_save_check_none(session->domain, err);
    if (r < 0)
        return r;
    bool goes_back = revert_notes_has(session, "back");
    if (where.to == REVERT_LAYERS_GONE && !goes_back)
        return go_without_layers(session, &where, err);
    return goes_back ? go_back(session, &where, err) : try_on(session, &where, err);
}

int revert_settle(struct session *session, struct error *err)
{
    bool is_active = false;
    if (revert_notes_has(session, "entered"))
        session->outcome = REVERT_AT_CHECKPOINT;
    if (revert_notes_has(session, "internal"))
        return settle_internal(session, err);
    if (revert_notes_has(session, "returned"))
        return revert_notes_remove_layers(session, err);
    if (!is_open(session))
        return 0;
    int r = await_call(session, err);
    if (r == 0)
        r = look_again(session, &is_active, err);
    if (r == 0 && !session->domain)
        return end_gone(session);
    if (r == 0 && !revert_notes_has(session, REVERT_FROM))
        return undo(session, is_active, err);
    if (r == 0)
        r = settle_switch(session, err);
    if (r < 0 || !is_open(session))
        return r;
    if (!session->domain)
        return session->outcome ? 0 : end_gone(session);
    r = await_call(session, err); /* it is to go back */
    return r < 0 ? r : settle_switch(session, err);
}
