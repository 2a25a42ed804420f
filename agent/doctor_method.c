/* SPDX-License-Identifier: Apache-2.0 */
/* See doctor_method.h. */
#include "agent/doctor_method.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "common/findings.h"

#define METHODS (SNAPSHOT_METHOD_COLD + 1)
#define NONE METHODS

struct verdict {
    struct error trouble; /* errnum 0: it can be taken */
    uint64_t bytes;
};

/* EOPNOTSUPP, as the driver says it, where the plan would not come to it. */
static void try_method(const struct agent *agent, const struct plan_input *input,
                       const struct snapshot_plan *plan, struct verdict *ret_verdict)
{
    struct driver *driver = agent->driver;
    const char *reason = plan_reason_against(plan->method, input->conf, input->info);
    if (reason)
        (void)error_set(&ret_verdict->trouble, EOPNOTSUPP, EXC_INTERNAL_ERROR, "%s", reason);
    else
        (void)driver->ops->check_plan(driver, input->info, plan, &ret_verdict->bytes,
                                      &ret_verdict->trouble);
}

/* As disk_image.c goes on after a method that cannot be used, or has no room. NONE: it fails. */
static enum snapshot_method choose_method(const struct plan_input *input, struct snapshot_plan plan,
                                          const struct verdict *verdicts)
{
    bool may_stream =
        plan_can_stream(input->conf, input->info) && plan.method != SNAPSHOT_METHOD_STREAM;
    while (verdicts[plan.method].trouble.errnum == EOPNOTSUPP &&
           plan_next_method(input->conf, input->wanted, input->info, &plan))
        ;
    if (verdicts[plan.method].trouble.errnum == ENOSPC && may_stream)
        plan.method = SNAPSHOT_METHOD_STREAM;
    return verdicts[plan.method].trouble.errnum == 0 ? plan.method : NONE;
}

static uint64_t free_mib(const char *path)
{
    struct statvfs fs;
    return statvfs(path, &fs) == 0 ? ((uint64_t)fs.f_bavail * fs.f_frsize) >> 20 : 0;
}

static void tell_choice(const struct plan_input *input, const struct snapshot_plan *plan,
                        enum snapshot_method chosen, const struct verdict *verdicts, json_t *report)
{
    const char *name = snapshot_method_name(chosen);
    const char *folder = input->conf->libvirt.snapshots_directory;
    char text[ERROR_MESSAGE_MAX];
    bool is_rbd = input->info->source_type == DISK_SOURCE_RBD;
    (void)snprintf(text, sizeof(text), "%s%s, as a %s image%s",
                   is_rbd ? "within the cluster if Glance keeps its images there, else " : "", name,
                   plan->image_format, plan->compress ? ", compressed" : "");
    findings_add(report, "method", FINDINGS_OK, text, NULL);
    (void)json_object_set_new(report, "method", json_string(name));
    (void)json_object_set_new(report, "bytes", json_integer((json_int_t)verdicts[chosen].bytes));
    (void)snprintf(text, sizeof(text),
                   "up to %" PRIu64 " MiB are written, %" PRIu64 " MiB are free in %s",
                   verdicts[chosen].bytes >> 20, free_mib(folder), folder);
    findings_add(report, "room", FINDINGS_OK, text, NULL);
}

/* Where nova, too, does not take a blockRebase nobody needs to do anything. */
static enum findings_status status_of_other(const struct plan_input *input,
                                            enum snapshot_method method)
{
    bool is_novas_rule = method == SNAPSHOT_METHOD_BLOCKREBASE &&
                         plan_reason_against(method, input->conf, input->info);
    return method == input->wanted && !is_novas_rule ? FINDINGS_WARN : FINDINGS_OK;
}

static void tell_other(const struct plan_input *input, enum snapshot_method method,
                       const struct verdict *verdict, json_t *report)
{
    char check[32];
    (void)snprintf(check, sizeof(check), "not %s", snapshot_method_name(method));
    if (verdict->trouble.errnum == 0)
        findings_add(report, check, FINDINGS_OK, "it could be, but is not what is tried first",
                     NULL);
    else
        findings_add(report, check, status_of_other(input, method), verdict->trouble.message,
                     "[snapshot_agent]live_snapshot_method asks for it; README.md and "
                     "nova-snapshot-agent(8) tell what each method needs");
}

static void tell_failure(const struct snapshot_plan *plan, const struct verdict *verdicts,
                         json_t *report)
{
    findings_add(report, "method", FINDINGS_FAIL,
                 "none can be used now: a snapshot would fail, for the reasons below",
                 verdicts[plan->method].trouble.errnum == ENOSPC
                     ? "make room in [libvirt]snapshots_directory"
                     : "mend what the first of them says");
}

void doctor_method_look(const struct agent *agent, const struct plan_input *input,
                        const struct snapshot_plan *plan, json_t *report)
{
    struct verdict verdicts[METHODS] = {{.bytes = 0}};
    for (unsigned method = 0; method < METHODS; method++) {
        struct snapshot_plan tried = *plan;
        tried.method = (enum snapshot_method)method;
        try_method(agent, input, &tried, &verdicts[method]);
    }
    enum snapshot_method chosen = choose_method(input, *plan, verdicts);
    if (chosen == NONE)
        tell_failure(plan, verdicts, report);
    else
        tell_choice(input, plan, chosen, verdicts, report);
    for (unsigned method = 0; method < METHODS; method++)
        if (method != chosen)
            tell_other(input, (enum snapshot_method)method, &verdicts[method], report);
}
