/* SPDX-License-Identifier: Apache-2.0 */
/* driver/libvirt/managed_save.c */
#include <errno.h>
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "driver/libvirt/managed_save.h"
#include "tests/unit/canceller.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t aborted_cond;
    unsigned looks;      /* how often the progress was asked for */
    unsigned moving_for; /* so many looks find something new */
    bool aborted;
    bool ends_at_once;
    struct canceller *canceller; /* what cancels it when it has begun */
    unsigned refused_aborts;     /* libvirt: there is no job yet */
    unsigned backup_looks;       /* so many find another's backup, that is before it in line */
    unsigned aborted_backups;
    int result;
} save = {.lock = PTHREAD_MUTEX_INITIALIZER, .aborted_cond = PTHREAD_COND_INITIALIZER};

int __wrap_virDomainManagedSave(virDomainPtr domain, unsigned flags);
int __wrap_virDomainManagedSave(virDomainPtr domain, unsigned flags)
{
    (void)domain;
    assert_int_equal(flags, 0); /* as it is: running or paused */
    if (save.ends_at_once)
        return save.result;
    if (save.canceller)
        canceller_request(save.canceller);
    pthread_mutex_lock(&save.lock);
    while (!save.aborted)
        pthread_cond_wait(&save.aborted_cond, &save.lock);
    pthread_mutex_unlock(&save.lock);
    return -1;
}

int __wrap_virDomainSaveFlags(virDomainPtr domain, const char *to, const char *xml, unsigned flags);
int __wrap_virDomainSaveFlags(virDomainPtr domain, const char *to, const char *xml, unsigned flags)
{
    assert_string_equal(to, "/backup/memory");
    assert_null(xml);
    assert_int_equal(flags, VIR_DOMAIN_SAVE_PAUSED);
    return __wrap_virDomainManagedSave(domain, 0);
}

int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info);
int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info)
{
    (void)domain;
    save.looks++;
    info->type = VIR_DOMAIN_JOB_UNBOUNDED;
    info->dataProcessed = save.looks < save.moving_for ? save.looks : save.moving_for;
    return 0;
}

int __wrap_virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params,
                                int *count, unsigned flags);
int __wrap_virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params,
                                int *count, unsigned flags)
{
    int max = 0;
    (void)domain;
    assert_int_equal(flags, 0);
    bool is_backup = save.backup_looks > 0 && save.backup_looks-- > 0;
    *type = VIR_DOMAIN_JOB_UNBOUNDED;
    (void)virTypedParamsAddInt(params, count, &max, VIR_DOMAIN_JOB_OPERATION,
                               is_backup ? VIR_DOMAIN_JOB_OPERATION_BACKUP
                                         : VIR_DOMAIN_JOB_OPERATION_SAVE);
    return virTypedParamsAddULLong(params, count, &max, VIR_DOMAIN_JOB_TIME_ELAPSED, 0);
}

int __wrap_virDomainAbortJob(virDomainPtr domain);
int __wrap_virDomainAbortJob(virDomainPtr domain)
{
    (void)domain;
    if (save.backup_looks > 0)
        save.aborted_backups++;
    if (save.refused_aborts > 0) {
        save.refused_aborts--;
        return -1;
    }
    pthread_mutex_lock(&save.lock);
    save.aborted = true;
    pthread_cond_signal(&save.aborted_cond);
    pthread_mutex_unlock(&save.lock);
    return 0;
}

static int reset(void **state)
{
    (void)state;
    save.looks = save.moving_for = 0;
    save.aborted = save.ends_at_once = false;
    save.canceller = NULL;
    save.refused_aborts = save.backup_looks = save.aborted_backups = 0;
    save.result = 0;
    return 0;
}

static void good_and_failed_saves(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    save.ends_at_once = true;
    assert_int_equal(managed_save(NULL, 60, &err), 0);
    save.result = -1;
    assert_int_equal(managed_save(NULL, 60, &err), -EIO);
    assert_non_null(strstr(err.message, "cannot save the guest's memory"));
    assert_false(save.aborted);
}

static void save_without_progress_is_given_up(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    save.moving_for = 6;
    assert_int_equal(managed_save(NULL, 1, &err), -ETIMEDOUT);
    assert_string_equal(err.message, "saving the guest's memory made no progress for 1 s");
    assert_int_equal(save.looks, 10); /* six with progress, four without */
}

static void note_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    (void)total_bytes;
    uint64_t *seen = arg;
    assert_true(done_bytes > *seen);
    *seen = done_bytes;
}

/* Looked at more often, and given up as late. */
static void a_save_to_a_file_tells_its_progress(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    uint64_t seen = 0;
    const struct managed_save_target target = {"/backup/memory", VIR_DOMAIN_SAVE_PAUSED,
                                               note_progress, &seen};
    save.moving_for = 6;
    assert_int_equal(managed_save_to(NULL, &target, 1, &err), -ETIMEDOUT);
    assert_int_equal(seen, 6);
    assert_int_equal(save.looks, 156);
}

static void a_cancelled_save_is_aborted(void **state)
{
    (void)state;
    struct canceller canceller;
    struct error err = ERROR_INIT;
    canceller_enter(&canceller);
    save.canceller = &canceller;
    save.refused_aborts = 2;
    assert_cancelled(managed_save(NULL, 3600, &err), &err);
    assert_true(save.aborted);
    save.aborted = false;
    save.ends_at_once = true; /* it would, and well */
    assert_cancelled(managed_save(NULL, 3600, &err), &err);
    canceller_leave(&canceller);
}

static void a_job_of_anothers_is_not_aborted(void **state)
{
    (void)state;
    struct canceller canceller;
    struct error err = ERROR_INIT;
    canceller_enter(&canceller);
    save.canceller = &canceller;
    save.backup_looks = 2;
    assert_cancelled(managed_save(NULL, 3600, &err), &err);
    assert_int_equal(save.aborted_backups, 0);
    canceller_leave(&canceller);
}

/* libvirt keeps its last error per thread, from here on. */
static int set_up_group(void **state)
{
    (void)state;
    return virInitialize();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(good_and_failed_saves, reset),
        cmocka_unit_test_setup(save_without_progress_is_given_up, reset),
        cmocka_unit_test_setup(a_save_to_a_file_tells_its_progress, reset),
        cmocka_unit_test_setup(a_cancelled_save_is_aborted, reset),
        cmocka_unit_test_setup(a_job_of_anothers_is_not_aborted, reset),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
