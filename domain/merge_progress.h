/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far the merge of each disk (merge_plan.h) is, in the record's notes "merging": {target, run:
 * of the guest (domain_run.h), of id -1 at rest; is_whole: all that goes is in base by then;
 * written_ns: when the topmost layer was last written to before it was read, of a guest at rest or
 * about to go on on base: all is there unless that time changes; pivot_ns: when it was about to}.
 * The last one of a disk counts. Of the record's thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/record.h"

/* From here on base may hold a part of what goes; `is_whole`: all of it. `run` is NULL at rest.
 * Errors as record_note(). */
int merge_progress_note(struct record *record, const json_t *disk, const json_t *run, bool is_whole,
                        struct error *err);

/* All is in base, and the guest about to go on there: whether it did, who dies now will not tell.
 */
int merge_progress_note_pivot(struct record *record, const json_t *disk, const json_t *run,
                              struct error *err);

/*
 * What was begun at rest is in base; EAGAIN when somebody has written to the topmost layer since,
 * and nothing is noted. Else errors as record_note().
 */
int merge_progress_note_committed(struct record *record, const json_t *disk, struct error *err);

bool merge_progress_was_pivoting(const struct record *record, const json_t *disk);

/* Nothing was begun after all. */
int merge_progress_forget(struct record *record, const json_t *disk, struct error *err);

/* Others' layers have come on those of the disk, one of the noted merge: `above` is the lowest of
 * them, and is put on base as in a merge that was planned so. */
int merge_progress_put_below(struct record *record, json_t *disk, json_t *above, struct error *err);

bool merge_progress_has_begun(const struct record *record, const json_t *disk);

/* Whether one of the others has. */
bool merge_progress_has_another(const struct record *record, const json_t *disk);

/*
 * Of a disk whose layers have gone out of the chain: that they went by this merge, all of what they
 * hold into base. `run` as above, of now. EINVAL when somebody else may have put the disk on base:
 * the layers alone hold it all then, or it is not known who does.
 */
int merge_progress_check_done(const struct record *record, const json_t *disk, const json_t *run,
                              struct error *err);
