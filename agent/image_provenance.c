/* SPDX-License-Identifier: Apache-2.0 */
/* See image_provenance.h. */
#include "agent/image_provenance.h"

#include <stdio.h>

#include "agent/agent.h"
#include "agent/instance.h"
#include "agent/journal.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "conf/conf.h"
#include "glance_client/glance.h"

#define TEXT_MAX (ERROR_MESSAGE_MAX + 64)

static bool has_text(const char *text)
{
    return text && text[0] != '\0';
}

static void write_method(const struct operation *op, char *text)
{
    const char *method = op->summary.method ? op->summary.method : "";
    if (has_text(op->method_reason))
        (void)snprintf(text, TEXT_MAX, "%s, not %s: %s", method,
                       snapshot_method_name(op->wanted_method), op->method_reason);
    else
        (void)snprintf(text, TEXT_MAX, "%s", method);
}

static void write_quiesced(const struct operation *op, char *text)
{
    const char *why = op->quiesce.wanted ? "the guest could not be frozen" : op->quiesce.reason;
    switch (op->summary.quiesce) {
    case SUMMARY_QUIESCE_YES:
        (void)snprintf(text, TEXT_MAX, "yes");
        return;
    case SUMMARY_QUIESCE_ASKED:
        (void)snprintf(text, TEXT_MAX, "asked for");
        return;
    case SUMMARY_QUIESCE_NONE:
    case SUMMARY_QUIESCE_NO:
        (void)snprintf(text, TEXT_MAX, "no%s%s", has_text(why) ? ": " : "", why);
        return;
    }
}

static void write_instant(const struct operation *op, char *text)
{
    (void)snprintf(text, TEXT_MAX, "%s", op->instant);
}

static void write_agent(const struct operation *op, char *text)
{
    (void)op;
    (void)snprintf(text, TEXT_MAX, "nova-snapshot-agent %s", VERSION);
}

static void write_mark(const struct operation *op, char *text)
{
    (void)host_key_mark(&op->base.agent->key, op->arguments.image_id, text);
}

static const struct {
    const char *name;
    void (*write)(const struct operation *op, char *text); /* of TEXT_MAX; "": not known */
} properties[] = {
    {"snapshot_method", write_method},   {"snapshot_quiesced", write_quiesced},
    {"snapshot_instant", write_instant}, {"snapshot_agent", write_agent},
    {IMAGE_PROVENANCE_MARK, write_mark},
};

void image_provenance_note(struct operation *op)
{
    json_t *note = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
        char text[TEXT_MAX] = "";
        properties[i].write(op, text);
        if (has_text(text))
            (void)json_object_set_new(note, properties[i].name, json_string(text));
    }
    journal_mark(op->base.record, "provenance", note);
}

/* Owned; empty when there is nothing to be told. */
static json_t *provenance_attributes(const struct operation *op)
{
    json_t *attributes = json_object();
    const json_t *note = op->base.agent->conf->snapshot_agent.image_provenance
                             ? journal_last(op->base.record, "provenance")
                             : NULL;
    for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
        const char *name = properties[i].name;
        const char *text = json_string_member(note, name);
        if (text || instance_image_property(&op->base.instance, name))
            (void)json_object_set_new(attributes, name, json_string(text ? text : ""));
    }
    return attributes;
}

/* A Glance may refuse what nova never sets: property protections (403), a full quota (413). */
void image_provenance_tell(struct operation *op)
{
    struct error refusal = ERROR_INIT;
    json_t *attributes = provenance_attributes(op);
    if (json_object_size(attributes) > 0 &&
        glance_image_update(op->base.agent->glance, op->base.admin, op->arguments.image_id,
                            attributes, &refusal) < 0)
        log_warning("cannot set the image properties that tell how it was made: %s",
                    refusal.message);
    json_decref(attributes);
}
