/* SPDX-License-Identifier: Apache-2.0 */
/* domain/session.c: a domain is found, also one that libvirt has lost; libvirt's own test driver.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/domain/libvirt_session.h"

#define LOST "2e0af6cc-8dab-4d5d-b039-8bb41cec430e"

static void write_down(const char *name)
{
    struct record *record = NULL;
    assert_int_equal(record_open(temp_folder, LOST, &record, &err), 0);
    assert_int_equal(record_note(record, "domain", json_pack("{s:s}", "name", name), &err), 0);
    record_close(record);
}

static void one_that_libvirt_knows(void **state)
{
    (void)state;
    char uuid[DRIVER_UUID_MAX];
    begin_session();
    assert_non_null(session->domain);
    assert_true(record_is_empty(session->record));
    memcpy(uuid, session->uuid, sizeof(uuid));
    session_close(session);
    session = NULL;
    assert_int_equal(open_session(TEST_DRIVER, uuid, true), 0);
    assert_non_null(session->domain);
}

/* As by what an earlier command has left: its guest is another one then. */
static void it_is_looked_up_anew(void **state)
{
    (void)state;
    begin_session();
    unsigned id = virDomainGetID(session->domain);
    virDomainPtr domain = virDomainLookupByName(virDomainGetConnect(session->domain), "test");
    assert_int_equal(virDomainDestroy(domain), 0);
    assert_int_equal(virDomainCreate(domain), 0);
    (void)virDomainFree(domain);
    assert_int_equal(session_need_domain(session, &err), 0);
    assert_int_not_equal(virDomainGetID(session->domain), id);
}

static void one_that_nobody_knows(void **state)
{
    (void)state;
    assert_int_equal(open_session(TEST_DRIVER, "web", false), -ENOENT);
    assert_string_equal(err.exc, EXC_INSTANCE_NOT_FOUND);
    assert_null(session);
}

static void one_that_was_lost(void **state)
{
    (void)state;
    static const char *const names[] = {"web", LOST};
    write_down("web");
    for (size_t i = 0; i < 2; i++) {
        need(open_session(TEST_DRIVER, names[i], false));
        assert_null(session->domain);
        assert_string_equal(session->uuid, LOST);
        assert_false(record_is_empty(session->record));
        assert_int_equal(session_need_domain(session, &err), -ENOENT); /* it did not come back */
        session_close(session);
        session = NULL;
        err = (struct error)ERROR_INIT;
    }
    /* Nothing is there to be looked at. */
    assert_int_equal(open_session(TEST_DRIVER, "web", true), -ENOENT);
}

/* `domain recover --all`, which a timer starts, leaves the record of a command that lives alone. */
static void one_that_another_command_is_at_work_on(void **state)
{
    (void)state;
    struct session *first;
    begin_session();
    assert_int_equal(session_note_domain(session, &err), 0);
    first = session;
    session = NULL;
    assert_int_equal(open_session(TEST_DRIVER, first->uuid, false), -EBUSY);
    assert_non_null(strstr(err.message, "is at work on the domain"));
    assert_null(session);
    assert_int_equal(record_note(first->record, "saved", json_true(), &err), 0);
    assert_int_equal(record_end(first->record, &err), 0);
    session_close(first);
}

/* The guest may be somebody else's to thaw, or thawed by now. */
static void a_freeze_that_is_over_is_written_down(void **state)
{
    (void)state;
    begin_session();
    const struct driver_journal *journal = &session->journal;
    json_t *freeze = json_pack("{s:s}", "step", "freeze");
    assert_int_equal(journal->write(journal->arg, freeze, &err), 0);
    assert_int_equal(journal->frozen(journal->arg, true, &err), 0);
    assert_int_equal(json_array_size(record_all(session->record, "driver")), 1);
    assert_int_equal(journal->frozen(journal->arg, false, &err), 0);
    const json_t *last = json_array_get(record_all(session->record, "driver"), 1);
    assert_string_equal(json_string_value(json_object_get(last, "step")), "thaw");
    json_decref(freeze);
    assert_int_equal(record_end(session->record, &err), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, end_session)
    const struct CMUnitTest tests[] = {
        TEST(one_that_libvirt_knows),
        TEST(it_is_looked_up_anew),
        TEST(one_that_nobody_knows),
        TEST(one_that_was_lost),
        TEST(one_that_another_command_is_at_work_on),
        TEST(a_freeze_that_is_over_is_written_down),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
