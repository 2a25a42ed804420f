/* SPDX-License-Identifier: Apache-2.0 */
/* The command `domain checkpoint`. See domain.h. */
/* Names begin with domain_. */
#include <jansson.h>
#include <stdio.h>

#include "domain/checkpoint_take.h"
#include "domain/standstill.h"
#include "tool/domain.h"
#include "tool/domain_session.h"
#include "tool/units.h"

static const char *kind_of(const struct checkpoint_plan *plan)
{
    return plan->is_internal ? "internal" : "external";
}

static json_t *json_of(const struct checkpoint_remarks *remarks)
{
    json_t *array = json_array();
    for (size_t i = 0; i < remarks->count; i++)
        (void)json_array_append_new(array, json_pack("{s:s, s:s}", "what", remarks->all[i].what,
                                                     "why", remarks->all[i].why));
    return array;
}

static void print_remarks(const struct checkpoint_remarks *remarks, const char *kind, FILE *out)
{
    for (size_t i = 0; i < remarks->count; i++)
        (void)fprintf(out, "%s  %s: %s\n", remarks->all[i].what, kind, remarks->all[i].why);
}

static json_t *paused_ms(const struct checkpoint_report *report)
{
    return report->stood_still_ms == STANDSTILL_UNKNOWN
               ? json_null()
               : json_integer((json_int_t)report->stood_still_ms);
}

static void report_json(const struct checkpoint_report *report, FILE *out)
{
    const struct checkpoint_plan *plan = &report->plan;
    json_t *disks = json_array();
    for (size_t i = 0; i < plan->disk_count; i++) {
        const struct checkpoint_disk *disk = &plan->disks[i];
        (void)json_array_append_new(
            disks, json_pack("{s:s, s:s, s:s*}", "disk", disk->target, "path", disk->base,
                             "overlay", disk->overlay[0] != '\0' ? disk->overlay : NULL));
    }
    json_t *root = json_pack(
        "{s:s, s:s, s:b, s:s*, s:I, s:o, s:b, s:I, s:o, s:o, s:o}", "name", plan->name, "kind",
        kind_of(plan), "has_memory", plan->has_memory, "memory_path",
        plan->memory_file[0] != '\0' ? plan->memory_file : NULL, "memory_size_on_disk_bytes",
        (json_int_t)report->memory_bytes, "guest_paused_ms", paused_ms(report), "halted",
        report->is_halted, "frozen_at_most_ms", (json_int_t)report->frozen_ms, "disks", disks,
        "left_out", json_of(&plan->omissions), "cautions", json_of(&plan->cautions));
    (void)json_dumpf(root, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    (void)fputc('\n', out);
    json_decref(root);
}

static void report_guest(const struct checkpoint_report *report, FILE *out)
{
    if (report->is_halted)
        (void)fputs("the guest was ended at that instant\n", out);
    else if (report->stood_still_ms == STANDSTILL_UNKNOWN)
        (void)fputs("it is not known how long the guest stood still\n", out);
    else if (report->stood_still_ms > 0)
        (void)fprintf(out, "the guest stood still for %.3f s\n",
                      (double)report->stood_still_ms / 1000);
    else if (report->plan.is_running)
        (void)fputs("the guest did not stand still\n", out);
    if (report->frozen_ms > 0)
        (void)fprintf(out, "its filesystems were frozen for at most %.3f s\n",
                      (double)report->frozen_ms / 1000);
}

static void report_text(const struct checkpoint_report *report, FILE *out)
{
    const struct checkpoint_plan *plan = &report->plan;
    (void)fprintf(out, "checkpoint %s: %s, %s\n", plan->name, kind_of(plan),
                  plan->has_memory ? "with memory" : "disks alone");
    for (size_t i = 0; i < plan->disk_count; i++) {
        const struct checkpoint_disk *disk = &plan->disks[i];
        (void)fprintf(out, "%s  %s holds it%s%s\n", disk->target, disk->base,
                      disk->overlay[0] != '\0' ? ", the guest writes to " : "", disk->overlay);
    }
    if (plan->memory_file[0] != '\0')
        (void)fprintf(out, "memory  %s, %s on disk\n", plan->memory_file,
                      units_bytes(report->memory_bytes).text);
    print_remarks(&plan->omissions, "not in it", out);
    print_remarks(&plan->cautions, "beware", out);
    report_guest(report, out);
}

static enum invocation_exit take(const struct invocation *invocation,
                                 const struct checkpoint_request *request)
{
    struct session *session = NULL;
    struct checkpoint_report report = {0};
    struct error err = ERROR_INIT;
    enum invocation_exit status = INVOCATION_DONE;
    if (domain_session_open(invocation, invocation->argument, false, &session, &err) < 0)
        return domain_session_failed(&err);
    if (checkpoint_take(session, request, &report, &err) < 0)
        status = domain_session_complain(INVOCATION_FAILED, err.message);
    else if (invocation->values[INVOCATION_JSON])
        report_json(&report, stdout);
    else
        report_text(&report, stdout);
    checkpoint_take_done(&report);
    if (status == INVOCATION_DONE)
        domain_session_warn_of_nova(session, request->internal ? NOVA_GUEST_INTERNAL
                                                               : NOVA_GUEST_CHECKPOINT);
    session_close(session);
    return status;
}

enum invocation_exit domain_checkpoint(const struct invocation *invocation)
{
    const char *const *values = invocation->values;
    const struct checkpoint_request request = {.name = values[INVOCATION_NAME],
                                               .disk_only = values[INVOCATION_DISK_ONLY],
                                               .memory = values[INVOCATION_MEMORY],
                                               .internal = values[INVOCATION_INTERNAL],
                                               .live = values[INVOCATION_LIVE],
                                               .halt = values[INVOCATION_HALT],
                                               .quiesce = values[INVOCATION_QUIESCE],
                                               .force = values[INVOCATION_FORCE_CHECKPOINT],
                                               .disks = invocation->disks,
                                               .disk_count = invocation->disk_count,
                                               .memory_file = values[INVOCATION_MEMORY_FILE]};
    struct error err = ERROR_INIT;
    return checkpoint_request_check(&request, &err) < 0
               ? domain_session_complain(INVOCATION_USAGE, err.message)
               : take(invocation, &request);
}
