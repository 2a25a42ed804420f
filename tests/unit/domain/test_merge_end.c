/* SPDX-License-Identifier: Apache-2.0 */
/* domain/merge_end.c: a file that cannot be looked at is not decided on; scripted layers. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "domain/layer_map.h"
#include "domain/merge_chain.h"
#include "domain/merge_end.h"
#include "tests/unit/domain/libvirt_session.h"

static int look_fails_with;

int __wrap_layer_map_read(const struct session *of, struct layer_map *ret_map, struct error *error);
int __wrap_layer_map_read(const struct session *of, struct layer_map *ret_map, struct error *error)
{
    (void)of, (void)error;
    *ret_map = (struct layer_map){0};
    return 0;
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

/* By a guest that somebody had on it after the command was killed. */
static void what_was_written_to_since_stays_of_a_branch(void **state)
{
    (void)state;
    json_t *merge = write_memory();
    const struct timespec later[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) + 60}};
    assert_int_equal(json_object_set_new(merge, "branch", json_true()), 0);
    assert_int_equal(utimensat(AT_FDCWD, temp_path("memory"), later, 0), 0);
    need(merge_end_files(session, merge, &err));
    assert_int_equal(access(temp_path("memory"), F_OK), 0);
    assert_int_equal(json_object_del(merge, "branch"), 0);
    need(merge_end_files(session, merge, &err));
    assert_int_equal(access(temp_path("memory"), F_OK), -1);
    json_decref(merge);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, end_session)
    const struct CMUnitTest tests[] = {
        TEST(what_was_planned_with_goes),
        TEST(what_cannot_be_looked_at_stays),
        TEST(what_was_written_to_since_stays_of_a_branch),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
