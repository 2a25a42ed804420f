/* SPDX-License-Identifier: Apache-2.0 */
/* domain/save_settle.c: how a save or a restore that was left ends; libvirt's test driver. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "domain/domain_run.h"
#include "domain/image_settle.h"
#include "domain/save_record.h"
#include "domain/save_settle.h"
#include "tests/unit/domain/libvirt_session.h"

#define WHOLE "LibvirtQemudSave and what is behind"

static const char *memory, *memory_partial, *disks, *disks_partial;
static int looks, saved_after; /* so many looks at the domain's job; 0: never */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) < 0)
        fail_msg("cannot write %s", path);
}

int __wrap_virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params,
                                int *count, unsigned flags);
int __wrap_virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params,
                                int *count, unsigned flags)
{
    (void)flags;
    *type = VIR_DOMAIN_JOB_NONE;
    *params = NULL;
    *count = 0;
    if (++looks != saved_after)
        return 0;
    write_file(memory_partial, WHOLE);
    return virDomainDestroy(domain);
}

static int set_up(void **state)
{
    (void)state;
    looks = saved_after = 0;
    memory = temp_path("memory");
    memory_partial = temp_path("memory.partial");
    disks = temp_path("memory.disks");
    disks_partial = temp_path("memory.disks.partial");
    begin_session();
    return 0;
}

static int tear_down(void **state)
{
    if (session->domain && virDomainIsActive(session->domain) == 0)
        (void)virDomainCreate(session->domain);
    (void)end_session(state);
    (void)unlink(memory);
    (void)unlink(memory_partial);
    (void)unlink(disks);
    return 0;
}

static void note(const char *name, json_t *value)
{
    need(record_note(session->record, name, value, &err));
}

/* Takes `run` and `layers`. */
static void note_save_with(json_t *run, json_t *layers)
{
    json_t *of_memory = NULL, *of_disks = NULL;
    if (image_settle_note(memory_partial, memory, &of_memory, &err) < 0 ||
        image_settle_note(disks_partial, disks, &of_disks, &err) < 0)
        fail_msg("%s", err.message);
    note("save", json_pack("{s:b, s:b, s:o*, s:s, s:i, s:o, s:o, s:o}", "is_managed", 0,
                           "is_running", 1, "run", run, "name", "test", "stopped_ms", 1, "layers",
                           layers, "disks", of_disks, "memory", of_memory));
}

/* Takes `run`. */
static void note_save_of(json_t *run)
{
    note_save_with(run, json_array());
}

static json_t *run_of_now(void)
{
    json_t *run = NULL;
    need(domain_run_read(session, &run, &err));
    return run;
}

static void note_save(void)
{
    note_save_of(run_of_now());
}

static void settle(void)
{
    need(save_settle(session, &err));
}

/* Its client has died while it waited for another's job. */
static void a_save_that_comes_late_is_kept(void **state)
{
    (void)state;
    note_save();
    note("begun", json_integer((json_int_t)clock_now_ms()));
    saved_after = 3;
    settle();
    assert_int_equal(access(memory, F_OK), 0);
    assert_int_equal(access(disks, F_OK), 0);
}

static void one_that_was_refused_is_not_waited_for(void **state)
{
    (void)state;
    note_save();
    note("begun", json_integer((json_int_t)clock_now_ms()));
    note("answered", json_true());
    write_file(memory_partial, "LibvirtQemudPart");
    settle();
    assert_int_equal(looks, 1);
    assert_int_equal(access(memory_partial, F_OK), -1);
}

/* Started by somebody since: what the session has looked up still has the id of before. */
static void another_guest_is_not_the_one_that_was_saved(void **state)
{
    (void)state;
    note_save();
    write_file(memory_partial, WHOLE);
    virDomainPtr domain = virDomainLookupByName(virDomainGetConnect(session->domain), "test");
    assert_int_equal(virDomainDestroy(domain), 0);
    assert_int_equal(virDomainCreate(domain), 0);
    (void)virDomainFree(domain);
    settle();
    assert_int_equal(access(memory, F_OK), 0);
}

