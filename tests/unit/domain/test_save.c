/* SPDX-License-Identifier: Apache-2.0 */
/* domain/save.c: what is refused while the guest still runs; libvirt's test driver. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "domain/save.h"
#include "domain/save_check.h"
#include "domain/save_record.h"
#include "driver/libvirt/managed_save.h"
#include "tests/unit/domain/libvirt_session.h"

static unsigned saves;
static bool disk_is_full; /* for what is written of the disks */

int __wrap_save_check(const struct session *of, const char *xml, bool managed, struct error *error);
int __wrap_save_check(const struct session *of, const char *xml, bool managed, struct error *error)
{
    (void)of, (void)xml, (void)managed, (void)error;
    return 0;
}

int __wrap_virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params,
                                int *count, unsigned flags);
int __wrap_virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params,
                                int *count, unsigned flags)
{
    (void)domain, (void)flags;
    *type = VIR_DOMAIN_JOB_NONE;
    *params = NULL;
    *count = 0;
    return 0;
}

/* Its own has a disk that is not there. */
int __wrap_libvirt_domain_xml(virDomainPtr domain, char **ret_xml, struct error *error);
int __wrap_libvirt_domain_xml(virDomainPtr domain, char **ret_xml, struct error *error)
{
    (void)domain, (void)error;
    *ret_xml = strdup("<domain type='test'><name>test</name><devices/></domain>");
    return *ret_xml ? 0 : -ENOMEM;
}

int __wrap_managed_save_to(virDomainPtr domain, const struct managed_save_target *target,
                           unsigned stall_timeout_s, struct error *error);
int __wrap_managed_save_to(virDomainPtr domain, const struct managed_save_target *target,
                           unsigned stall_timeout_s, struct error *error)
{
    (void)stall_timeout_s;
    saves++;
    return virDomainSave(domain, target->file) < 0
               ? error_set(error, EIO, EXC_INTERNAL_ERROR, "the test driver did not save it")
               : 0;
}

int __real_save_record_write(const char *path, const json_t *content, struct error *error);
int __wrap_save_record_write(const char *path, const json_t *content, struct error *error);
int __wrap_save_record_write(const char *path, const json_t *content, struct error *error)
{
    return disk_is_full && strstr(path, ".disks")
               ? error_set(error, ENOSPC, EXC_INTERNAL_ERROR, "cannot make %s", path)
               : __real_save_record_write(path, content, error);
}

static int set_up(void **state)
{
    (void)state;
    saves = 0;
    disk_is_full = false;
    begin_session();
    return 0;
}

static int tear_down(void **state)
{
    if (session->domain && virDomainIsActive(session->domain) == 0)
        (void)virDomainCreate(session->domain);
    return end_session(state);
}

static int save(const char *file)
{
    const struct save_request request = {.file = file};
    struct save_report report;
    return save_take(session, &request, &report, &err);
}

static void must_run_untouched(void)
{
    assert_int_equal(saves, 0);
    assert_int_equal(virDomainIsActive(session->domain), 1);
    assert_true(record_is_empty(session->record));
}

static size_t longest(void)
{
    return NAME_MAX - strlen("..disks.01234567.partial");
}

static void one_to_a_file_with_its_record_beside(void **state)
{
    (void)state;
    char disks[PATH_MAX];
    const char *file = temp_path_of_length(longest());
    need(save(file));
    need(save_record_beside(file, disks, &err));
    assert_int_equal(saves, 1);
    assert_int_equal(access(file, F_OK), 0);
    assert_int_equal(access(disks, F_OK), 0);
    assert_true(record_is_empty(session->record));
    assert_int_equal(unlink(file), 0);
}

/* That of the memory itself would still fit. */
static void one_whose_record_has_too_long_a_name(void **state)
{
    (void)state;
    assert_int_equal(save(temp_path_of_length(longest() + 1)), -ENAMETOOLONG);
    assert_non_null(strstr(err.message, "too long"));
    must_run_untouched();
}

static void one_whose_record_cannot_be_made(void **state)
{
    (void)state;
    disk_is_full = true;
    assert_int_equal(save(temp_path("memory")), -ENOSPC);
    must_run_untouched();
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_to_a_file_with_its_record_beside),
        TEST(one_whose_record_has_too_long_a_name),
        TEST(one_whose_record_cannot_be_made),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
