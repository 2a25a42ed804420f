/* SPDX-License-Identifier: Apache-2.0 */
/* domain/merge_end.c: a file that cannot be looked at is not decided on; scripted layers. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "domain/layer_map_int.h"
#include "domain/merge_chain.h"
#include "domain/merge_end.h"
#include "domain/new_layer.h"
#include "driver/image/qemu_img.h"
#include "tests/unit/domain/libvirt_session.h"

static int look_fails_with;
static const char *named; /* by another domain */

int __wrap_layer_map_read(const struct session *of, struct layer_map *ret_map, struct error *error);
int __wrap_layer_map_read(const struct session *of, struct layer_map *ret_map, struct error *error)
{
    (void)of;
    static char web[] = "web";
    const struct layer_name name = {.domain = web};
    *ret_map = (struct layer_map){0};
    return named ? layer_map_add_name(ret_map, &name, temp_path(named), "qcow2", error) : 0;
}

/* As a share that is away does it. */
int __real_lstat(const char *path, struct stat *ret_st);
int __wrap_lstat(const char *path, struct stat *ret_st);
int __wrap_lstat(const char *path, struct stat *ret_st)
{
    if (look_fails_with == 0)
        return __real_lstat(path, ret_st);
    errno = look_fails_with;
    return -1;
}

static int set_up(void **state)
{
    (void)state;
    look_fails_with = 0;
    named = NULL;
    begin_session();
    return 0;
}

/* Of a merge with the memory of its checkpoint alone. */
static json_t *write_memory(void)
{
    json_t *memory = NULL;
    FILE *file = fopen(temp_path("memory"), "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    need(record_note(session->record, "domain", json_object(), &err));
    need(merge_chain_look(temp_path("memory"), "raw", &memory, &err));
    return json_pack("{s:[], s:o}", "disks", "memory", memory);
}

static void what_was_planned_with_goes(void **state)
{
    (void)state;
    json_t *merge = write_memory();
    need(merge_end_files(session, merge, &err));
    assert_int_equal(access(temp_path("memory"), F_OK), -1);
    need(merge_end_files(session, merge, &err)); /* it has gone */
    json_decref(merge);
}

static void what_cannot_be_looked_at_stays(void **state)
{
    (void)state;
    json_t *merge = write_memory();
    look_fails_with = EIO;
    assert_int_equal(merge_end_files(session, merge, &err), -EIO);
    assert_non_null(strstr(err.message, temp_path("memory")));
    look_fails_with = 0;
    assert_int_equal(access(temp_path("memory"), F_OK), 0);
    json_decref(merge);
}

static bool is_there(const char *name)
{
    return access(temp_path(name), F_OK) == 0;
}

static void make_layer(const char *name, const char *below)
{
    char path[300], below_path[300];
    (void)snprintf(path, sizeof(path), "%s", temp_path(name));
    (void)snprintf(below_path, sizeof(below_path), "%s", temp_path(below));
    (void)unlink(path);
    need(new_layer_create(path, below_path, "qcow2", &err));
}

static json_t *look_at(const char *name)
{
    json_t *look = NULL;
    need(merge_chain_look(temp_path(name), "qcow2", &look, &err));
    return look;
}

/* A disk's branch of two layers. */
static json_t *make_branch(void)
{
    const struct qemu_img_overlay disk = {.path = temp_path("base"), .size_bytes = 1 << 20};
    need(record_note(session->record, "domain", json_object(), &err));
    (void)unlink(disk.path);
    need(qemu_img_create_overlay(&disk, &err));
    make_layer("middle", "base");
    make_layer("top", "middle");
    return json_pack("{s:b, s:[{s:s, s:[o, o], s:{s:s}}]}", "branch", true, "disks", "target",
                     "vda", "gone", look_at("top"), look_at("middle"), "base", "path",
                     temp_path("base"));
}

static void write_later(const char *name)
{
    const struct timespec later[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) + 60}};
    assert_int_equal(utimensat(AT_FDCWD, temp_path(name), later, 0), 0);
}

static void a_branch_goes(void **state)
{
    (void)state;
    json_t *branch = make_branch();
    need(merge_end_files(session, branch, &err));
    assert_true(!is_there("top") && !is_there("middle") && is_there("base"));
    json_decref(branch);
}

/* By a guest that somebody had on it after the command was killed. */
static void what_was_written_to_since_stays_with_all_it_stands_on(void **state)
{
    (void)state;
    json_t *branch = make_branch();
    write_later("top");
    need(merge_end_files(session, branch, &err));
    assert_true(is_there("top") && is_there("middle"));
    json_decref(branch);
}

static void and_with_all_else_of_the_branch(void **state)
{
    (void)state;
    json_t *branch = make_branch();
    write_later("middle");
    need(merge_end_files(session, branch, &err));
    assert_true(is_there("top") && is_there("middle"));
    json_decref(branch);
}

/* In whatever order they are told of. */
static void also_of_another_order(void **state)
{
    (void)state;
    json_t *branch = make_branch();
    json_t *gone = json_object_get(json_array_get(json_object_get(branch, "disks"), 0), "gone");
    assert_int_equal(json_array_append(gone, json_array_get(gone, 0)), 0);
    assert_int_equal(json_array_remove(gone, 0), 0);
    write_later("top");
    need(merge_end_files(session, branch, &err));
    assert_true(is_there("top") && is_there("middle"));
    json_decref(branch);
}

static void what_somebody_needs_stays_with_all_it_stands_on(void **state)
{
    (void)state;
    json_t *merge = make_branch();
    assert_int_equal(json_object_del(merge, "branch"), 0);
    named = "top";
    need(merge_end_files(session, merge, &err));
    assert_true(is_there("top") && is_there("middle"));
    json_decref(merge);
}

static void so_does_what_somebody_has_put_in_its_place(void **state)
{
    (void)state;
    json_t *merge = make_branch();
    assert_int_equal(json_object_del(merge, "branch"), 0);
    int fd = open(temp_path("top"), O_RDONLY | O_CLOEXEC); /* so that its inode stays its own */
    make_layer("top", "middle");
    need(merge_end_files(session, merge, &err));
    assert_true(is_there("top") && is_there("middle"));
    assert_int_equal(close(fd), 0);
    json_decref(merge);
}

/* The guest writes to them until then. */
static void layers_of_a_merge_go_all_the_same(void **state)
{
    (void)state;
    json_t *merge = make_branch();
    assert_int_equal(json_object_del(merge, "branch"), 0);
    write_later("top");
    need(merge_end_files(session, merge, &err));
    assert_true(!is_there("top") && !is_there("middle"));
    json_decref(merge);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, end_session)
    const struct CMUnitTest tests[] = {
        TEST(what_was_planned_with_goes),
        TEST(what_cannot_be_looked_at_stays),
        TEST(a_branch_goes),
        TEST(what_was_written_to_since_stays_with_all_it_stands_on),
        TEST(and_with_all_else_of_the_branch),
        TEST(also_of_another_order),
        TEST(what_somebody_needs_stays_with_all_it_stands_on),
        TEST(so_does_what_somebody_has_put_in_its_place),
        TEST(layers_of_a_merge_go_all_the_same),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
