/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_delete.h. */
/* Names begin with domain_. */
#include "tool/domain_delete.h"

#include "domain/checkpoint_delete.h"
#include "domain/flatten_plan.h"
#include "tool/domain_session.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Of an internal one no file goes. */
static void report_disk(const json_t *disk, bool is_branch, FILE *out)
{
    const json_t *file, *base = json_object_get(disk, "base");
    const char *target = text_of(disk, "target");
    size_t i;
    json_array_foreach (json_object_get(disk, "gone"), i, file) {
        if (is_branch)
            (void)fprintf(out, "%s  %s has gone\n", target, text_of(file, "path"));
        else
            (void)fprintf(out, "%s  %s is in %s now\n", target, text_of(file, "path"),
                          text_of(base, "path"));
    }
    if (!base)
        (void)fprintf(out, "%s  %s holds it no more\n", target,
                      text_of(json_object_get(disk, "file"), "path"));
}

void domain_delete_report(const json_t *done, FILE *out)
{
    const json_t *note, *disk;
    size_t i, j;
    json_array_foreach (done, i, note) {
        const char *name = text_of(note, "snapshot");
        bool is_branch = json_is_true(json_object_get(note, "branch"));
        if (name[0] != '\0')
            (void)fprintf(out, "checkpoint %s is deleted%s\n", name,
                          is_branch ? ", and that instant of a branch is lost" : "");
        json_array_foreach (json_object_get(note, "disks"), j, disk)
            report_disk(disk, is_branch, out);
    }
    if (json_array_size(done) == 0)
        (void)fputs("there is nothing to merge\n", out);
}

/* What was done before a failure is told as well. */
static enum invocation_exit end_command(const struct invocation *invocation, json_t *done, int r,
                                        const struct error *err)
{
    if (invocation->values[INVOCATION_JSON]) {
        (void)json_dumpf(done, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        (void)fputc('\n', stdout);
    } else if (r == 0 || json_array_size(done) > 0) {
        domain_delete_report(done, stdout);
    }
    json_decref(done);
    return r < 0 ? domain_session_complain(INVOCATION_FAILED, err->message) : INVOCATION_DONE;
}

/* Whether nova may do with the server what it likes again. Takes the session. */
static void end_session(struct session *session, int r)
{
    if (r == 0)
        domain_session_warn_of_nova(session, flatten_plan_is_whole(session) ? NOVA_GUEST_WHOLE
                                                                            : NOVA_GUEST_LAYERED);
    session_close(session);
}

enum invocation_exit domain_delete_checkpoint(const struct invocation *invocation)
{
    struct session *session = NULL;
    struct error err = ERROR_INIT;
    json_t *done = NULL;
    const struct delete_request request = {.name = invocation->second,
                                           .children = invocation->values[INVOCATION_CHILDREN],
                                           .force = invocation->values[INVOCATION_FORCE_DELETE]};
    if (domain_session_open(invocation, invocation->argument, false, &session, &err) < 0)
        return domain_session_failed(&err);
    int r = checkpoint_delete(session, &request, &done, &err);
    end_session(session, r);
    return end_command(invocation, done, r, &err);
}

enum invocation_exit domain_flatten(const struct invocation *invocation)
{
    struct session *session = NULL;
    struct error err = ERROR_INIT;
    json_t *done = NULL;
    const struct delete_request request = {.disks = invocation->disks,
                                           .disk_count = invocation->disk_count,
                                           .force = invocation->values[INVOCATION_FORCE_DELETE]};
    if (domain_session_open(invocation, invocation->argument, false, &session, &err) < 0)
        return domain_session_failed(&err);
    int r = checkpoint_delete_flatten(session, &request, &done, &err);
    end_session(session, r);
    return end_command(invocation, done, r, &err);
}
