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

#include "common/cleanup.h"
#include "tests/unit/domain/libvirt_session.h"

#define LOST "2e0af6cc-8dab-4d5d-b039-8bb41cec430e"

/* Of another libvirt, which has one domain, with the uuid of the first one's "test". */
#define UUID_OF_TEST "6695eb01-f6a4-8304-79aa-97f2502e193f"
#define NODE                                                                                       \
    "<node><domain type='test'><name>web</name><uuid>" UUID_OF_TEST "</uuid>"                      \
    "<memory>8192</memory><os><type>hvm</type></os></domain></node>"

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

/* It would find no domain there, or another one, and end what it knows nothing of. */
static void one_that_is_another_libvirts(void **state)
{
    (void)state;
    static const char *const names[] = {"test", UUID_OF_TEST, "web"};
    char uri[128];
    FILE *node = fopen(temp_path("node.xml"), "we");
    assert_non_null(node);
    assert_true(fputs(NODE, node) >= 0);
    assert_int_equal(fclose(node), 0);
    (void)snprintf(uri, sizeof(uri), "test://%s", temp_path("node.xml"));
    begin_session();
    need(session_note_domain(session, &err));
    json_t *kept = json_pack("{s:O}", "domain", record_all(session->record, "domain"));
    need(record_restart(session->record, kept, &err));
    session_close(session);
    session = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_int_equal(open_session(uri, names[i], false), -EINVAL);
        assert_non_null(strstr(err.message, "is of --connect " TEST_DRIVER ": give that"));
        assert_null(session);
        err = (struct error)ERROR_INIT;
    }
    begin_session();
    assert_non_null(session->domain);
    assert_false(record_is_empty(session->record));
    need(record_end(session->record, &err));
    need(session_note_domain(session, &err));
    session_close(session);
    session = NULL;
    assert_int_equal(open_session(uri, "web", false), -EINVAL); /* also the next record of it */
    begin_session();
}

/* `domain recover --all`, which a timer starts, leaves the record of a command that lives alone. */
static void one_that_another_command_is_at_work_on(void **state)
{
    (void)state;
    struct domain_lock *lock = NULL;
    struct record *record = NULL;
    write_down("web");
    need(domain_lock_take(temp_path("locks"), LOST, &lock, &err));
    need(record_open(temp_folder, LOST, &record, &err));
    assert_int_equal(open_session(TEST_DRIVER, LOST, false), -EBUSY);
    assert_non_null(strstr(err.message, "is at work on the domain"));
    assert_null(session);
    assert_int_equal(record_note(record, "saved", json_true(), &err), 0);
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
    domain_lock_release(lock);
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
        TEST(one_that_is_another_libvirts),
        TEST(one_that_another_command_is_at_work_on),
        TEST(a_freeze_that_is_over_is_written_down),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
