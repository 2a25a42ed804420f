/* SPDX-License-Identifier: Apache-2.0 */
/* glance_client/reach.c: whether anybody answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "glance_client/glance_int.h"
#include "tests/unit/http_script.h"

static int reach(const struct glance_options *options, const char *of_catalog, struct error *err)
{
    struct glance *glance = NULL;
    assert_int_equal(glance_new(options, NULL, &glance, err), 0);
    int r = glance_reach(glance, of_catalog, 5000, err);
    glance_free(glance);
    return r;
}

/* Any answer of Glance's own will do, but not that of a proxy that has none behind it. */
static void an_answer_is_enough(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        bool reached;
    } rows[] = {{200, true}, {300, true},  {401, true},  {404, true}, {429, true},
                {500, true}, {502, false}, {503, false}, {504, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        const struct http_step step = {
            .method = "GET", .path = "/versions", .status = rows[i].status, .reply = "{}"};
        struct http_script *script = http_script_start(&step, 1);
        const struct glance_options options = {.endpoint_override = http_script_url(script)};
        int r = reach(&options, "http://127.0.0.1:1", &err);
        assert_int_equal(r == 0, rows[i].reached);
        assert_int_equal(err.errnum == 0, rows[i].reached);
        http_script_finish(script);
    }
}

static void one_of_the_servers_is_enough(void **state)
{
    (void)state;
    char dead[64];
    struct error err = ERROR_INIT;
    const struct http_step step = {.method = "GET", .path = "/versions", .reply = "{}"};
    (void)snprintf(dead, sizeof(dead), "http://127.0.0.1:%u", http_script_unused_port());
    struct http_script *script = http_script_start(&step, 1);
    const char *const servers[] = {dead, http_script_url(script), NULL};
    const struct glance_options options = {.api_servers = servers};
    assert_int_equal(reach(&options, NULL, &err), 0);
    http_script_finish(script);
    const char *const all_dead[] = {dead, NULL};
    const struct glance_options none = {.api_servers = all_dead};
    assert_true(reach(&none, NULL, &err) < 0);
    assert_non_null(strstr(err.message, "Glance cannot be reached: http://127.0.0.1:"));
}

static void where_nobody_knows_nothing_is_wrong(void **state)
{
    (void)state;
    char dead[64];
    struct error err = ERROR_INIT;
    const struct glance_options plain = {0};
    assert_int_equal(reach(&plain, NULL, &err), 0);
    (void)snprintf(dead, sizeof(dead), "http://127.0.0.1:%u", http_script_unused_port());
    assert_true(reach(&plain, dead, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_enough),
        cmocka_unit_test(one_of_the_servers_is_enough),
        cmocka_unit_test(where_nobody_knows_nothing_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
