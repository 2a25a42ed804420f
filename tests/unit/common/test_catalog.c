/* SPDX-License-Identifier: Apache-2.0 */
/* common/catalog.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/catalog.h"
#include "common/cleanup.h"

static const char *const internal_public[] = {"internal", "public", NULL};

/* The URL found, or NULL with *err. Owned. */
static char *find_endpoint(const char *text, const struct catalog_query *query, struct error *err)
{
    json_t *catalog = text ? json_loads(text, 0, NULL) : NULL;
    assert_true(!text || catalog);
    char *url = NULL;
    int r = catalog_find_endpoint(catalog, query, &url, err);
    assert_int_equal(r, url ? 0 : -ENOENT);
    json_decref(catalog);
    return url;
}

static void expect(const char *text, const struct catalog_query *query, const char *wanted)
{
    struct error err = ERROR_INIT;
    cleanup_free char *url = find_endpoint(text, query, &err);
    if (wanted) {
        assert_non_null(url);
        assert_string_equal(url, wanted);
    } else {
        assert_null(url);
    }
}

static void interfaces_are_tried_in_their_order(void **state)
{
    (void)state;
    const char *both = "[{\"type\": \"image\", \"endpoints\": [{\"publicURL\": \"http://p\"},"
                       " {\"internalURL\": \"http://i\"}]}]";
    const char *public = "[{\"type\": \"image\", \"endpoints\": [{\"publicURL\": \"http://p\"}]}]";
    struct catalog_query query = {.service_type = "image", .interfaces = internal_public};
    expect(both, &query, "http://i");
    expect(public, &query, "http://p");
    static const char *const public_url[] = {"publicURL", NULL};
    query.interfaces = public_url;
    expect(both, &query, "http://p");
    static const char *const admin[] = {"admin", NULL};
    query.interfaces = admin;
    expect(both, &query, NULL);
}

static void region_and_name_must_match_when_given(void **state)
{
    (void)state;
    const char *text = "[{\"type\": \"image\", \"name\": \"old\", \"endpoints\": ["
                       "   {\"region\": \"One\", \"publicURL\": \"http://old1\"}]},"
                       " {\"type\": \"image\", \"name\": \"glance\", \"endpoints\": ["
                       "   {\"region\": \"One\", \"publicURL\": \"http://g1\"},"
                       "   {\"region\": \"Two\", \"publicURL\": \"\"},"
                       "   {\"region_id\": \"Two\", \"publicURL\": \"http://g2\"}]},"
                       " {\"type\": \"image\", \"endpoints\": [{\"region\": \"Tres\", "
                       "\"publicURL\": \"http://n\"}]}]";
    struct catalog_query query = {.service_type = "image", .interfaces = internal_public};
    expect(text, &query, "http://old1");
    query.service_name = "glance";
    expect(text, &query, "http://g1");
    query.region_name = "Two";
    expect(text, &query, "http://g2");
    query.region_name = "Tres"; /* an entry without a name is not refused for its name */
    expect(text, &query, "http://n");
    query.region_name = "Four";
    struct error err = ERROR_INIT;
    assert_null(find_endpoint(text, &query, &err));
    assert_string_equal(err.message, "the service catalog has no internal,public endpoint of "
                                     "service 'image' named glance in region Four");
}

static void types_have_aliases(void **state)
{
    (void)state;
    struct catalog_query query = {.interfaces = internal_public};
    static const struct {
        const char *wanted;
        const char *type;
        bool matches;
    } pairs[] = {
        {"volumev3", "volumev3", true},      {"volumev3", "block-storage", true},
        {"block-storage", "volumev3", true}, {"block-storage", "volume", true},
        {"volumev3", "volume", false},       {"volumev3", "volumev2", false},
        {"image", "imagev2", false},         {"image", "block-storage", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text),
                       "[{\"type\": \"%s\", \"endpoints\":"
                       " [{\"publicURL\": \"http://x\"}]}]",
                       pairs[i].type);
        query.service_type = pairs[i].wanted;
        expect(text, &query, pairs[i].matches ? "http://x" : NULL);
    }
}

static void strange_catalogs_have_no_endpoint(void **state)
{
    (void)state;
    static const char *const texts[] = {
        NULL,
        "[]",
        "{}",
        "[null, 1, \"x\", [], {}]",
        "[{\"type\": 1, \"endpoints\": [{\"publicURL\": \"http://x\"}]}]",
        "[{\"type\": \"image\", \"endpoints\": {\"publicURL\": \"http://x\"}}]",
        "[{\"type\": \"image\", \"endpoints\": [1, null, {\"publicURL\": 7}]}]",
        "[{\"type\": \"image\"}]",
    };
    const struct catalog_query query = {.service_type = "image", .interfaces = internal_public};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        expect(texts[i], &query, NULL);
}

static void versions_are_stripped(void **state)
{
    (void)state;
    static const char *const urls[][2] = {
        {"http://c:9292", "http://c:9292"},
        {"http://c:9292/", "http://c:9292"},
        {"http://c:9292/v2", "http://c:9292"},
        {"http://c:9292/v2/", "http://c:9292"},
        {"http://c/image/v2.15//", "http://c/image"},
        {"http://c/image", "http://c/image"},
        {"http://c/v2/x", "http://c/v2/x"},
        {"http://c/v", "http://c/v"},
        {"http://c/v2.", "http://c/v2."},
        {"http://c/v2a", "http://c/v2a"},
        {"http://v2", "http://v2"},
        {"v2", "v2"},
        {"/", ""},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        char url[64];
        (void)snprintf(url, sizeof(url), "%s", urls[i][0]);
        catalog_strip_version(url);
        assert_string_equal(url, urls[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interfaces_are_tried_in_their_order),
        cmocka_unit_test(region_and_name_must_match_when_given),
        cmocka_unit_test(types_have_aliases),
        cmocka_unit_test(strange_catalogs_have_no_endpoint),
        cmocka_unit_test(versions_are_stripped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
