/* SPDX-License-Identifier: Apache-2.0 */
/* Inner to revert_settle.c and revert_meanwhile.c: the notes of revert_settle.h. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/revert_layers.h"
#include "domain/session.h"

/* Where the domain is to go, where it comes from. */
#define REVERT_TO "revert"
#define REVERT_FROM "switch"

bool revert_settle_is_noted(const struct session *session, const char *name);

/* REVERT_TO, REVERT_FROM: that place, borrowed. */
const json_t *revert_settle_place(const struct session *session, const char *note);

/* What became of its layers. */
int revert_settle_look_at_layers(const struct session *session, const char *note,
                                 enum revert_layers *ret_layers, struct error *err);

/* Looks the domain up again, with LIBVIRT_PATIENCE_MS; session->domain is NULL when it has gone. */
int revert_settle_look_again(struct session *session, bool *ret_active, struct error *err);

/* The domain is there, by REVERT_TO or REVERT_FROM: that is noted, and how the record ends. */
int revert_settle_note_end(struct session *session, const char *note, struct error *err);
