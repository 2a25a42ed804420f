/* SPDX-License-Identifier: Apache-2.0 */
/* See doctor.h. */
#include "agent/doctor.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "agent/doctor_instance.h"
#include "agent/host_checks.h"
#include "agent/preflight.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/findings.h"

struct doctor {
    const struct agent *agent;
    const struct conf_sources *sources;
    bool is_serving;
    pthread_mutex_t looking; /* one look at a time */
    struct cancel *stop;
};

int doctor_new(const struct agent *agent, const struct conf_sources *sources, bool is_serving,
               struct doctor **ret_doctor, struct error *err)
{
    struct doctor *doctor = calloc(1, sizeof(*doctor));
    if (!doctor)
        return error_nomem(err);
    int r = cancel_new(&doctor->stop, err);
    if (r < 0) {
        free(doctor);
        return r;
    }
    doctor->agent = agent;
    doctor->sources = sources;
    doctor->is_serving = is_serving;
    (void)pthread_mutex_init(&doctor->looking, NULL);
    *ret_doctor = doctor;
    return 0;
}

static bool add_finding(void *arg, const struct host_finding *finding)
{
    if (finding->trouble)
        findings_add(arg, finding->name, FINDINGS_FAIL, finding->trouble->message, finding->remedy);
    else
        findings_add(arg, finding->name, finding->fact->is_warning ? FINDINGS_WARN : FINDINGS_OK,
                     finding->fact->text, finding->remedy);
    return true;
}

static void look_at_host(const struct doctor *doctor, json_t *report)
{
    struct host_view view = {.agent = doctor->agent,
                             .sources = doctor->sources,
                             .is_serving = doctor->is_serving,
                             .is_thorough = true};
    (void)preflight_trouble(doctor->agent->preflight, &view.unfit);
    (void)host_checks_run(&view, HOST_CHECKS_DOCTOR, add_finding, report);
    request_context_free(view.context);
}

json_t *doctor_look(struct doctor *doctor, const char *instance)
{
    LOCK_SCOPE(&doctor->looking);
    struct cancel *before = cancel_enter(doctor->stop);
    json_t *report = findings_new(doctor->agent->conf->DEFAULT.host, VERSION, instance);
    if (report && instance)
        doctor_instance_look(doctor->agent, instance, report);
    else if (report)
        look_at_host(doctor, report);
    (void)cancel_enter(before);
    return report;
}

void doctor_stop(struct doctor *doctor)
{
    struct error ends = ERROR_INIT;
    if (!doctor)
        return;
    (void)error_set(&ends, ECANCELED, EXC_INTERNAL_ERROR, "the agent ends");
    cancel_request(doctor->stop, &ends);
}

void doctor_free(struct doctor *doctor)
{
    if (!doctor)
        return;
    cancel_free(doctor->stop);
    (void)pthread_mutex_destroy(&doctor->looking);
    free(doctor);
}
