/* SPDX-License-Identifier: Apache-2.0 */
/* See doctor_program.h. */
#include "agent/doctor_program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/doctor.h"
#include "agent/setup.h"
#include "amqp/bus.h"
#include "common/findings.h"

#define CONNECTION_MS 10000

/* Takes it. */
static int print_report(json_t *report, const struct doctor_request *request)
{
    if (!report)
        return EXIT_FAILURE;
    if (request->as_json)
        (void)json_dumpf(report, stdout, JSON_INDENT(2));
    else
        findings_write(report, stdout);
    if (request->as_json)
        (void)putchar('\n');
    int status = findings_exit(report);
    json_decref(report);
    return fflush(stdout) == 0 ? status : EXIT_FAILURE;
}

int doctor_program_refused(const struct error *why, const struct doctor_request *request)
{
    json_t *report = findings_new("", VERSION, request->instance);
    if (report)
        findings_add(report, "configuration", FINDINGS_FAIL, why->message,
                     "mend it; where the agent is given --config-file or --config-dir, "
                     "nova-snapshot-agent --doctor needs the same");
    return print_report(report, request);
}

static json_t *look(const struct agent *agent, const struct conf_sources *sources,
                    const char *instance)
{
    struct error err = ERROR_INIT; /* what keeps it from connecting is told by the look itself */
    struct doctor *doctor = NULL;
    json_t *report = NULL;
    bus_stand_aside(agent->bus, BUS_ASIDE_DRAINED, true);
    (void)bus_start(agent->bus, CONNECTION_MS, &err);
    if (doctor_new(agent, sources, false, &doctor, &err) == 0)
        report = doctor_look(doctor, instance);
    doctor_free(doctor);
    return report;
}

int doctor_program_run(const struct conf *conf, const struct conf_sources *sources,
                       const struct doctor_request *request)
{
    struct agent agent = {0};
    struct error err = ERROR_INIT;
    (void)signal(SIGPIPE, SIG_IGN);
    if (setup_agent(&agent, conf, &err) < 0)
        return doctor_program_refused(&err, request);
    json_t *report = look(&agent, sources, request->instance);
    setup_undo(&agent);
    return print_report(report, request);
}
