/* SPDX-License-Identifier: Apache-2.0 */
/* domain/checkpoint_settle.c: what a dead command has asked for may come late; libvirt's test
 * driver, and qemu-img. */
#include <errno.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "domain/checkpoint_settle.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/guest_freeze.h"
#include "tests/unit/domain/libvirt_session.h"
#include "tests/unit/domain/pause_reason.h"

static char memory[PATH_MAX];
static int looks, made_after; /* so many looks at the domain's job; 0: never */

static void make_late(virDomainPtr domain)
{
    virDomainSnapshotPtr snapshot =
        virDomainSnapshotCreateXML(domain, "<domainsnapshot><name>late</name></domainsnapshot>", 0);
    assert_non_null(snapshot);
    (void)virDomainSnapshotFree(snapshot);
}

int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info);
int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info)
{
    *info = (virDomainJobInfo){.type = VIR_DOMAIN_JOB_NONE};
    if (++looks == made_after)
        make_late(domain);
    return 0;
}

static bool is_written; /* by a QEMU */

bool __wrap_qemu_img_is_written(const char *path);
bool __wrap_qemu_img_is_written(const char *path)
{
    (void)path;
    return is_written;
}

static int thaws;
static bool agent_is_silent;

int __wrap_guest_freeze_end_left(struct guest_freeze *freeze, virDomainPtr domain,
                                 struct error *error);
int __wrap_guest_freeze_end_left(struct guest_freeze *freeze, virDomainPtr domain,
                                 struct error *error)
{
    (void)freeze;
    (void)domain;
    thaws++;
    return agent_is_silent ? error_set(error, EBUSY, EXC_INTERNAL_ERROR, "no answer") : 0;
}

static int set_up(void **state)
{
    (void)state;
    looks = made_after = 0;
    reason_of_pause = -1;
    is_written = agent_is_silent = false;
    thaws = 0;
    (void)unlink(temp_path("overlay"));
    (void)snprintf(memory, sizeof(memory), "%s/memory", temp_folder);
    int fd = open(memory, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, "memory", 6) != 6 || close(fd) < 0)
        return -1;
    begin_session();
    return 0;
}

static void note(const char *name, json_t *value)
{
    need(record_note(session->record, name, value, &err));
}

static void note_asked(uint64_t at_ms)
{
    note("snapshot", json_pack("{s:s, s:b, s:b, s:b, s:s, s:[]}", "name", "late", "was_running", 1,
                               "halts", 0, "quiesce", 0, "memory", memory, "disks"));
    note("begun", json_integer((json_int_t)at_ms));
}

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    if (system(command) != 0) /* NOLINT(cert-env33-c) */
        fail_msg("%s", command);
}

static json_int_t inode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (json_int_t)st.st_ino;
}

/* libvirt has made the disk's new file, and knows of no checkpoint. */
static void note_unknown_in(const char *folder, const char *overlay)
{
    const char *base = temp_path("base");
    run("qemu-img create -q -f qcow2 %s 1M", base);
    run("qemu-img create -q -f qcow2 -b %s -F qcow2 %s", base, overlay);
    note("snapshot", json_pack("{s:s, s:b, s:[{s:s, s:s, s:s, s:I}]}", "name", "lost",
                               "was_running", 0, "disks", "target", "vda", "base", base, "overlay",
                               overlay, "folder", inode_of(folder)));
    note("begun", json_integer((json_int_t)clock_now_ms()));
    note("answered", json_true());
}

static void note_unknown(const char *overlay)
{
    note_unknown_in(temp_folder, overlay);
}

static void settle(void)
{
    need(checkpoint_settle(session, &err));
}

static void what_comes_late_keeps_its_files(void **state)
{
    (void)state;
    note_asked(clock_now_ms());
    made_after = 3;
    settle();
    assert_int_equal(access(memory, F_OK), 0);
}

static void what_was_refused_is_not_waited_for(void **state)
{
    (void)state;
    note_asked(clock_now_ms());
    note("answered", json_true());
    settle();
    assert_int_equal(looks, 1);
    assert_int_equal(access(memory, F_OK), -1);
}

/* Of a guest that ran, when libvirt has answered. */
static int state_when_paused_for(int reason)
{
    int state = VIR_DOMAIN_NOSTATE;
    note_asked(clock_now_ms());
    note("answered", json_true());
    need(virDomainSuspend(session->domain));
    reason_of_pause = reason;
    settle();
    need(virDomainGetState(session->domain, &state, NULL, 0));
    if (state == VIR_DOMAIN_PAUSED)
        need(virDomainResume(session->domain));
    return state;
}

static void a_guest_that_libvirt_could_not_let_run_does(void **state)
{
    (void)state;
    assert_int_equal(state_when_paused_for(LIBVIRT_PAUSED_API_ERROR), VIR_DOMAIN_RUNNING);
}

