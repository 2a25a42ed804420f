/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk of a merge (merge_plan.h) that goes on above others' layers since: nothing of it is lost
 * as it is, and it is left so. Of the record's thread.
 */
#pragma once

#include <jansson.h>

#include "common/error.h"
#include "domain/record.h"

/*
 * Takes the disk out of the notes. 0, with a warning that says `why`, when another one was begun:
 * the merge is one of the others from then on. ESTALE with that text when none was: nothing is
 * noted any more.
 */
int merge_give_up(struct record *record, const json_t *disk, const char *why, struct error *err);
