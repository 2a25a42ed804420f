/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_notes.h. */
#include "domain/revert_notes.h"

#include <string.h>

#include "domain/record.h"

bool revert_notes_has(const struct session *session, const char *name)
{
    return record_all(session->record, name) != NULL;
}

const json_t *revert_notes_find(const struct session *session, const char *name)
{
    return json_array_get(record_all(session->record, name), 0);
}

const json_t *revert_notes_place(const struct session *session, const char *note)
{
    return json_object_get(revert_notes_find(session, note), "to");
}

int revert_notes_look_at_layers(const struct session *session, const char *note,
                                enum revert_layers *ret_layers, struct error *err)
{
    return revert_layers_look(session, json_object_get(revert_notes_place(session, note), "disks"),
                              ret_layers, err);
}

int revert_notes_remove_layers(const struct session *session, struct error *err)
{
    return revert_layers_remove(session,
                                json_object_get(revert_notes_place(session, REVERT_TO), "disks"),
                                revert_notes_has(session, REVERT_FROM), err);
}

int revert_notes_end(struct session *session, const char *note, struct error *err)
{
    if (strcmp(note, REVERT_TO) == 0) {
        session->outcome = REVERT_AT_CHECKPOINT;
        return record_note(session->record, "entered", json_true(), err);
    }
    int r = record_note(session->record, "returned", json_true(), err);
    return r < 0 ? r : revert_notes_remove_layers(session, err);
}
