/* SPDX-License-Identifier: Apache-2.0 */
/* The notes of revert_settle.h, of a way back to an external checkpoint. On one thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/revert_layers.h"
#include "domain/session.h"

/* Where the domain is to go, where it comes from. */
#define REVERT_TO "revert"
#define REVERT_FROM "switch"

/* An outcome. */
#define REVERT_AT_CHECKPOINT "the domain is at the checkpoint"

bool revert_notes_has(const struct session *session, const char *name);

/* The first of that name, borrowed; NULL. */
const json_t *revert_notes_find(const struct session *session, const char *name);

/* REVERT_TO, REVERT_FROM: that place, borrowed. */
const json_t *revert_notes_place(const struct session *session, const char *note);

/* What became of its layers. */
int revert_notes_look_at_layers(const struct session *session, const char *note,
                                enum revert_layers *ret_layers, struct error *err);

/* The domain is at REVERT_TO, or back at REVERT_FROM and the new layers go. */
int revert_notes_end(struct session *session, const char *note, struct error *err);

/* Those that were made to go to the checkpoint (revert_layers_remove()). */
int revert_notes_remove_layers(const struct session *session, struct error *err);