/* It was thawed before it was asked for: a freeze of now is this one's. */
static void a_guest_that_was_frozen_is_thawed(void **state)
{
    (void)state;
    note("snapshot", json_pack("{s:s, s:b, s:[]}", "name", "frozen", "quiesce", 1, "disks"));
    note("begun", json_integer((json_int_t)clock_now_ms()));
    note("answered", json_true());
    agent_is_silent = true;
    assert_int_equal(checkpoint_settle(session, &err), -EBUSY);
    agent_is_silent = false;
    settle();
    assert_int_equal(thaws, 2);
}

static void one_that_a_user_has_paused_does_not(void **state)
{
    (void)state;
    assert_int_equal(state_when_paused_for(VIR_DOMAIN_PAUSED_USER), VIR_DOMAIN_PAUSED);
}

static void nor_what_was_asked_for_long_ago(void **state)
{
    (void)state;
    note_asked(clock_now_ms() > 3600000 ? clock_now_ms() - 3600000 : 0);
    settle();
    assert_int_equal(looks, 1);
    assert_int_equal(access(memory, F_OK), -1);
}

/* Nor was it this that was asked for: the guest was paused before. */
static void somebodys_file_stays(void **state)
{
    (void)state;
    note("begun", json_integer((json_int_t)clock_now_ms()));
    note("answered", json_true());
    note("snapshot",
         json_pack("{s:s, s:i, s:s, s:[]}", "name", "late", "asked", 1, "memory", memory, "disks"));
    settle();
    assert_int_equal(access(memory, F_OK), 0);
    note("unreserved", json_true());
    settle();
    assert_int_equal(access(memory, F_OK), 0);
}

static void an_empty_file_that_nothing_names_goes(void **state)
{
    (void)state;
    const char *overlay = temp_path("overlay");
    note_unknown(overlay);
    settle();
    assert_int_equal(access(overlay, F_OK), -1);
}

/* QEMU had gone on there when libvirtd died, which knows of neither. */
static void what_a_guest_has_written_stays(void **state)
{
    (void)state;
    static const char *const writes[] = {"write 512k 64k", "write -z 512k 64k"};
    const char *overlay = temp_path("overlay");
    for (size_t i = 0; i < 2; i++) {
        note_unknown(overlay);
        run("qemu-io -f qcow2 -c '%s' %s >/dev/null", writes[i], overlay);
        for (int time = 0; time < 2; time++) { /* each command tells */
            err = (struct error)ERROR_INIT;
            assert_int_equal(checkpoint_settle(session, &err), -EBUSY);
            assert_non_null(strstr(err.message, "`virsh edit` before the next start"));
        }
        assert_int_equal(access(overlay, F_OK), 0);
        assert_int_equal(record_end(session->record, &err), 0);
    }
}

static void define_with(const char *disk)
{
    static const char form[] = "<domain type='test'><name>test</name><uuid>%s</uuid>"
                               "<memory>65536</memory><os><type>hvm</type></os><devices>"
                               "<disk type='file' device='disk'><driver type='qcow2'/>"
                               "<source file='%s'/><target dev='vda'/></disk></devices></domain>";
    char xml[1024];
    (void)snprintf(xml, sizeof(xml), form, session->uuid, disk);
    virDomainPtr domain = virDomainDefineXML(virDomainGetConnect(session->domain), xml);
    assert_non_null(domain);
    (void)virDomainFree(domain);
}

/* Until it is the domain's disk, or has gone. */
static void what_a_guest_has_written_becomes_its_disk(void **state)
{
    (void)state;
    const char *overlay = temp_path("overlay");
    note_unknown(overlay);
    run("qemu-io -f qcow2 -c 'write 512k 64k' %s >/dev/null", overlay);
    define_with(temp_path("base"));
    assert_int_equal(checkpoint_settle(session, &err), -EBUSY);
    define_with(overlay);
    settle();
    assert_int_equal(access(overlay, F_OK), 0);
    define_with(temp_path("base"));
    err = (struct error)ERROR_INIT;
    assert_int_equal(checkpoint_settle(session, &err), -EBUSY);
    assert_int_equal(unlink(overlay), 0);
    settle();
}

/* libvirt's next start would be on the file below. */
static void what_a_guest_writes_to_is_told(void **state)
{
    (void)state;
    const char *overlay = temp_path("overlay");
    note_unknown(overlay);
    is_written = true;
    assert_int_equal(checkpoint_settle(session, &err), -EBUSY);
    assert_non_null(strstr(err.message, "`virsh edit` before the guest stops"));
    assert_non_null(strstr(err.message, overlay));
    define_with(overlay); /* of its next start alone */
    err = (struct error)ERROR_INIT;
    assert_int_equal(checkpoint_settle(session, &err), -EBUSY);
    assert_non_null(strstr(err.message, "until the guest is stopped and started"));
    assert_int_equal(virDomainDestroy(session->domain), 0);
    assert_int_equal(virDomainCreate(session->domain), 0);
    settle();
    assert_int_equal(access(overlay, F_OK), 0);
}

