/* SPDX-License-Identifier: Apache-2.0 */
/* glance_client/endpoint.c and the options of glance.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glance_client/glance_int.h"
#include "tests/unit/glance_client/fixture.h"

static struct request_context *context_with(const char *catalog)
{
    return context_of(json_pack("{s:o}", "_context_service_catalog", json_loads(catalog, 0, NULL)));
}

/* The endpoint, owned; NULL with *err. */
static char *endpoint(const struct glance_options *options, const char *catalog, struct error *err)
{
    struct request_context *context = context_with(catalog);
    struct glance *glance = NULL;
    char *url = NULL;
    assert_int_equal(glance_new(options, NULL, &glance, err), 0);
    int r = glance_endpoint(glance, context, &url, err);
    assert_int_equal(r, url ? 0 : -err->errnum);
    glance_free(glance);
    request_context_free(context);
    return url;
}

#define CATALOG                                                                                    \
    "[{\"type\": \"image\", \"name\": \"glance\", \"endpoints\": [{\"region\": \"One\","           \
    " \"publicURL\": \"http://public:9292/v2/\", \"internalURL\": \"http://internal:9292\"}]}]"

static void the_catalog_is_the_last_resort(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    const struct glance_options plain = {0};
    cleanup_free char *internal = endpoint(&plain, CATALOG, &err);
    assert_string_equal(internal, "http://internal:9292");

    static const char *const public[] = {"public", NULL};
    const struct glance_options chosen = {.valid_interfaces = public, .region_name = "One"};
    cleanup_free char *stripped = endpoint(&chosen, CATALOG, &err);
    assert_string_equal(stripped, "http://public:9292");

    const struct glance_options override = {.endpoint_override = "http://over/image/v2"};
    cleanup_free char *overridden = endpoint(&override, CATALOG, &err);
    assert_string_equal(overridden, "http://over/image");

    static const char *const servers[] = {"http://a:9292/", NULL};
    const struct glance_options listed = {.api_servers = servers,
                                          .endpoint_override = "http://over"};
    cleanup_free char *server = endpoint(&listed, CATALOG, &err);
    assert_string_equal(server, "http://a:9292");

    const struct glance_options elsewhere = {.region_name = "Two"};
    assert_null(endpoint(&elsewhere, CATALOG, &err));
    assert_non_null(strstr(err.message, "in region Two"));
    assert_null(endpoint(&plain, "[]", &err));
    assert_non_null(strstr(err.message, "empty service catalog"));
}

static void api_servers_take_turns(void **state)
{
    (void)state;
    static const char *const servers[] = {"http://a:1", "b:2", "https://c/v2", NULL};
    static const char *const urls[] = {"http://a:1", "http://b:2", "https://c"};
    unsigned seen[ARRAY_SIZE(urls)] = {0};
    const struct glance_options options = {.api_servers = servers};
    struct request_context *context = context_with("[]");
    struct glance *glance = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(glance_new(&options, NULL, &glance, &err), 0);
    for (size_t i = 0; i < 2 * ARRAY_SIZE(urls); i++) {
        cleanup_free char *url = NULL;
        assert_int_equal(glance_endpoint(glance, context, &url, &err), 0);
        for (size_t j = 0; j < ARRAY_SIZE(urls); j++)
            seen[j] += strcmp(url, urls[j]) == 0;
    }
    for (size_t j = 0; j < ARRAY_SIZE(urls); j++)
        assert_int_equal(seen[j], 2);
    glance_free(glance);
    request_context_free(context);
}

static void a_dead_server_is_passed_over(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.method = "DELETE", .path = IMAGE_PATH, .status = 204},
        {.method = "DELETE", .path = IMAGE_PATH, .status = 204},
    };
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    char dead[64];
    (void)snprintf(dead, sizeof(dead), "127.0.0.1:%u", http_script_unused_port());
    const char *const servers[] = {dead, http_script_url(script), NULL};
    const struct glance_options options = {
        .api_servers = servers, .num_retries = 1, .http = {.retry_delay_ms = 1}};
    struct request_context *context = context_with("[]");
    struct glance *glance = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(glance_new(&options, NULL, &glance, &err), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(glance_image_delete(glance, context, IMAGE_ID, &err), 0);
    glance_free(glance);
    request_context_free(context);
    http_script_finish(script);
}

static void urls_from_the_catalog_are_not_trusted(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "file:///etc", "ftp://h", "http://u:secret@h", "http://h y", "http://h\\r\\nX: y",
        "gopher://h",  "x"};
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        char catalog[256];
        (void)snprintf(catalog, sizeof(catalog),
                       "[{\"type\": \"image\", \"endpoints\": [{\"internalURL\": \"%s\"}]}]",
                       urls[i]);
        struct request_context *context = context_with(catalog);
        const struct glance_options options = {0};
        struct glance *glance = NULL;
        struct error err = ERROR_INIT;
        assert_int_equal(glance_new(&options, NULL, &glance, &err), 0);
        assert_int_equal(glance_image_delete(glance, context, IMAGE_ID, &err), -EINVAL);
        assert_null(strstr(err.message, "secret"));
        glance_free(glance);
        request_context_free(context);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalog_is_the_last_resort),
        cmocka_unit_test(api_servers_take_turns),
        cmocka_unit_test(a_dead_server_is_passed_over),
        cmocka_unit_test(urls_from_the_catalog_are_not_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
