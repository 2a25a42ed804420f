/* SPDX-License-Identifier: Apache-2.0 */
/* domain/merge_settle.c, merge_disk.c: what becomes of a merge when others change the domain
 * meanwhile; libvirt's test driver, and scripted layers. */
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

#include "domain/domain_run.h"
#include "domain/layer_map.h"
#include "domain/merge_chain.h"
#include "domain/merge_end.h"
#include "domain/merge_live.h"
#include "domain/merge_plan.h"
#include "domain/merge_progress.h"
#include "domain/merge_relink.h"
#include "domain/merge_rest.h"
#include "domain/merge_settle.h"
#include "tests/unit/domain/libvirt_session.h"

#define DISKS 2

static json_t *merge;
/* Of each disk its layers from the top on: (n)ew, (t)op, which goes, (b)ase. */
static const char *layers[DISKS];
static void (*while_it_waits)(void);
static bool is_ready;
static int committed, files_ended;

static json_t *file_of(char layer, const char *target)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s.%c", temp_folder, target, layer);
    return json_pack("{s:s, s:s, s:i, s:i}", "path", path, "format", "qcow2", "dev", 1, "ino",
                     layer + 256 * target[2]);
}

static size_t index_of(const char *target)
{
    return (size_t)(target[2] - 'a');
}

/* By somebody else: what a session has looked up does not change. */
static void end_guest(void)
{
    virDomainPtr domain = virDomainLookupByName(virDomainGetConnect(session->domain), "test");
    assert_int_equal(virDomainDestroy(domain), 0);
    (void)virDomainFree(domain);
}

int __wrap_merge_chain_read(virDomainPtr domain, const char *target, json_t **ret_chain,
                            struct error *error);
int __wrap_merge_chain_read(virDomainPtr domain, const char *target, json_t **ret_chain,
                            struct error *error)
{
    (void)domain, (void)error;
    json_t *chain = json_array();
    for (const char *layer = layers[index_of(target)]; *layer != '\0'; layer++)
        (void)json_array_append_new(chain, file_of(*layer, target));
    *ret_chain = chain;
    return 0;
}

int __wrap_merge_live_start(virDomainPtr domain, const json_t *disk, struct error *error);
int __wrap_merge_live_start(virDomainPtr domain, const json_t *disk, struct error *error)
{
    (void)domain, (void)disk, (void)error;
    committed++;
    return 0;
}

int __wrap_merge_live_await(virDomainPtr domain, const json_t *disk, unsigned stall_timeout_s,
                            bool *ret_ready, struct error *error);
int __wrap_merge_live_await(virDomainPtr domain, const json_t *disk, unsigned stall_timeout_s,
                            bool *ret_ready, struct error *error)
{
    (void)domain, (void)disk, (void)stall_timeout_s, (void)error;
    if (while_it_waits)
        while_it_waits();
    *ret_ready |= is_ready;
    return 0;
}

/* libvirtd dies with the answer, and then the guest. */
int __wrap_merge_live_pivot(virDomainPtr domain, const json_t *disk, struct error *error);
int __wrap_merge_live_pivot(virDomainPtr domain, const json_t *disk, struct error *error)
{
    (void)domain, (void)disk;
    layers[0] = layers[1] = "b";
    is_ready = false;
    end_guest();
    return error_set(error, EIO, EXC_INTERNAL_ERROR, "no answer");
}

int __wrap_merge_rest(const json_t *disk, unsigned stall_timeout_s, struct error *error);
int __wrap_merge_rest(const json_t *disk, unsigned stall_timeout_s, struct error *error)
{
    (void)stall_timeout_s, (void)error;
    committed++;
    layers[index_of(json_string_value(json_object_get(disk, "target")))] =
        json_object_get(disk, "above") ? "nb" : "b";
    return 0;
}

int __wrap_merge_relink_definition(virDomainPtr domain, const json_t *disks, struct error *error);
int __wrap_merge_relink_definition(virDomainPtr domain, const json_t *disks, struct error *error)
{
    (void)domain, (void)disks, (void)error;
    return 0;
}

int __wrap_merge_end_files(const struct session *of, const json_t *note, struct error *error);
int __wrap_merge_end_files(const struct session *of, const json_t *note, struct error *error)
{
    (void)of, (void)note, (void)error;
    files_ended++;
    return 0;
}

int __wrap_merge_plan_look_beside(struct layer_map *map, const json_t *disk, struct error *error);
int __wrap_merge_plan_look_beside(struct layer_map *map, const json_t *disk, struct error *error)
{
    (void)map, (void)disk, (void)error;
    return 0;
}

