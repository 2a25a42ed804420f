/* SPDX-License-Identifier: Apache-2.0 */
/* domain/restore_settle.c: a guest that was not started can be restored again; libvirt's test
 * driver. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "domain/disk_fingerprint.h"
#include "domain/restore_settle.h"
#include "domain/save_record.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"
#include "tests/unit/domain/libvirt_session.h"
#include "tests/unit/domain/pause_reason.h"

static const char *disk, *record;

static bool is_lost; /* the connection */

bool __wrap_libvirt_connection_is_lost(struct libvirt_connection *connection, virDomainPtr domain);
bool __wrap_libvirt_connection_is_lost(struct libvirt_connection *connection, virDomainPtr domain)
{
    (void)connection;
    (void)domain;
    return is_lost;
}

static bool runs_by_itself; /* libvirt has let it run while it was asked to */

int __real_virDomainResume(virDomainPtr domain);
int __wrap_virDomainResume(virDomainPtr domain);
int __wrap_virDomainResume(virDomainPtr domain)
{
    int r = __real_virDomainResume(domain);
    return runs_by_itself ? -1 : r;
}

static void write_disk(void)
{
    int fd = open(disk, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, "disk", 4) != 4 || close(fd) < 0)
        fail_msg("cannot write %s", disk);
}

/* The record of a guest that was saved on one disk. */
static void save(void)
{
    json_t *taken = NULL;
    json_t *layers = json_pack("[{s:s, s:s, s:b, s:b}]", "disk", "vda", "path", disk, "is_top", 1,
                               "is_device", 0);
    need(disk_fingerprint_take(layers, false, NULL, &taken, &err));
    json_t *content = json_pack("{s:o}", "layers", taken);
    need(save_record_write(record, content, &err));
    json_decref(content);
    json_decref(layers);
}

static int set_up(void **state)
{
    (void)state;
    disk = temp_path("disk");
    record = temp_path("memory.disks");
    reason_of_pause = -1;
    is_lost = runs_by_itself = false;
    write_disk();
    save();
    begin_session();
    return virDomainDestroy(session->domain);
}

static int tear_down(void **state)
{
    if (virDomainIsActive(session->domain) == 0)
        (void)virDomainCreate(session->domain);
    return end_session(state);
}

static void note_restore(bool is_checked)
{
    need(record_note(
        session->record, "restore",
        json_pack("{s:b, s:s, s:b}", "is_managed", 0, "disks", record, "is_checked", is_checked),
        &err));
}

static void note_that_it_was_asked_for(void)
{
    need(record_note(session->record, "begun", json_integer(1), &err));
}

/* Well behind what was noted last. */
static void give_disk_back(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    assert_int_equal(chmod(disk, 0640), 0);
}

static void *start_late(void *arg)
{
    (void)arg;
    (void)nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    (void)virDomainCreate(session->domain);
    return NULL;
}

static int compare(void)
{
    json_t *content = NULL;
    need(save_record_read(record, &content, &err));
    int r = disk_fingerprint_compare(json_object_get(content, "layers"), false, NULL, &err);
    json_decref(content);
    return r;
}

static void one_that_was_not_started(void **state)
{
    (void)state;
    note_restore(true);
    assert_int_equal(chmod(disk, 0640), 0); /* libvirt gives it to QEMU */
    restore_settle_refused(session);
    need(restore_settle(session, &err));
    need(compare());
}

static void a_disk_that_was_changed_later(void **state)
{
    (void)state;
    note_restore(true);
    need(record_note(session->record, "refused", json_integer(1), &err));
    assert_int_equal(chmod(disk, 0640), 0);
    need(restore_settle(session, &err));
    assert_int_equal(compare(), -ESTALE);
}

static void a_disk_that_was_written_to(void **state)
{
    (void)state;
    note_restore(true);
    write_disk();
    restore_settle_refused(session);
    need(restore_settle(session, &err));
    assert_int_equal(compare(), -ESTALE);
}

static void one_that_was_forced(void **state)
{
    (void)state;
    note_restore(false);
    note_that_it_was_asked_for();
    assert_int_equal(chmod(disk, 0640), 0);
    restore_settle_refused(session);
    need(restore_settle(session, &err));
    assert_int_equal(compare(), -ESTALE);
}

/* Whoever has changed it, libvirt has not. */
static void one_that_libvirt_was_not_asked_for(void **state)
{
    (void)state;
    note_restore(true);
    assert_int_equal(chmod(disk, 0640), 0);
    need(restore_settle(session, &err));
    assert_int_equal(compare(), -ESTALE);
}

