/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_progress.h. */
#include "domain/merge_progress.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "common/json.h"
#include "domain/domain_run.h"
#include "domain/merge_chain.h"

#define MERGING "merging"
#define NOTES_MAX 64
#define BEHIND_NS NS_PER_S /* QEMU's commit is a tenth of it behind the guest at most */

static const char *newest_of(const json_t *disk)
{
    return merge_chain_path(json_array_get(json_object_get(disk, "gone"), 0));
}

/* -1: it is not there. */
static json_int_t written_ns(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? -1 : clock_ns(&st.st_mtim);
}

static json_int_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return clock_ns(&now);
}

static size_t find_last(const struct record *record, const json_t *disk)
{
    const json_t *notes = record_all(record, MERGING);
    size_t i = json_array_size(notes);
    while (i > 0 && !json_equal(json_object_get(json_array_get(notes, i - 1), "target"),
                                json_object_get(disk, "target")))
        i--;
    return i > 0 ? i - 1 : SIZE_MAX;
}

static json_t *note_of(const json_t *disk, const json_t *run, bool is_whole)
{
    json_t *of_guest = run ? json_deep_copy(run) : json_pack("{s:i}", "id", -1);
    return json_pack("{s:O, s:o, s:b}", "target", json_object_get(disk, "target"), "run", of_guest,
                     "is_whole", is_whole);
}

/* It tells of what the topmost layer has by now, and no more. */
static json_t *note_of_now(const json_t *disk, const json_t *run, bool is_whole)
{
    json_t *note = note_of(disk, run, is_whole);
    (void)json_object_set_new(note, "written_ns", json_integer(written_ns(newest_of(disk))));
    return note;
}

/* Takes `notes`. */
static int restart(struct record *record, json_t *notes, struct error *err)
{
    return record_restart(record,
                          json_pack("{s:O*, s:O*, s:o}", "domain", record_all(record, "domain"),
                                    "merge", record_all(record, "merge"), MERGING, notes),
                          err);
}

static size_t count_behind(const json_t *notes, size_t place)
{
    const json_t *target = json_object_get(json_array_get(notes, place), "target");
    size_t count = 0;
    for (size_t i = place + 1; i < json_array_size(notes); i++)
        count += json_equal(json_object_get(json_array_get(notes, i), "target"), target) ? 1 : 0;
    return count;
}

/* What fails behind its note is tried each minute. Of a disk the last note tells, or the one before
 * where that is forgotten. */
static int drop_old(struct record *record, struct error *err)
{
    json_t *notes = record_all(record, MERGING), *kept;
    size_t count = json_array_size(notes);
    if (count < NOTES_MAX)
        return 0;
    kept = json_copy(notes);
    for (size_t i = count; i-- > 0;)
        if (count_behind(notes, i) >= 2)
            (void)json_array_remove(kept, i);
    return restart(record, kept, err);
}

/* Takes `note`. */
static int add_note(struct record *record, json_t *note, struct error *err)
{
    int r = drop_old(record, err);
    if (r == 0)
        return record_note(record, MERGING, note, err);
    json_decref(note);
    return r;
}

int merge_progress_note(struct record *record, const json_t *disk, const json_t *run, bool is_whole,
                        struct error *err)
{
    json_t *note =
        domain_run_is_active(run) ? note_of(disk, run, is_whole) : note_of_now(disk, run, is_whole);
    return add_note(record, note, err);
}

int merge_progress_note_pivot(struct record *record, const json_t *disk, const json_t *run,
                              struct error *err)
{
    json_t *note = note_of_now(disk, run, true);
    (void)json_object_set_new(note, "pivot_ns", json_integer(now_ns()));
    return add_note(record, note, err);
}

int merge_progress_forget(struct record *record, const json_t *disk, struct error *err)
{
    size_t last = find_last(record, disk);
    json_t *notes = json_copy(record_all(record, MERGING));
    if (last != SIZE_MAX)
        (void)json_array_remove(notes, last);
    return restart(record, notes, err);
}

