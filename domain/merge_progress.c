/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_progress.h. */
#include "domain/merge_progress.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/json.h"
#include "domain/merge_chain.h"

#define MERGING "merging"

static const char *newest_of(const json_t *disk)
{
    return merge_chain_path(json_array_get(json_object_get(disk, "gone"), 0));
}

/* -1: it is not there. */
static json_int_t written_ns(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0
               ? -1
               : (json_int_t)st.st_mtim.tv_sec * 1000000000 + (json_int_t)st.st_mtim.tv_nsec;
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

int merge_progress_note(struct record *record, const json_t *disk, int domain_id, bool is_whole,
                        struct error *err)
{
    json_t *note = json_pack("{s:O, s:i, s:b}", "target", json_object_get(disk, "target"), "id",
                             domain_id, "is_whole", is_whole);
    if (note && is_whole && domain_id < 0)
        (void)json_object_set_new(note, "written_ns", json_integer(written_ns(newest_of(disk))));
    return record_note(record, MERGING, note, err);
}

int merge_progress_forget(struct record *record, const json_t *disk, struct error *err)
{
    size_t last = find_last(record, disk);
    json_t *notes = json_copy(record_all(record, MERGING));
    if (last != SIZE_MAX)
        (void)json_array_remove(notes, last);
    return record_restart(record,
                          json_pack("{s:O*, s:O*, s:o}", "domain", record_all(record, "domain"),
                                    "merge", record_all(record, "merge"), MERGING, notes),
                          err);
}

bool merge_progress_has_begun(const struct record *record, const json_t *disk)
{
    return find_last(record, disk) != SIZE_MAX;
}

/* A guest that was started on the topmost layer since has written there what base lacks. */
static bool is_whole(const json_t *note, const json_t *disk)
{
    const json_t *then = json_object_get(note, "written_ns");
    json_int_t now = written_ns(newest_of(disk));
    return json_is_true(json_object_get(note, "is_whole")) &&
           (!then || now < 0 || now == json_integer_value(then));
}

/* A QEMU comes from the topmost layer to base by the end of a commit alone. */
static bool is_that_guest(const struct record *record, const json_t *note, int domain_id)
{
    return domain_id >= 0 && !record_host_rebooted(record) &&
           json_integer_value(json_object_get(note, "id")) == domain_id;
}

int merge_progress_check_done(const struct record *record, const json_t *disk, int domain_id,
                              struct error *err)
{
    const json_t *note = json_array_get(record_all(record, MERGING), find_last(record, disk));
    const char *target = json_string_member(disk, "target");
    /* What stands above was put on base by nobody else: by QEMU's commit, or after qemu-img's. */
    if (note && (json_object_get(disk, "above") || is_whole(note, disk) ||
                 is_that_guest(record, note, domain_id)))
        return 0;
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "disk %s was put on %s by somebody else before all was merged into that: %s "
                     "alone has it all, and stays",
                     target ? target : "", merge_chain_path(json_object_get(disk, "base")),
                     newest_of(disk));
}
