/* SPDX-License-Identifier: Apache-2.0 */
/* tool/domain.c: `domain recover --all` asks the libvirt of each record, of merges last. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/id.h"
#include "tests/unit/driver/temp_folder.h"
#include "tool/domain.h"
#include "tool/domain_session.h"

#define OF_ANOTHER "2e0af6cc-8dab-4d5d-b039-8bb41cec430e"
#define OF_OLDER "3e0af6cc-8dab-4d5d-b039-8bb41cec430e"
#define OF_A_USER "4e0af6cc-8dab-4d5d-b039-8bb41cec430e"
#define ANOTHER "qemu:///system?socket=/run/another/virtqemud-sock"
#define OF_USER "qemu:///session"

static struct asked {
    char uuid[ID_UUID_SIZE];
    char uri[128];
} asked[8];
static size_t asked_count;

int __wrap_session_open(const struct session_options *options, const char *domain_name,
                        struct session **ret_session, struct error *err);
int __wrap_session_open(const struct session_options *options, const char *domain_name,
                        struct session **ret_session, struct error *err)
{
    struct asked *one = &asked[asked_count++];
    (void)ret_session;
    (void)snprintf(one->uuid, sizeof(one->uuid), "%s", domain_name);
    (void)snprintf(one->uri, sizeof(one->uri), "%s", options->uri ? options->uri : "");
    return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "another command is at work");
}

static void write_down(const char *uuid, const char *uri)
{
    struct error err = ERROR_INIT;
    struct record *record = NULL;
    assert_int_equal(record_open(temp_folder, uuid, &record, &err), 0);
    if (uri)
        assert_int_equal(record_set_libvirt(record, uri, &err), 0);
    assert_int_equal(record_note(record, "domain", json_pack("{s:s}", "name", "web"), &err), 0);
    record_close(record);
}

static const char *uri_of(const char *uuid)
{
    const char *uri = NULL;
    for (size_t i = 0; i < asked_count; i++)
        uri = strcmp(asked[i].uuid, uuid) == 0 ? asked[i].uri : uri;
    return uri;
}

static enum invocation_exit recover(const char *connect)
{
    const struct invocation invocation = {.values = {[INVOCATION_ALL] = "",
                                                     [INVOCATION_JSON] = "",
                                                     [INVOCATION_STATE_DIR] = temp_folder,
                                                     [INVOCATION_CONNECT] = connect}};
    asked_count = 0;
    return domain_recover(&invocation);
}

static void each_by_the_libvirt_it_is_of(void **state)
{
    (void)state;
    write_down(OF_ANOTHER, ANOTHER);
    write_down(OF_OLDER, NULL);
    assert_int_equal(recover(NULL), INVOCATION_DONE);
    assert_int_equal(asked_count, 2);
    assert_string_equal(uri_of(OF_ANOTHER), ANOTHER);
    assert_string_equal(uri_of(OF_OLDER), "");
    assert_int_equal(recover("qemu:///system"), INVOCATION_DONE);
    assert_string_equal(uri_of(OF_ANOTHER), ANOTHER);
    assert_string_equal(uri_of(OF_OLDER), "qemu:///system");
}

/* Which that is depends on who asks: the timer's service has no XDG_RUNTIME_DIR. */
static void a_users_own_libvirt_only_where_it_is_given(void **state)
{
    (void)state;
    write_down(OF_A_USER, OF_USER);
    assert_int_equal(recover(NULL), INVOCATION_DONE);
    assert_null(uri_of(OF_A_USER));
    assert_non_null(uri_of(OF_ANOTHER));
    assert_int_equal(recover(OF_USER), INVOCATION_DONE);
    assert_string_equal(uri_of(OF_A_USER), OF_USER);
    assert_string_equal(uri_of(OF_ANOTHER), ANOTHER);
}

static void note(const char *uuid, const char *name)
{
    struct error err = ERROR_INIT;
    struct record *record = NULL;
    assert_int_equal(record_open(temp_folder, uuid, &record, &err), 0);
    assert_int_equal(record_note(record, name, json_object(), &err), 0);
    record_close(record);
}

static void forget(const char *uuid)
{
    struct error err = ERROR_INIT;
    struct record *record = NULL;
    assert_int_equal(record_open(temp_folder, uuid, &record, &err), 0);
    assert_int_equal(record_end(record, &err), 0);
    record_close(record);
}

/* In whatever order the folder has them. */
static void what_takes_hours_keeps_no_guest_waiting(void **state)
{
    (void)state;
    static const char *const uuids[] = {OF_ANOTHER, OF_OLDER};
    for (size_t merge = 0; merge < 2; merge++) {
        note(uuids[merge], "merge");
        note(uuids[1 - merge], "revert");
        assert_int_equal(recover(NULL), INVOCATION_DONE);
        assert_int_equal(asked_count, 2);
        assert_string_equal(asked[0].uuid, uuids[1 - merge]);
        assert_string_equal(asked[1].uuid, uuids[merge]);
        forget(OF_ANOTHER);
        forget(OF_OLDER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_takes_hours_keeps_no_guest_waiting),
        cmocka_unit_test(each_by_the_libvirt_it_is_of),
        cmocka_unit_test(a_users_own_libvirt_only_where_it_is_given),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
