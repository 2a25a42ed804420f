/* SPDX-License-Identifier: Apache-2.0 */
/* conf/sources.c; where oslo looks is tested beside oslo itself, tests/integration/test_conf.py. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf/sources.h"

static void what_is_given_stays_in_its_order(void **state)
{
    (void)state;
    struct conf_sources sources = {.items = {{"/a", false}, {"/d", true}, {"/b", false}}, .n = 3};
    struct error err = ERROR_INIT;
    assert_int_equal(conf_sources_complete(&sources, &err), 0);
    assert_int_equal(sources.n, 3);
    assert_string_equal(sources.items[0].path, "/a");
    assert_true(sources.items[1].is_folder);
    assert_string_equal(sources.items[2].path, "/b");
    conf_sources_done(&sources);
    assert_int_equal(sources.n, 0);
}

/* Files and folders that are there by default come before what is given of the other kind. */
static void what_is_added_comes_first(void **state)
{
    (void)state;
    for (int is_folder = 0; is_folder < 2; is_folder++) {
        struct conf_sources sources = {.items = {{"/given", is_folder}}, .n = 1};
        struct error err = ERROR_INIT;
        assert_int_equal(conf_sources_complete(&sources, &err), 0);
        assert_string_equal(sources.items[sources.n - 1].path, "/given");
        for (size_t i = 0; i + 1 < sources.n; i++) {
            assert_int_equal(sources.items[i].is_folder, !is_folder);
            assert_null(strstr(sources.items[i].path, "nova-snapshot-agent"));
        }
        conf_sources_done(&sources);
    }
}

static void as_many_as_there_is_room_for(void **state)
{
    (void)state;
    struct conf_sources sources = {.n = CONF_SOURCES_MAX};
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < CONF_SOURCES_MAX; i++)
        sources.items[i] = (struct conf_source){"/x", i % 2};
    assert_int_equal(conf_sources_complete(&sources, &err), 0);
    assert_int_equal(sources.n, CONF_SOURCES_MAX);
    conf_sources_done(&sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_stays_in_its_order),
        cmocka_unit_test(what_is_added_comes_first),
        cmocka_unit_test(as_many_as_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
