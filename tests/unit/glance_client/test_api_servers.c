/* SPDX-License-Identifier: Apache-2.0 */
/* glance_client/api_servers.c: several servers of which some are dead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "glance_client/glance_int.h"
#include "tests/unit/glance_client/fixture.h"
#include "tests/unit/memory_source.h"

#define SIZE 4096
#define QUEUED "{\"id\": \"" IMAGE_ID "\", \"status\": \"queued\", \"size\": null}"

static struct memory_source image;

static char *active_record(void)
{
    unsigned char value[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned length = 0;
    char *record = NULL;
    assert_int_equal(EVP_Digest(image.bytes, SIZE, value, &length, EVP_sha512(), NULL), 1);
    for (unsigned i = 0; i < length; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", value[i]);
    assert_true(asprintf(&record,
                         "{\"id\": \"" IMAGE_ID "\", \"status\": \"active\", \"size\": %d,"
                         " \"os_hash_algo\": \"sha512\", \"os_hash_value\": \"%s\"}",
                         SIZE, hex) > 0);
    return record;
}

static struct glance *new_glance(const char *const *servers, unsigned num_retries)
{
    const struct glance_options options = {.api_servers = servers,
                                           .num_retries = num_retries,
                                           .stall_timeout_s = 1,
                                           .poll_interval_ms = 1,
                                           .http = REST_HTTP_OPTIONS};
    struct glance *glance = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(glance_new(&options, NULL, &glance, &err), 0);
    return glance;
}

/* The server whose turn it is, which others take. */
static void turn_is_over(struct glance *glance, const struct request_context *context,
                         const char *wanted_last)
{
    struct error err = ERROR_INIT;
    for (int i = 0; i < 8; i++) {
        cleanup_free char *url = NULL;
        assert_int_equal(glance_endpoint(glance, context, &url, &err), 0);
        if (strcmp(url, wanted_last) == 0)
            return;
    }
    fail_msg("%s has no turn", wanted_last);
}

/* PUT, the look at what became of it, PUT: with two servers that take turns, all to the same. */
static void an_upload_goes_elsewhere(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    memory_source_init(&image, SIZE);
    cleanup_free char *active = active_record();
    const struct http_step steps[] = {
        {.method = "GET", .path = IMAGE_PATH, .reply = QUEUED},
        {.method = "PUT", .path = IMAGE_PATH "/file", .status = 204},
        {.method = "GET", .path = IMAGE_PATH, .reply = active},
    };
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    char dead[64];
    (void)snprintf(dead, sizeof(dead), "http://127.0.0.1:%u", http_script_unused_port());
    const char *const servers[] = {dead, http_script_url(script), NULL};
    struct glance *glance = new_glance(servers, 3);
    struct request_context *context = user_context();
    turn_is_over(glance, context, http_script_url(script));
    int r = glance_image_upload(glance, context, IMAGE_ID, &image.base, &err);
    if (r < 0)
        fail_msg("%s", err.message);
    glance_free(glance);
    request_context_free(context);
    http_script_finish(script);
    memory_source_done(&image);
}

static const char *turn(struct glance *glance, uint64_t now_ms)
{
    return glance_api_server(glance, now_ms);
}

static void a_dead_one_is_passed_over_for_a_while(void **state)
{
    (void)state;
    static const char *const servers[] = {"http://a:1", "http://a:11", "http://b:2", NULL};
    struct glance *glance = new_glance(servers, 3);
    glance_api_server_judge(glance, "http://a:1/v2/images", false, 1000);
    unsigned others = 0;
    for (int i = 0; i < 9; i++) {
        const char *url = turn(glance, 1000 + i);
        assert_string_not_equal(url, "http://a:1");
        others += strcmp(url, "http://a:11") == 0;
    }
    assert_in_range(others, 3, 6);
    unsigned seen = 0;
    for (int i = 0; i < 3; i++)
        seen += strcmp(turn(glance, 61001), "http://a:1") == 0;
    assert_int_equal(seen, 1);
    glance_free(glance);
}

static void one_that_answers_is_back(void **state)
{
    (void)state;
    static const char *const servers[] = {"http://a:1", "http://b:2", NULL};
    struct glance *glance = new_glance(servers, 3);
    glance_api_server_judge(glance, "http://a:1/v2/images", false, 1000);
    glance_api_server_judge(glance, "http://a:1/v2/images", true, 1001);
    unsigned seen = 0;
    for (int i = 0; i < 4; i++)
        seen += strcmp(turn(glance, 1002), "http://a:1") == 0;
    assert_int_equal(seen, 2);
    glance_free(glance);
}

/* The longest-dead one has had most time to come back. */
static void when_all_are_dead_they_are_tried(void **state)
{
    (void)state;
    static const char *const servers[] = {"http://a:1", "http://b:2", "http://c:3", NULL};
    struct glance *glance = new_glance(servers, 3);
    glance_api_server_judge(glance, "http://b:2/v2", false, 1000);
    glance_api_server_judge(glance, "http://c:3/v2", false, 1001);
    glance_api_server_judge(glance, "http://a:1/v2", false, 1002);
    assert_string_equal(turn(glance, 1003), "http://b:2");
    glance_api_server_judge(glance, "http://b:2/v2", false, 1004);
    assert_string_equal(turn(glance, 1005), "http://c:3");
    glance_api_server_judge(glance, "http://elsewhere/v2", false, 1006);
    assert_string_equal(turn(glance, 1007), "http://c:3");
    glance_free(glance);
}

/* Behind a proxy that has lost it, too. */
static void a_gateway_without_a_server_counts_as_dead(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    const struct http_step bad_steps[] = {
        {.method = "DELETE", .path = IMAGE_PATH, .status = 503},
    };
    const struct http_step good_steps[] = {
        {.method = "DELETE", .path = IMAGE_PATH, .status = 204},
        {.method = "DELETE", .path = IMAGE_PATH, .status = 204},
        {.method = "DELETE", .path = IMAGE_PATH, .status = 204},
    };
    struct http_script *bad = http_script_start(bad_steps, ARRAY_SIZE(bad_steps));
    struct http_script *good = http_script_start(good_steps, ARRAY_SIZE(good_steps));
    const char *const servers[] = {http_script_url(bad), http_script_url(good), NULL};
    struct glance *glance = new_glance(servers, 1);
    struct request_context *context = user_context();
    turn_is_over(glance, context, http_script_url(good));
    for (int i = 0; i < 3; i++)
        assert_int_equal(glance_image_delete(glance, context, IMAGE_ID, &err), 0);
    glance_free(glance);
    request_context_free(context);
    http_script_finish(bad);
    http_script_finish(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upload_goes_elsewhere),
        cmocka_unit_test(a_dead_one_is_passed_over_for_a_while),
        cmocka_unit_test(one_that_answers_is_back),
        cmocka_unit_test(when_all_are_dead_they_are_tried),
        cmocka_unit_test(a_gateway_without_a_server_counts_as_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