int __wrap_merge_plan_check_users(const struct layer_map *map, const json_t *disk,
                                  const char *snapshot, bool has_begun, struct error *error);
int __wrap_merge_plan_check_users(const struct layer_map *map, const json_t *disk,
                                  const char *snapshot, bool has_begun, struct error *error)
{
    (void)map, (void)disk, (void)snapshot, (void)has_begun, (void)error;
    return 0;
}

static json_t *disk_of(const char *target)
{
    return json_pack("{s:s, s:[o], s:o}", "target", target, "gone", file_of('t', target), "base",
                     file_of('b', target));
}

static int set_up(void **state)
{
    (void)state;
    static const char *const tops[] = {"vda.t", "vdb.t"};
    while_it_waits = NULL;
    is_ready = false;
    committed = files_ended = 0;
    for (size_t i = 0; i < DISKS; i++) {
        const struct timespec before[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
        int fd = open(temp_path(tops[i]), O_WRONLY | O_CREAT, 0600);
        if (fd < 0 || futimens(fd, before) < 0 || close(fd) < 0)
            return -1;
    }
    begin_session();
    merge = json_pack("{s:[o, o]}", "disks", disk_of("vda"), disk_of("vdb"));
    return record_note(session->record, "merge", json_incref(merge), &err);
}

static int tear_down(void **state)
{
    json_decref(merge);
    return end_session(state);
}

static const json_t *disk_at(size_t i)
{
    return json_array_get(json_object_get(merge, "disks"), i);
}

static void note_progress(size_t disk, bool is_whole)
{
    need(merge_progress_note(session->record, disk_at(disk), NULL, is_whole, &err));
}

static void note_progress_of_guest(size_t disk)
{
    json_t *run = NULL;
    need(domain_run_read(session, &run, &err));
    need(merge_progress_note(session->record, disk_at(disk), run, false, &err));
    json_decref(run);
}

static void end_guest_and_define_base(void)
{
    end_guest();
    layers[0] = "b";
    while_it_waits = NULL;
}

/* As nova does it: the commit ends with the guest, and the definition of before names base. */
static void a_guest_that_ends_has_not_come_to_base(void **state)
{
    (void)state;
    layers[0] = layers[1] = "tb";
    note_progress_of_guest(0);
    while_it_waits = end_guest_and_define_base;
    assert_int_equal(merge_settle_run(session, &err), -EINVAL);
    assert_non_null(strstr(err.message, "alone has it all"));
    assert_int_equal(files_ended, 0);
}

/* Started by somebody on base, after a restart of libvirtd, which has given the id again. */
static void another_guest_of_the_same_id_has_not_come_to_base(void **state)
{
    (void)state;
    layers[0] = "b";
    layers[1] = "tb";
    json_t *run =
        json_pack("{s:i, s:s}", "id", (int)virDomainGetID(session->domain), "qemu", "boot 4711 1");
    need(merge_progress_note(session->record, disk_at(0), run, false, &err));
    json_decref(run);
    assert_int_equal(merge_settle_run(session, &err), -EINVAL);
    assert_non_null(strstr(err.message, "alone may have it all"));
    assert_int_equal(files_ended, 0);
}

static void nor_is_what_a_saved_memory_names_merged(void **state)
{
    (void)state;
    layers[0] = layers[1] = "tb";
    note_progress_of_guest(0);
    assert_int_equal(virDomainManagedSave(session->domain, 0), 0);
    assert_int_equal(merge_settle_run(session, &err), -EBUSY);
    assert_non_null(strstr(err.message, "start the domain"));
    assert_int_equal(committed, 0);
    assert_int_equal(virDomainManagedSaveRemove(session->domain, 0), 0);
    err = (struct error)ERROR_INIT;
    need(merge_settle_run(session, &err));
    assert_int_equal(committed, DISKS);
    assert_int_equal(files_ended, 1);
}

/* It goes on with the layers of then, also where the one above is on base by now. */
static void nor_do_its_files_go(void **state)
{
    (void)state;
    layers[0] = layers[1] = "nb";
    for (size_t i = 0; i < DISKS; i++) {
        json_t *disk = json_array_get(json_object_get(merge, "disks"), i);
        (void)json_object_set_new(disk, "above", file_of('n', i == 0 ? "vda" : "vdb"));
        note_progress(i, false);
    }
    assert_int_equal(virDomainManagedSave(session->domain, 0), 0);
    assert_int_equal(merge_settle_run(session, &err), -EBUSY);
    assert_int_equal(files_ended, 0);
    assert_int_equal(virDomainManagedSaveRemove(session->domain, 0), 0);
    err = (struct error)ERROR_INIT;
    need(merge_settle_run(session, &err));
    assert_int_equal(files_ended, 1);
}

/* What nobody has written to since it was ready to go on on base has all it held there. */
static void a_guest_that_came_to_base_unseen(void **state)
{
    (void)state;
    layers[0] = layers[1] = "tb";
    note_progress_of_guest(0);
    note_progress(1, true);
    is_ready = true;
    assert_int_equal(merge_settle_run(session, &err), -EIO);
    assert_int_equal(files_ended, 0);
    err = (struct error)ERROR_INIT;
    need(merge_settle_run(session, &err));
    assert_int_equal(files_ended, 1);
}

/* Somebody's new layers on disks that are merged: nothing is in the way of the rest. */
static void what_is_merged_may_be_under_others(void **state)
{
    (void)state;
    layers[0] = layers[1] = "nb";
    note_progress(0, true);
    note_progress(1, true);
    need(merge_settle_run(session, &err));
    assert_int_equal(files_ended, 1);
}

/* What has the layers' names now was made since. */
static void a_checkpoint_that_is_forgotten_is_not_merged_again(void **state)
{
    (void)state;
    layers[0] = layers[1] = "b";
    note_progress(0, true);
    note_progress(1, true);
    need(merge_settle_run(session, &err));
    layers[0] = layers[1] = "tb";
    end_guest();
    need(merge_settle_run(session, &err));
    assert_int_equal(committed, 0);
    assert_int_equal(files_ended, 2);
}

/* Where a checkpoint goes, of which one disk is merged; also by who dies meanwhile. */
static void a_disk_that_is_below_others_is_merged_there(void **state)
{
    (void)state;
    need(record_restart(session->record,
                        json_pack("{s:[{s:s, s:O}]}", "merge", "snapshot", "d", "disks",
                                  json_object_get(merge, "disks")),
                        &err));
    layers[0] = "nb";
    layers[1] = "ntb";
    end_guest();
    note_progress(0, true);
    note_progress(1, false);
    need(merge_settle_run(session, &err));
    assert_int_equal(committed, 1);
    assert_string_equal(layers[1], "nb");
    assert_int_equal(files_ended, 1);
    record_close(session->record);
    session->record = NULL;
    need(record_open(temp_folder, session->uuid, &session->record, &err));
    const json_t *note = json_array_get(record_all(session->record, "merge"), 0);
    const json_t *vdb = json_array_get(json_object_get(note, "disks"), 1);
    assert_non_null(strstr(merge_chain_path(json_object_get(vdb, "above")), "vdb.n"));
}

static void a_disk_that_is_below_others_is_left_out(void **state)
{
    (void)state;
    layers[0] = "nb";
    layers[1] = "ntb";
    note_progress(0, true);
    note_progress(1, false);
    need(merge_settle_run(session, &err));
    assert_int_equal(files_ended, 1);
    assert_int_equal(committed, 0);
    const json_t *note = json_array_get(record_all(session->record, "merge"), 0);
    assert_int_equal(json_array_size(json_object_get(note, "disks")), 1);
}

static void what_nothing_was_merged_of_is_given_up_once(void **state)
{
    (void)state;
    static const char *const chains[] = {"ntb", "nb"};
    for (size_t i = 0; i < 2; i++) {
        layers[0] = chains[i];
        layers[1] = "tb";
        note_progress(0, false);
        err = (struct error)ERROR_INIT;
        assert_int_equal(merge_settle_run(session, &err), -ESTALE);
        assert_false(merge_settle_has_begun(session));
        need(record_note(session->record, "merge", json_incref(merge), &err));
    }
    assert_non_null(strstr(err.message, "alone has it all"));
    assert_int_equal(committed + files_ended, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_guest_that_ends_has_not_come_to_base),
        TEST(another_guest_of_the_same_id_has_not_come_to_base),
        TEST(nor_is_what_a_saved_memory_names_merged),
        TEST(nor_do_its_files_go),
        TEST(a_guest_that_came_to_base_unseen),
        TEST(what_is_merged_may_be_under_others),
        TEST(a_checkpoint_that_is_forgotten_is_not_merged_again),
        TEST(a_disk_that_is_below_others_is_merged_there),
        TEST(a_disk_that_is_below_others_is_left_out),
        TEST(what_nothing_was_merged_of_is_given_up_once),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