int merge_progress_put_below(struct record *record, json_t *disk, json_t *above, struct error *err)
{
    if (json_object_set(disk, "above", above) < 0)
        return error_nomem(err);
    int r = restart(record, json_copy(record_all(record, MERGING)), err);
    if (r < 0)
        (void)json_object_del(disk, "above");
    return r;
}

bool merge_progress_has_another(const struct record *record, const json_t *disk)
{
    size_t i;
    const json_t *note;
    json_array_foreach (record_all(record, MERGING), i, note) {
        if (!json_equal(json_object_get(note, "target"), json_object_get(disk, "target")))
            return true;
    }
    return false;
}

bool merge_progress_has_begun(const struct record *record, const json_t *disk)
{
    return find_last(record, disk) != SIZE_MAX;
}

static const json_t *last_note(const struct record *record, const json_t *disk)
{
    return json_array_get(record_all(record, MERGING), find_last(record, disk));
}

int merge_progress_note_committed(struct record *record, const json_t *disk, struct error *err)
{
    json_t *then = json_object_get(last_note(record, disk), "written_ns");
    json_t *note = note_of(disk, NULL, true);
    (void)json_object_set(note, "written_ns", then);
    if (!then || json_integer_value(then) != written_ns(newest_of(disk))) {
        json_decref(note);
        return error_set(err, EAGAIN, EXC_INTERNAL_ERROR,
                         "%s was written to while it was merged: the guest was started meanwhile",
                         newest_of(disk));
    }
    return add_note(record, note, err);
}

/* Or was about to: the command died before it had seen more. */
static bool was_pivoting(const json_t *note)
{
    return json_object_get(note, "pivot_ns") != NULL;
}

bool merge_progress_was_pivoting(const struct record *record, const json_t *disk)
{
    return was_pivoting(last_note(record, disk));
}

/* What a guest wrote just before, QEMU may not have had in base when the guest ended; of one that
 * fell with the host no time tells. */
static bool had_all(const struct record *record, const json_t *pivot)
{
    return !record_host_rebooted(record) &&
           json_integer_value(json_object_get(pivot, "pivot_ns")) -
                   json_integer_value(json_object_get(pivot, "written_ns")) >=
               BEHIND_NS;
}

/* A guest on the topmost layer has written there since what base may lack. */
static bool is_whole(const struct record *record, const json_t *note, const json_t *disk)
{
    const json_t *then = json_object_get(note, "written_ns");
    json_int_t now = written_ns(newest_of(disk));
    return json_is_true(json_object_get(note, "is_whole")) &&
           (!then || now < 0 || now == json_integer_value(then)) &&
           (!was_pivoting(note) || had_all(record, note));
}

static int tell_why_not(const json_t *note, const json_t *disk, enum domain_run_likeness likeness,
                        struct error *err)
{
    const char *target = json_string_member(disk, "target"), *newest = newest_of(disk);
    const char *base = merge_chain_path(json_object_get(disk, "base"));
    if (was_pivoting(note))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "disk %s is on %s, and the command died, or the host, when its guest was "
                         "about to be put there from %s: which of them has more is not known, and "
                         "both stay",
                         target ? target : "", base, newest);
    if (note && likeness == DOMAIN_RUN_UNKNOWN)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "disk %s is on %s, and it is not known whether its guest is the one that "
                         "was put there by the merge: %s alone may have it all, and stays",
                         target ? target : "", base, newest);
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "disk %s was put on %s by somebody else before all was merged into that: %s "
                     "alone has it all, and stays",
                     target ? target : "", base, newest);
}

/* A QEMU comes from the topmost layer to base by the end of a commit alone; what stands above was
 * put there by nobody else either: by QEMU's commit, or after qemu-img's. */
int merge_progress_check_done(const struct record *record, const json_t *disk, const json_t *run,
                              struct error *err)
{
    const json_t *note = last_note(record, disk);
    enum domain_run_likeness likeness =
        domain_run_compare(record, json_object_get(note, "run"), run);
    return note && (json_object_get(disk, "above") || is_whole(record, note, disk) ||
                    likeness == DOMAIN_RUN_SAME)
               ? 0
               : tell_why_not(note, disk, likeness, err);
}
