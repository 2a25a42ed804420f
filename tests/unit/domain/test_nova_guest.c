/* SPDX-License-Identifier: Apache-2.0 */
/* domain/nova_guest.c: what is refused of a server of nova's, and told; libvirt's test driver. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "domain/checkpoint_take.h"
#include "domain/flatten_plan.h"
#include "domain/nova_guest.h"
#include "tests/unit/domain/libvirt_session.h"

#define NOVA "http://openstack.org/xmlns/libvirt/nova/1.1"
#define NOVAS                                                                                      \
    "<domain><metadata><nova:instance xmlns:nova='" NOVA "'/></metadata><devices/></domain>"
#define OTHERS                                                                                     \
    "<domain><metadata><x:instance xmlns:x='http://example.com'/></metadata><devices/></domain>"

static void need_words(const char *text, const char *const *words)
{
    assert_non_null(text);
    for (; *words; words++)
        if (!strstr(text, *words))
            fail_msg("no \"%s\" in: %s", *words, text);
}

static void who_is_novas(void **state)
{
    (void)state;
    assert_true(nova_guest_is(NOVAS));
    assert_false(nova_guest_is(OTHERS));
    assert_false(nova_guest_is("<domain><devices/></domain>"));
    assert_false(nova_guest_is("no XML"));
}

/* Each names what of nova's must not be done now. */
static void what_is_told_behind_a_command(void **state)
{
    (void)state;
    static const struct {
        enum nova_guest_command command;
        const char *words[5];
    } cases[] = {
        {NOVA_GUEST_CHECKPOINT, {"delete-checkpoint", "start", "hard reboot", "with the host"}},
        {NOVA_GUEST_INTERNAL, {"delete-checkpoint", "start", "hard reboot"}},
        {NOVA_GUEST_REVERT, {"start", "hard reboot", "with the host"}},
        {NOVA_GUEST_SAVE, {"domain restore", "start", "hard reboot", "with the host"}},
        {NOVA_GUEST_RESTORE, {"ten minutes"}},
        {NOVA_GUEST_LAYERED, {"flatten", "start", "hard reboot", "with the host"}},
        {NOVA_GUEST_WHOLE, {"nova's own files again"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        need_words(nova_guest_warning(NOVAS, cases[i].command), cases[i].words);
        assert_null(nova_guest_warning(OTHERS, cases[i].command));
    }
}

static void layers_are_refused(void **state)
{
    (void)state;
    static const char *const words[] = {"start", "hard reboot", "resume_guests_state_on_host_boot",
                                        "--force", NULL};
    assert_int_equal(nova_guest_refuse_checkpoint(OTHERS, &err), 0);
    assert_int_equal(nova_guest_refuse_checkpoint(NOVAS, &err), -EINVAL);
    need_words(err.message, words);
}

static void open_novas(void)
{
    begin_session();
    assert_int_equal(virDomainSetMetadata(session->domain, VIR_DOMAIN_METADATA_ELEMENT,
                                          "<instance/>", "nova", NOVA, 0),
                     0);
}

static int take(const struct checkpoint_request *request)
{
    struct checkpoint_report report;
    err = (struct error)ERROR_INIT;
    int r = checkpoint_take(session, request, &report, &err);
    checkpoint_take_done(&report);
    return r;
}

/* The test driver's domain has no disk, so it comes no further than to its plan. */
static void a_checkpoint_of_novas_takes_force(void **state)
{
    (void)state;
    open_novas();
    assert_int_equal(take(&(struct checkpoint_request){.disk_only = true}), -EINVAL);
    assert_non_null(strstr(err.message, "nova owns"));
    assert_true(take(&(struct checkpoint_request){.disk_only = true, .force = true}) < 0);
    assert_null(strstr(err.message, "nova"));
    assert_true(take(&(struct checkpoint_request){.internal = true}) < 0);
    assert_null(strstr(err.message, "nova"));
    assert_null(nova_guest_warning_of(&(struct session){.domain = NULL}, NOVA_GUEST_SAVE));
    assert_non_null(nova_guest_warning_of(session, NOVA_GUEST_SAVE));
}

/* libvirt refuses nova's undefine as long as there is one. */
static void a_checkpoint_that_is_left_is_told(void **state)
{
    (void)state;
    open_novas();
    assert_true(flatten_plan_is_whole(session));
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(
        session->domain, "<domainsnapshot><name>left</name></domainsnapshot>", 0);
    assert_non_null(snapshot);
    assert_false(flatten_plan_is_whole(session));
    assert_int_equal(virDomainSnapshotDelete(snapshot, 0), 0);
    (void)virDomainSnapshotFree(snapshot);
    assert_true(flatten_plan_is_whole(session));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, end_session)
    const struct CMUnitTest tests[] = {
        TEST(who_is_novas),
        TEST(what_is_told_behind_a_command),
        TEST(layers_are_refused),
        TEST(a_checkpoint_of_novas_takes_force),
        TEST(a_checkpoint_that_is_left_is_told),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
