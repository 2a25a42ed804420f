/* SPDX-License-Identifier: Apache-2.0 */
/* domain/checkpoint_request.c: which requests make no sense. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "domain/checkpoint_request.h"

static struct error err;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    return 0;
}

static void refused(const struct checkpoint_request *request, const char *text)
{
    err = (struct error)ERROR_INIT;
    assert_int_equal(checkpoint_request_check(request, &err), -EINVAL);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
}

static void options_that_contradict_each_other(void **state)
{
    (void)state;
    static const struct {
        struct checkpoint_request request;
        const char *text;
    } cases[] = {
        {{.disk_only = true, .memory = true}, "either --disk-only"},
        {{.live = true, .halt = true}, "either --live"},
        {{.disk_only = true, .live = true}, "about memory"},
        {{.disk_only = true, .memory_file = "/m"}, "about memory"},
        {{.quiesce = true}, "wake up frozen"},
        {{.internal = true, .memory_file = "/m"}, "takes no --disk"},
        {{.internal = true, .live = true}, "cannot be made --live"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        refused(&cases[i].request, cases[i].text);
    assert_int_equal(
        checkpoint_request_check(
            &(struct checkpoint_request){.name = "a b", .disk_only = true, .quiesce = true}, &err),
        0);
}

/* QEMU takes a number for another snapshot's ID first. */
static void internal_ones_with_a_number_for_a_name(void **state)
{
    (void)state;
    struct checkpoint_request request = {.internal = true, .name = "2"};
    refused(&request, "is another one's ID");
    request.name = "2b";
    assert_int_equal(checkpoint_request_check(&request, &err), 0);
    request = (struct checkpoint_request){.name = "2"};
    assert_int_equal(checkpoint_request_check(&request, &err), 0);
}

static void names_that_are_no_parts_of_files(void **state)
{
    (void)state;
    char long_name[202];
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    const char *const names[] = {"", ".", "-x", "../evil", "a/b", "two\nlines", "\xff", long_name};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        refused(&(struct checkpoint_request){.name = names[i]}, "--name");
}

static void a_file_for_each_disk(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"vda"}, {"=f"}, {"vda="}, {"vda=f", "vda=g"}};
    static const char *const good[] = {"vda=/d/a=b", "vdaa=/d/c"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        refused(&(struct checkpoint_request){.disks = bad[i], .disk_count = bad[i][1] ? 2 : 1},
                "each disk once");
    const struct checkpoint_request request = {.disks = good, .disk_count = 2};
    assert_int_equal(checkpoint_request_check(&request, &err), 0);
    assert_string_equal(checkpoint_request_file(&request, "vda"), "/d/a=b");
    assert_string_equal(checkpoint_request_file(&request, "vdaa"), "/d/c");
    assert_null(checkpoint_request_file(&request, "vd"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, NULL)
    const struct CMUnitTest tests[] = {
        TEST(options_that_contradict_each_other),
        TEST(internal_ones_with_a_number_for_a_name),
        TEST(names_that_are_no_parts_of_files),
        TEST(a_file_for_each_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
