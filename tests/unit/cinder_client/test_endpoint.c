/* SPDX-License-Identifier: Apache-2.0 */
/* cinder_client/cinder.c and cinder_client/endpoint.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cinder_client/fixture.h"

static struct cinder *make(const char *catalog_info, const char *template, const char *region)
{
    const struct cinder_options options = {
        .catalog_info = catalog_info, .endpoint_template = template, .os_region_name = region};
    struct cinder *cinder = NULL;
    struct error err = ERROR_INIT;
    if (cinder_new(&options, NULL, &cinder, &err) < 0)
        fail_msg("%s", err.message);
    return cinder;
}

static struct request_context *make_context(const char *project_id, const char *catalog)
{
    return context_of(json_pack("{s:s, s:o}", "_context_project_id", project_id,
                                "_context_service_catalog", json_loads(catalog, 0, NULL)));
}

/* `url` NULL: fails with `errnum`. */
static void expect_endpoint(struct cinder *cinder, struct request_context *context, const char *url,
                            int errnum)
{
    char *found = NULL;
    struct error err = ERROR_INIT;
    int r = cinder_endpoint(cinder, context, &found, &err);
    if (url && r < 0)
        fail_msg("%s", err.message);
    if (url)
        assert_string_equal(found, url);
    else
        assert_int_equal(r, -errnum);
    free(found);
    cinder_free(cinder);
    request_context_free(context);
}

static void a_template_is_filled_in(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"http://c:8776/v3/%(project_id)s", "http://c:8776/v3/p-1"},
        {"http://c:8776/v3/%(tenant_id)s/", "http://c:8776/v3/p-1"},
        {"https://c/volume/v3", "https://c/volume/v3"},
        {"http://c/a%%20b/v3/%(project_id)s", "http://c/a%20b/v3/p-1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        expect_endpoint(make(NULL, rows[i][0], NULL), make_context("p-1", "[]"), rows[i][1], 0);
}

static void a_project_id_is_no_path(void **state)
{
    (void)state;
    static const char *const ids[] = {"", "../x", "a/b", "a?b", "a b", "%2e"};
    char long_id[66];
    memset(long_id, 'a', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    for (size_t i = 0; i <= ARRAY_SIZE(ids); i++)
        expect_endpoint(make(NULL, "http://c/v3/%(project_id)s", NULL),
                        make_context(i < ARRAY_SIZE(ids) ? ids[i] : long_id, "[]"), NULL, EINVAL);
}

#define CATALOG                                                                                    \
    "[{\"type\": \"volumev2\", \"name\": \"cinderv2\", \"endpoints\":"                             \
    "  [{\"region\": \"One\", \"publicURL\": \"http://two/v2/p\"}]},"                              \
    " {\"type\": \"volumev3\", \"name\": \"cinderv3\", \"endpoints\":"                             \
    "  [{\"region\": \"One\", \"publicURL\": \"http://one/v3/p/\","                                \
    "    \"internalURL\": \"http://inside/v3/p\"},"                                                \
    "   {\"region\": \"Two\", \"publicURL\": \"http://elsewhere/v3/p\"}]}]"

static void the_catalog_is_searched_by_catalog_info(void **state)
{
    (void)state;
    static const struct {
        const char *info, *region, *url;
        int errnum;
    } rows[] = {
        {NULL, NULL, "http://one/v3/p", 0},
        {"", "", "http://one/v3/p", 0},
        {"volumev3::internalURL", NULL, "http://inside/v3/p", 0},
        {"volumev3:cinderv3:public", "Two", "http://elsewhere/v3/p", 0},
        {"block-storage::publicURL", NULL, "http://one/v3/p", 0},
        {"volumev3:other:publicURL", NULL, NULL, ENOENT},
        {"volumev3::publicURL", "Three", NULL, ENOENT},
        {"volumev3::adminURL", NULL, NULL, ENOENT},
        {"volumev2::publicURL", NULL, NULL, ENOTSUP},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        expect_endpoint(make(rows[i].info, NULL, rows[i].region), make_context("p", CATALOG),
                        rows[i].url, rows[i].errnum);
    expect_endpoint(make(NULL, NULL, NULL), make_context("p", "[]"), NULL, ENOENT);
}

static void another_api_is_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://v3", "http://c/v30/p", "http://c/xv3/p",
                                       "http://c/"};
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        char catalog[256];
        (void)snprintf(catalog, sizeof(catalog),
                       "[{\"type\": \"volumev3\", \"endpoints\": [{\"publicURL\": \"%s\"}]}]",
                       urls[i]);
        expect_endpoint(make(NULL, NULL, NULL), make_context("p", catalog), NULL, ENOTSUP);
    }
}

static void unusable_options_are_named(void **state)
{
    (void)state;
    static const char *const infos[] = {
        "volumev3", "volumev3:publicURL", "::publicURL", "volumev3::", "a:b:c:d", "a b::publicURL"};
    static const char *const templates[] = {"http://c/v3/%(user_id)s", "http://c/v3/%s",
                                            "http://c/v3/%", "http://c/v2/%(project_id)s"};
    struct cinder *cinder = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(infos); i++) {
        const struct cinder_options options = {.catalog_info = infos[i]};
        struct error err = ERROR_INIT;
        assert_int_equal(cinder_new(&options, NULL, &cinder, &err), -EINVAL);
        assert_non_null(strstr(err.message, "catalog_info"));
    }
    for (size_t i = 0; i < ARRAY_SIZE(templates); i++) {
        const struct cinder_options options = {.endpoint_template = templates[i]};
        struct error err = ERROR_INIT;
        assert_true(cinder_new(&options, NULL, &cinder, &err) < 0);
        assert_non_null(strstr(err.message, templates[i][10] == '3' ? "endpoint_template" : "v3"));
    }
    assert_null(cinder);
    cinder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_template_is_filled_in),
        cmocka_unit_test(a_project_id_is_no_path),
        cmocka_unit_test(the_catalog_is_searched_by_catalog_info),
        cmocka_unit_test(another_api_is_refused),
        cmocka_unit_test(unusable_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
