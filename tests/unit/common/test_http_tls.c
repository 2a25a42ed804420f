/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of common/http.c: whom it trusts, and what it refuses. */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "common/http.h"
#include "tests/unit/http_script.h"
#include "tests/unit/tls_front.h"

static struct {
    enum tls_certificate certificate;
    const char *host;
    bool trusts_other, trusts_folder, insecure, no_cafile;
} setting;

/* What the system trusts, for libcurl: its folder is the authority's here. */
static const char *folder_of_system;

__attribute__((visibility("default"))) int X509_STORE_load_path(X509_STORE *store,
                                                                const char *folder)
{
    int (*load)(X509_STORE *, const char *);
    *(void **)&load = dlsym(RTLD_NEXT, "X509_STORE_load_path");
    bool is_systems = strncmp(folder, "/etc/ssl/", 9) == 0;
    return load(store, is_systems && folder_of_system ? folder_of_system : folder);
}

static int request(enum http_failure *ret_failure, struct error *err)
{
    const struct http_step step = {.reply = "{}"};
    struct http_script *script = http_script_start(&step, 1);
    unsigned port = (unsigned)strtoul(strrchr(http_script_url(script), ':') + 1, NULL, 10);
    struct tls_front *front = tls_front_start(setting.certificate, port);
    struct http_client *client = NULL;
    struct http_response response = {0};
    char url[64];
    const char *cafile = setting.trusts_other    ? tls_front_other_cafile(front)
                         : setting.trusts_folder ? tls_front_cafolder(front)
                                                 : tls_front_cafile(front);
    const struct http_options options = {
        .cafile = setting.no_cafile ? NULL : cafile, .insecure = setting.insecure, .timeout_s = 5};
    (void)snprintf(url, sizeof(url), "https://%s:%u/", setting.host ? setting.host : "127.0.0.1",
                   tls_front_port(front));
    const struct http_request what = {.method = "GET", .url = url};
    folder_of_system = tls_front_cafolder(front);
    assert_int_equal(http_client_new(&options, &client, err), 0);
    int r = http_request(client, &what, &response, ret_failure, err);
    if (r < 0) { /* the script has to end with its request done */
        struct http_client *plain = NULL;
        struct error ignored = ERROR_INIT;
        enum http_failure none;
        const struct http_request direct = {.method = "GET", .url = http_script_url(script)};
        assert_int_equal(http_client_new(&(struct http_options){0}, &plain, &ignored), 0);
        assert_int_equal(http_request(plain, &direct, &response, &none, &ignored), 0);
        http_client_free(plain);
    }
    http_response_done(&response);
    http_client_free(client);
    tls_front_end(front);
    http_script_finish(script);
    folder_of_system = NULL;
    return r;
}

static void expect_trust(void)
{
    enum http_failure failure;
    struct error err = ERROR_INIT;
    if (request(&failure, &err) < 0)
        fail_msg("%s", err.message);
}

static void expect_refusal(enum http_failure wanted, const char *text)
{
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_true(request(&failure, &err) < 0);
    if (failure != wanted || !strstr(err.message, text))
        fail_msg("failure %d, \"%s\" instead of \"%s\"", (int)failure, err.message, text);
}

static int reset(void **state)
{
    (void)state;
    memset(&setting, 0, sizeof(setting));
    return 0;
}

static void the_authority_is_a_file_or_a_folder(void **state)
{
    (void)state;
    expect_trust();
    setting.host = "localhost";
    expect_trust();
    setting.trusts_folder = true;
    expect_trust();
}

/* It is trusted by the system, but that does not count any more. */
static void the_cafile_alone_decides(void **state)
{
    (void)state;
    setting.no_cafile = true;
    expect_trust();
    setting.no_cafile = false;
    setting.trusts_other = true;
    expect_refusal(HTTP_FAILED_TLS, "unable to get local issuer certificate");
}

static void a_certificate_for_another_host_is_refused(void **state)
{
    (void)state;
    setting.certificate = TLS_OTHER_HOST;
    expect_refusal(HTTP_FAILED_TLS, "127.0.0.1");
    setting.insecure = true;
    expect_trust();
}

static void an_expired_certificate_is_refused(void **state)
{
    (void)state;
    setting.certificate = TLS_EXPIRED;
    expect_refusal(HTTP_FAILED_TLS, "certificate has expired");
}

static void what_is_no_tls_is_refused(void **state)
{
    (void)state;
    setting.certificate = TLS_NONE;
    expect_refusal(HTTP_FAILED_CONNECT, "SSL");
    setting.insecure = true;
    expect_refusal(HTTP_FAILED_CONNECT, "SSL");
}

static void the_first_that_says_anything_decides(void **state)
{
    (void)state;
    const struct http_options none = {.cafile = "", .timeout_s = 7},
                              user = {.cafile = "/user.pem", .keyfile = "/key", .timeout_s = 9},
                              open = {.insecure = true}, own = {.cafile = "/own.pem"};
    struct http_options options = http_options_first(&none, &user);
    assert_string_equal(options.cafile, "/user.pem");
    assert_string_equal(options.keyfile, "/key");
    assert_int_equal(options.timeout_s, 7);
    options = http_options_first(&own, &user);
    assert_string_equal(options.cafile, "/own.pem");
    assert_null(options.keyfile);
    assert_int_equal(options.timeout_s, 9);
    options = http_options_first(&open, &user);
    assert_true(options.insecure);
    assert_null(options.cafile);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(the_authority_is_a_file_or_a_folder),
        TEST(the_cafile_alone_decides),
        TEST(a_certificate_for_another_host_is_refused),
        TEST(an_expired_certificate_is_refused),
        TEST(what_is_no_tls_is_refused),
        TEST(the_first_that_says_anything_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