/* libvirtd was started anew as well, and has given the id of the saved guest again. */
static void nor_is_one_of_the_same_id(void **state)
{
    (void)state;
    note_save_of(
        json_pack("{s:i, s:s}", "id", (int)virDomainGetID(session->domain), "qemu", "boot 4711 1"));
    write_file(memory_partial, WHOLE);
    settle();
    assert_int_equal(access(memory, F_OK), 0);
}

static void nor_one_that_an_old_record_tells_of(void **state)
{
    (void)state;
    note_save_of(NULL);
    write_file(memory_partial, WHOLE);
    settle();
    assert_int_equal(access(memory, F_OK), 0);
}

/* Libvirt has saved it; takes `layers`. */
static void save_guest_with(json_t *layers)
{
    note_save_with(run_of_now(), layers);
    write_file(memory_partial, WHOLE);
    assert_int_equal(virDomainDestroy(session->domain), 0);
}

static json_t *content_of_record(void)
{
    json_t *content = NULL;
    need(save_record_read(disks, &content, &err));
    return content;
}

/* The reason why it cannot be opened is cut, within a character of its path. */
static void a_disk_with_a_long_path_that_cannot_be_opened(void **state)
{
    (void)state;
    char path[1024];
    for (size_t first = 1; first <= 2; first++) {
        (void)snprintf(path, sizeof(path), "%.*s", (int)first, "//");
        for (size_t at = first; at < 800; at += 2)
            memcpy(path + at, "\u00e4", sizeof("\u00e4"));
        save_guest_with(json_pack("[{s:s, s:s}]", "disk", "vda", "path", path));
        settle();
        json_t *content = content_of_record();
        assert_non_null(json_object_get(content, "unknown"));
        json_decref(content);
        need(record_end(session->record, &err));
        assert_int_equal(unlink(memory), 0);
        assert_int_equal(unlink(disks), 0);
        assert_int_equal(virDomainCreate(session->domain), 0);
    }
}

/* As on a disk that is full: there is room later, and the layers are no more what they were. */
static void what_was_seen_of_the_disks_is_kept(void **state)
{
    (void)state;
    const char *disk = temp_path("disk");
    write_file(disk, "disk");
    save_guest_with(json_pack("[{s:s, s:s, s:b}]", "disk", "vda", "path", disk, "is_top", 1));
    assert_int_equal(mkdir(disks_partial, 0700), 0);
    assert_true(save_settle_keep(session, true, NULL, &err) < 0);
    err = (struct error)ERROR_INIT;
    assert_true(save_settle(session, &err) < 0);
    err = (struct error)ERROR_INIT;
    assert_int_equal(rmdir(disks_partial), 0);
    write_file(disk, "another");
    settle();
    json_t *content = content_of_record();
    const json_t *layer = json_array_get(json_object_get(content, "layers"), 0);
    assert_null(json_object_get(content, "unknown"));
    assert_int_equal(json_integer_value(json_object_get(layer, "size_bytes")), 4);
    assert_non_null(json_object_get(layer, "sha256"));
    json_decref(content);
}

/* As with another --connect: the libvirt that knows it may be at it still. */
static void memory_of_an_unknown_domain_stays(void **state)
{
    (void)state;
    note_save();
    write_file(memory_partial, "LibvirtQemudPart");
    (void)virDomainFree(session->domain);
    session->domain = NULL;
    (void)snprintf(session->uuid, sizeof(session->uuid), "2e0af6cc-8dab-4d5d-b039-8bb41cec430e");
    assert_int_equal(save_settle(session, &err), -EBUSY);
    assert_int_equal(access(memory_partial, F_OK), 0);
    assert_int_equal(unlink(memory_partial), 0);
    err = (struct error)ERROR_INIT;
    settle();
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_save_that_comes_late_is_kept),
        TEST(one_that_was_refused_is_not_waited_for),
        TEST(another_guest_is_not_the_one_that_was_saved),
        TEST(nor_is_one_of_the_same_id),
        TEST(nor_one_that_an_old_record_tells_of),
        TEST(a_disk_with_a_long_path_that_cannot_be_opened),
        TEST(what_was_seen_of_the_disks_is_kept),
        TEST(memory_of_an_unknown_domain_stays),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
