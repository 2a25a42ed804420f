/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_internal_settle.h. */
#include "domain/revert_internal_settle.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/checkpoint_name.h"
#include "domain/domain_run.h"
#include "domain/revert_layers.h"
#include "domain/revert_notes.h"
#include "driver/libvirt/connection.h"

static const json_t *first_try(const struct session *session)
{
    return json_array_get(record_all(session->record, "internal"), 0);
}

static const json_t *last_try(const struct session *session)
{
    const json_t *tries = record_all(session->record, "internal");
    return json_array_get(tries, json_array_size(tries) - 1);
}

static bool was_asked(const struct session *session, const json_t *try)
{
    json_int_t before = json_integer_value(json_object_get(try, "asked"));
    return (json_int_t)json_array_size(record_all(session->record, "begun")) > before;
}

static const json_t *last_asked(const struct session *session)
{
    const json_t *tries = record_all(session->record, "internal");
    size_t i = json_array_size(tries);
    while (i > 1 && !was_asked(session, json_array_get(tries, i - 1)))
        i--;
    return json_array_get(tries, i - 1);
}

static const char *name_of(const json_t *try)
{
    const char *name = json_string_member(try, "name");
    return name ? name : "";
}

static enum domain_run_likeness compare_run(const struct session *session, size_t try,
                                            const json_t *run)
{
    const json_t *note = json_array_get(record_all(session->record, "internal"), try);
    return domain_run_compare(session->record, json_object_get(note, "run"), run);
}

static bool is_from_snapshot(int state, int reason)
{
    return (state == VIR_DOMAIN_RUNNING && reason == VIR_DOMAIN_RUNNING_FROM_SNAPSHOT) ||
           (state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_FROM_SNAPSHOT);
}

/* A record of an older version has not noted the guest of before. */
static bool has_noted_run(const struct session *session, size_t try)
{
    const json_t *note = json_array_get(record_all(session->record, "internal"), try);
    return json_object_get(note, "run") != NULL;
}

/* One that was started for the last try has it all; that of before the first, which libvirt ends or
 * pauses and leaves so where it fails, has nothing of it as long as it runs. */
static int look_at_guest(const struct session *session, const json_t *run, bool *ret_is_whole,
                         struct error *err)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    size_t tries = json_array_size(record_all(session->record, "internal"));
    if (virDomainGetState(session->domain, &state, &reason, 0) < 0)
        return libvirt_error(err, "cannot read whether the guest runs");
    bool is_other = !has_noted_run(session, tries - 1) ||
                    compare_run(session, tries - 1, run) == DOMAIN_RUN_OTHER;
    bool is_new = is_other && is_from_snapshot(state, reason);
    bool is_old = compare_run(session, 0, run) == DOMAIN_RUN_SAME && state == VIR_DOMAIN_RUNNING;
    *ret_is_whole = domain_run_is_active(run) && (is_new || is_old);
    if (is_old)
        log_warning("the guest runs on, and libvirt is not known to have taken it back to "
                    "checkpoint %s: if it is not there, go back once more",
                    name_of(last_try(session)));
    return 0;
}

/* libvirt makes it the current one when all else is done. */
static bool has_arrived(const struct session *session, const char *current)
{
    const json_t *try = last_asked(session);
    const char *name = name_of(try), *before = json_string_member(try, "current");
    return before && strcmp(before, name) != 0 && strcmp(current, name) == 0;
}

static bool are_files_untouched(const struct session *session)
{
    enum revert_layers files = REVERT_LAYERS_WRITTEN;
    struct error ignored = ERROR_INIT;
    const json_t *noted = json_array_get(record_all(session->record, "layers"), 0);
    size_t i;
    const json_t *file;
    json_t *disks = json_array();
    json_array_foreach (noted, i, file)
        (void)json_array_append_new(disks,
                                    json_pack("{s:O}", "overlay", json_object_get(file, "path")));
    int r = revert_layers_look(session, disks, &files, &ignored);
    json_decref(disks);
    return noted && r == 0 && files == REVERT_LAYERS_UNTOUCHED;
}

/* It ends the guest before it writes to a disk. */
static bool is_left_alone(const struct session *session, const char *current, const json_t *run)
{
    const char *before = json_string_member(first_try(session), "current");
    bool is_first = json_array_size(record_all(session->record, "internal")) == 1;
    if (!is_first || !before || strcmp(before, current) != 0)
        return false;
    return domain_run_is_active(run) ? compare_run(session, 0, run) == DOMAIN_RUN_SAME
                                     : are_files_untouched(session);
}

static int note_arrival(struct session *session, struct error *err)
{
    if (strcmp(name_of(last_asked(session)), name_of(first_try(session))) != 0)
        return record_note(session->record, "returned", json_true(), err);
    session->outcome = REVERT_AT_CHECKPOINT;
    return record_note(session->record, "entered", json_true(), err);
}

static const char *left_of(const struct session *session)
{
    const json_t *left = json_array_get(record_all(session->record, "snapshot"), 0);
    return json_string_member(left, "name");
}

static int note_left_alone(const struct session *session, const json_t *run, struct error *err)
{
    const char *left = left_of(session);
    if (domain_run_is_active(json_object_get(first_try(session), "run")) &&
        !domain_run_is_active(run) && !record_host_rebooted(session->record))
        log_warning("the guest was ended, and its disks are as they were: %s%s",
                    left ? "its memory is in checkpoint " : "its memory is lost", left ? left : "");
    return record_note(session->record, "returned", json_true(), err);
}

static int look(struct session *session, bool *ret_is_whole, struct error *err)
{
    char current[CHECKPOINT_NAME_SIZE];
    cleanup_run json_t *run = NULL;
    int r = domain_run_read(session, &run, err);
    if (r < 0)
        return r;
    r = checkpoint_name_current(session->domain, current, err);
    if (r < 0)
        return r;
    *ret_is_whole = true;
    if (has_arrived(session, current))
        return note_arrival(session, err);
    return is_left_alone(session, current, run) ? note_left_alone(session, run, err)
                                                : look_at_guest(session, run, ret_is_whole, err);
}

int revert_internal_settle(struct session *session, struct error *err)
{
    bool is_whole = false;
    const struct record *record = session->record;
    if (record_all(record, "entered") || record_all(record, "returned"))
        return 0;
    if (!was_asked(session, first_try(session)))
        return record_note(session->record, "returned", json_true(), err);
    int r = look(session, &is_whole, err);
    if (r < 0 || is_whole)
        return r;
    const char *name = name_of(first_try(session));
    const char *left = left_of(session);
    return error_set(
        err, EBUSY, EXC_INTERNAL_ERROR,
        "libvirt is not known to have taken all disks of the domain back to "
        "checkpoint %s, one may be as it was then and another as it is now: go back to "
        "checkpoint %s once more%s%s, with `domain revert --force`, or remove %s when the "
        "disks are known to be of one time",
        name, name, left ? ", or to what was left behind, " : "", left ? left : "",
        record_path(record));
}