/* It has started the guest, which has ended since, as with a host that lost its power: its disks
 * are no more what its memory knew. */
static void one_that_libvirt_has_answered(void **state)
{
    (void)state;
    note_restore(true);
    note_that_it_was_asked_for();
    need(record_note(session->record, "answered", json_true(), &err));
    give_disk_back();
    need(restore_settle(session, &err));
    assert_int_equal(compare(), -ESTALE);
}

/* libvirt has failed later. */
static void one_whose_command_was_killed(void **state)
{
    (void)state;
    note_restore(true);
    note_that_it_was_asked_for();
    give_disk_back();
    need(restore_settle(session, &err));
    need(compare());
}

static void what_came_behind_that_is_told(void **state)
{
    (void)state;
    one_whose_command_was_killed(state);
    give_disk_back();
    need(restore_settle(session, &err));
    assert_int_equal(compare(), -ESTALE);
}

/* The one that is started anew ends QEMU, and gives its disks back then. */
static void one_whose_libvirtd_has_died(void **state)
{
    (void)state;
    note_restore(true);
    note_that_it_was_asked_for();
    is_lost = true;
    restore_settle_refused(session);
    is_lost = false;
    give_disk_back();
    need(restore_settle(session, &err));
    need(compare());
}

/* A managed memory that was saved paused; its command died behind the start, whose record may be
 * missing, as with --force. */
static int state_after(int reason, const char *of_disks)
{
    int state = VIR_DOMAIN_NOSTATE;
    if (virDomainIsActive(session->domain) == 0)
        need(virDomainCreate(session->domain));
    need(virDomainSuspend(session->domain));
    reason_of_pause = reason;
    need(record_note(session->record, "restore",
                     json_pack("{s:b, s:s, s:b, s:b}", "is_managed", 1, "disks", of_disks,
                               "is_checked", 1, "is_to_run", 1),
                     &err));
    need(restore_settle(session, &err));
    need(virDomainGetState(session->domain, &state, NULL, 0));
    assert_string_equal(session->outcome, "the guest goes on from its memory");
    if (state == VIR_DOMAIN_PAUSED)
        need(virDomainResume(session->domain));
    return state;
}

static void one_that_was_to_run_does(void **state)
{
    (void)state;
    assert_int_equal(state_after(VIR_DOMAIN_PAUSED_MIGRATION, record), VIR_DOMAIN_RUNNING);
    assert_int_equal(access(record, F_OK), -1);
    assert_int_equal(state_after(VIR_DOMAIN_PAUSED_MIGRATION, ""), VIR_DOMAIN_RUNNING);
    assert_int_equal(state_after(LIBVIRT_PAUSED_API_ERROR, ""), VIR_DOMAIN_RUNNING);
}

static void one_that_libvirt_lets_run_meanwhile_does(void **state)
{
    (void)state;
    runs_by_itself = true;
    assert_int_equal(state_after(VIR_DOMAIN_PAUSED_STARTING_UP, ""), VIR_DOMAIN_RUNNING);
}

static void one_that_a_user_has_paused_since_does_not(void **state)
{
    (void)state;
    assert_int_equal(state_after(VIR_DOMAIN_PAUSED_USER, record), VIR_DOMAIN_PAUSED);
}

/* libvirt had not begun with the call of the dead command. */
static void a_start_that_comes_late_is_seen(void **state)
{
    (void)state;
    note_restore(true);
    need(record_note(session->record, "begun", json_integer((json_int_t)clock_now_ms()), &err));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, start_late, NULL), 0);
    need(restore_settle(session, &err));
    assert_int_equal(pthread_join(thread, NULL), 0);
    json_t *content = NULL;
    need(save_record_read(record, &content, &err));
    assert_true(json_integer_value(json_object_get(content, "used_ms")) > 0);
    json_decref(content);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_was_not_started),           TEST(a_disk_that_was_changed_later),
        TEST(a_disk_that_was_written_to),         TEST(one_that_was_forced),
        TEST(one_that_libvirt_was_not_asked_for), TEST(one_that_libvirt_has_answered),
        TEST(one_whose_command_was_killed),       TEST(what_came_behind_that_is_told),
        TEST(one_whose_libvirtd_has_died),        TEST(one_that_libvirt_lets_run_meanwhile_does),
        TEST(one_that_was_to_run_does),           TEST(one_that_a_user_has_paused_since_does_not),
        TEST(a_start_that_comes_late_is_seen),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
