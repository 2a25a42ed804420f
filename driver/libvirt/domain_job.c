/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_job.h. */
#include "driver/libvirt/domain_job.h"

#include "common/clock.h"
#include "driver/libvirt/connection.h"

static uint64_t number_of(virTypedParameterPtr params, int count, const char *name,
                          uint64_t if_missing)
{
    unsigned long long value = if_missing;
    (void)virTypedParamsGetULLong(params, count, name, &value);
    return value;
}

int domain_job_read(virDomainPtr domain, struct domain_job *ret_job, struct error *err)
{
    virTypedParameterPtr params = NULL;
    int type = VIR_DOMAIN_JOB_NONE, count = 0;
    if (virDomainGetJobStats(domain, &type, &params, &count, 0) < 0)
        return libvirt_error(err, "cannot read what libvirt is at with the domain");
    uint64_t now_ms = clock_now_ms();
    uint64_t elapsed_ms = number_of(params, count, VIR_DOMAIN_JOB_TIME_ELAPSED, now_ms);
    struct domain_job job = {.operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN,
                             .since_ms = elapsed_ms < now_ms ? now_ms - elapsed_ms : 0,
                             .processed =
                                 number_of(params, count, VIR_DOMAIN_JOB_DATA_PROCESSED, 0)};
    if (type != VIR_DOMAIN_JOB_NONE)
        (void)virTypedParamsGetInt(params, count, VIR_DOMAIN_JOB_OPERATION, &job.operation);
    virTypedParamsFree(params, count);
    *ret_job = job;
    return 0;
}

bool domain_job_is_begun(virDomainPtr domain, int operation, uint64_t asked_ms,
                         struct domain_job *ret_job)
{
    struct error ignored = ERROR_INIT;
    struct domain_job job;
    if (domain_job_read(domain, &job, &ignored) < 0 || job.operation != operation ||
        job.since_ms < asked_ms)
        return false;
    *ret_job = job;
    return true;
}

void domain_job_abort(virDomainPtr domain, int operation, uint64_t asked_ms)
{
    struct domain_job job;
    if (domain_job_is_begun(domain, operation, asked_ms, &job))
        (void)virDomainAbortJob(domain);
}