static int settle_again(void)
{
    err = (struct error)ERROR_INIT;
    return checkpoint_settle(session, &err);
}

static void move_storage(const char *from, const char *to)
{
    assert_int_equal(rename(temp_path(from), temp_path(to)), 0);
}

/* A mount point with nothing mounted: the file that is not in it may be all that was written. */
static void assert_away_is_not_gone(void)
{
    move_storage("storage", "away");
    assert_int_equal(settle_again(), -ENOENT); /* no folder */
    assert_int_equal(mkdir(temp_path("storage"), 0700), 0);
    assert_int_equal(settle_again(), -ENOENT); /* another one */
    assert_non_null(strstr(err.message, "mounted"));
    assert_int_equal(rmdir(temp_path("storage")), 0);
    move_storage("away", "storage");
}

static void storage_that_is_away_is_waited_for(void **state)
{
    (void)state;
    const char *overlay = temp_path("storage/overlay");
    assert_int_equal(mkdir(temp_path("storage"), 0700), 0);
    note_unknown_in(temp_path("storage"), overlay);
    run("qemu-io -f qcow2 -c 'write 512k 64k' %s >/dev/null", overlay);
    assert_away_is_not_gone();
    assert_int_equal(settle_again(), -EBUSY);
    assert_int_equal(unlink(overlay), 0);
    settle();
    assert_int_equal(rmdir(temp_path("storage")), 0);
}

static void also_for_a_memory(void **state)
{
    (void)state;
    const char *file = temp_path("storage/memory");
    assert_int_equal(mkdir(temp_path("storage"), 0700), 0);
    assert_int_equal(rename(memory, file), 0);
    note("snapshot", json_pack("{s:s, s:s, s:I, s:[]}", "name", "late", "memory", file,
                               "memory_folder", inode_of(temp_path("storage")), "disks"));
    note("begun", json_integer(0));
    assert_away_is_not_gone();
    settle();
    assert_int_equal(rmdir(temp_path("storage")), 0);
}

static void what_cannot_be_read_is_not_empty(void **state)
{
    (void)state;
    const char *overlay = temp_path("overlay");
    note_unknown(overlay);
    run("dd if=/dev/zero bs=8 count=1 conv=notrunc status=none of=%s", overlay);
    for (int time = 0; time < 2; time++)
        assert_true(settle_again() < 0);
    assert_non_null(strstr(err.message, overlay));
    assert_int_equal(access(overlay, F_OK), 0);
    assert_int_equal(unlink(overlay), 0);
    settle();
}

static void what_is_no_layer_is_somebodys(void **state)
{
    (void)state;
    const char *overlay = temp_path("overlay");
    note_unknown(overlay);
    run("echo mine >%s", overlay);
    settle();
    assert_int_equal(access(overlay, F_OK), 0);
    assert_int_equal(unlink(overlay), 0);
}

/* The guest would write to a layer that no record has. */
static void a_disk_that_cannot_be_noted_is_an_error(void **state)
{
    (void)state;
    struct checkpoint_disk disk = {.target = "vda", .base = "/d/a"};
    const struct checkpoint_plan plan = {.name = "now", .disks = &disk, .disk_count = 1};
    json_t *noted = NULL;
    (void)snprintf(disk.overlay, sizeof(disk.overlay), "%s", temp_path("overlay-\xff"));
    assert_true(
        checkpoint_settle_note(session, &plan, &(struct checkpoint_request){0}, &noted, &err) < 0);
    assert_null(noted);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, end_session)
    const struct CMUnitTest tests[] = {
        TEST(what_comes_late_keeps_its_files),
        TEST(what_was_refused_is_not_waited_for),
        TEST(a_guest_that_libvirt_could_not_let_run_does),
        TEST(one_that_a_user_has_paused_does_not),
        TEST(a_guest_that_was_frozen_is_thawed),
        TEST(nor_what_was_asked_for_long_ago),
        TEST(somebodys_file_stays),
        TEST(an_empty_file_that_nothing_names_goes),
        TEST(what_a_guest_has_written_stays),
        TEST(what_a_guest_has_written_becomes_its_disk),
        TEST(what_a_guest_writes_to_is_told),
        TEST(storage_that_is_away_is_waited_for),
        TEST(also_for_a_memory),
        TEST(what_cannot_be_read_is_not_empty),
        TEST(what_is_no_layer_is_somebodys),
        TEST(a_disk_that_cannot_be_noted_is_an_error),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
