/* SPDX-License-Identifier: Apache-2.0 */
/* common/http.c and what it is made of, against a server that misbehaves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <microhttpd.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "tests/unit/canceller.h"
#include "tests/unit/http_script.h"
#include "tests/unit/memory_source.h"

#define UPLOAD_BYTES ((3u << 20) + 17)

static int call_with(const struct http_options *options, const struct http_request *request,
                     struct http_response *response, enum http_failure *failure, struct error *err)
{
    struct http_client *client = NULL;
    assert_int_equal(http_client_new(options, &client, err), 0);
    int r = http_request(client, request, response, failure, err);
    http_client_free(client);
    return r;
}

static int get_path(const char *base, const char *path, struct http_response *response,
                    enum http_failure *failure, struct error *err)
{
    const struct http_options options = {0};
    char url[256];
    (void)snprintf(url, sizeof(url), "%s%s", base, path);
    const struct http_request request = {.method = "GET", .url = url, .total_ms = 300};
    return call_with(&options, &request, response, failure, err);
}

static void an_answer_is_read_whole(void **state)
{
    (void)state;
    const struct http_step steps[] = {{
        .method = "GET",
        .path = "/v2/x?a=b",
        .headers = {"User-Agent: nova-snapshot-agent/" VERSION, "!Expect"},
        .status = 404,
        .reply_headers = "X-Subject-Token: gAAA\r\nContent-Type: application/json\r\n",
        .reply = "{\"a\": 1}",
    }};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(get_path(http_script_url(script), "/v2/x?a=b", &response, &failure, &err), 0);
    assert_int_equal(response.status, 404);
    assert_int_equal(response.body_bytes, 8);
    assert_string_equal(response.body, "{\"a\": 1}");
    assert_string_equal(http_response_header(&response, "x-subject-token"), "gAAA");
    assert_null(http_response_header(&response, "X-Subject"));
    json_t *value = NULL;
    assert_int_equal(http_response_json(&response, "answer", &value, &err), 0);
    assert_int_equal(json_integer_value(json_object_get(value, "a")), 1);
    json_decref(value);
    http_response_done(&response);
    http_script_finish(script);
}

static void body_and_headers_are_sent(void **state)
{
    (void)state;
    const struct http_step steps[] = {{
        .method = "PATCH",
        .path = "/p",
        .headers = {"X-Auth-Token: t", "Content-Length: 5", "!X-Service-Token", "!X-Empty",
                    "!Expect"},
        .body = "hello",
        .status = 204,
    }};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    char url[128];
    (void)snprintf(url, sizeof(url), "%s/p", http_script_url(script));
    const struct http_header headers[] = {
        {"X-Auth-Token", "t"}, {"X-Service-Token", NULL}, {"X-Empty", ""}};
    const struct http_request request = {.method = "PATCH",
                                         .url = url,
                                         .headers = headers,
                                         .header_count = ARRAY_SIZE(headers),
                                         .body = "hello",
                                         .body_bytes = 5};
    const struct http_options options = {0};
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(call_with(&options, &request, &response, &failure, &err), 0);
    assert_int_equal(response.status, 204);
    assert_string_equal(response.body, "");
    http_response_done(&response);
    http_script_finish(script);
}

static void a_connection_is_used_again(void **state)
{
    (void)state;
    const struct http_step steps[] = {{.path = "/", .method = "GET", .keep_alive = true},
                                      {.path = "/", .method = "GET"}};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    const struct http_options options = {0};
    const struct http_request request = {
        .method = "GET", .url = http_script_url(script), .total_ms = 2000};
    struct http_client *client = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(http_client_new(&options, &client, &err), 0);
    for (int i = 0; i < 2; i++) {
        struct http_response response;
        enum http_failure failure;
        assert_int_equal(http_request(client, &request, &response, &failure, &err), 0);
        http_response_done(&response);
    }
    http_client_free(client);
    http_script_finish(script);
}

static void control_characters_in_headers_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {"req-1\r\nX-Auth-Token: stolen", "a\nb", "a\rb", "a\x7f",
                                         "\x01"};
    struct http_script *script = http_script_start(NULL, 0);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        const struct http_options options = {0};
        const struct http_header headers[] = {{"X-OpenStack-Request-ID", values[i]}};
        const struct http_request request = {
            .method = "GET", .url = http_script_url(script), .headers = headers, .header_count = 1};
        struct http_response response;
        enum http_failure failure;
        struct error err = ERROR_INIT;
        assert_int_equal(call_with(&options, &request, &response, &failure, &err), -EINVAL);
        assert_int_equal(failure, HTTP_FAILED_REQUEST);
        assert_non_null(strstr(err.message, "X-OpenStack-Request-ID"));
        assert_null(strstr(err.message, "stolen"));
    }
    http_script_finish(script);
}

static void unusable_urls_are_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {"ftp://127.0.0.1/", "file:///etc/passwd", "http://u:pw@h/",
                                       "http://a b/",      "http://h/\r\nX: y",  ""};
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct http_response response;
        enum http_failure failure;
        struct error err = ERROR_INIT;
        assert_int_equal(get_path(urls[i], "", &response, &failure, &err), -EINVAL);
        assert_int_equal(failure, HTTP_FAILED_REQUEST);
        assert_null(strstr(err.message, "pw"));
    }
}

static void redirects_are_not_followed(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.status = 302, .reply_headers = "Location: /elsewhere\r\n", .reply = ""}};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(get_path(http_script_url(script), "/", &response, &failure, &err), 0);
    assert_int_equal(response.status, 302);
    http_response_done(&response);
    http_script_finish(script);
}

static void proxies_of_the_environment_are_not_used(void **state)
{
    (void)state;
    char proxy[64];
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", http_script_unused_port());
    assert_int_equal(setenv("http_proxy", proxy, 1), 0);
    const struct http_step steps[] = {{.method = "GET", .path = "/"}};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(get_path(http_script_url(script), "/", &response, &failure, &err), 0);
    http_response_done(&response);
    assert_int_equal(unsetenv("http_proxy"), 0);
    http_script_finish(script);
}

static void a_closed_port_is_a_failed_connect(void **state)
{
    (void)state;
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_script_unused_port());
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(get_path(url, "/", &response, &failure, &err), -ECONNREFUSED);
    assert_int_equal(failure, HTTP_FAILED_CONNECT);
    assert_true(http_failure_is_transient(failure));
}

static void expect_failure(const struct http_step *step, int wanted_errno,
                           enum http_failure wanted_failure)
{
    struct http_script *script = http_script_start(step, 1);
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    int r = get_path(http_script_url(script), "/", &response, &failure, &err);
    assert_int_equal(r, -wanted_errno);
    assert_int_equal(failure, wanted_failure);
    assert_int_equal(err.errnum, wanted_errno);
    http_script_finish(script);
}

static void broken_answers_are_no_answers(void **state)
{
    (void)state;
    const struct http_step dropped = {.action = HTTP_DROP};
    expect_failure(&dropped, ECONNRESET, HTTP_FAILED_ANSWER);
    const struct http_step truncated = {
        .action = HTTP_TRUNCATE, .reply = "{\"status\": \"active\"}", .bytes = 10};
    expect_failure(&truncated, ECONNRESET, HTTP_FAILED_ANSWER);
    const struct http_step garbage = {.action = HTTP_RAW, .reply = "SSH-2.0-OpenSSH_9.2\r\n\r\n"};
    expect_failure(&garbage, ECONNRESET, HTTP_FAILED_ANSWER);
    const struct http_step empty = {.action = HTTP_RAW, .reply = "\r\n"};
    expect_failure(&empty, ECONNRESET, HTTP_FAILED_ANSWER);
}

static void a_silent_server_times_out(void **state)
{
    (void)state;
    const struct http_step stalled = {.action = HTTP_STALL};
    uint64_t begun_ms = clock_now_ms();
    expect_failure(&stalled, ETIMEDOUT, HTTP_FAILED_TIMEOUT);
    assert_in_range(clock_now_ms() - begun_ms, 290, 10000);
}

static void answers_are_bounded(void **state)
{
    (void)state;
    size_t length = HTTP_BODY_MAX_BYTES + 1;
    char *big = malloc(length);
    assert_non_null(big);
    memset(big, 'x', length);
    struct http_step step = {.reply = big, .reply_bytes = length};
    const struct http_options options = {0};
    struct http_script *script = http_script_start(&step, 1);
    const struct http_request request = {.method = "GET", .url = http_script_url(script)};
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(call_with(&options, &request, &response, &failure, &err), -EMSGSIZE);
    assert_int_equal(failure, HTTP_FAILED_SIZE);
    assert_false(http_failure_is_transient(failure));
    http_script_finish(script);
    free(big);

    char many[3000] = "";
    for (int i = 0; i < 200; i++)
        (void)strcat(many, "X-A: b\r\n");
    const struct http_step headers = {.reply_headers = many};
    expect_failure(&headers, EMSGSIZE, HTTP_FAILED_SIZE);
}

static int upload(struct http_script *script, struct memory_source *source, unsigned stall_ms,
                  unsigned answer_ms, struct http_response *response, enum http_failure *failure,
                  struct error *err)
{
    const struct http_options options = {0};
    const struct http_request request = {.method = "PUT",
                                         .url = http_script_url(script),
                                         .source = &source->base,
                                         .stall_ms = stall_ms,
                                         .answer_ms = answer_ms};
    return call_with(&options, &request, response, failure, err);
}

static void an_upload_sends_every_byte_once(void **state)
{
    (void)state;
    struct memory_source source;
    memory_source_init(&source, UPLOAD_BYTES);
    const struct http_step steps[] = {{
        .method = "PUT",
        .path = "/",
        .headers = {"Expect: 100-continue", "Content-Length: 3145745", "!Transfer-Encoding"},
        .body = source.bytes,
        .body_bytes = UPLOAD_BYTES,
        .status = 204,
    }};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(upload(script, &source, 10000, 10000, &response, &failure, &err), 0);
    assert_int_equal(response.status, 204);
    assert_int_equal(source.rewinds, 0);
    assert_in_range(source.reads, 1, 10);
    http_response_done(&response);
    http_script_finish(script);
    memory_source_done(&source);
}

static void a_refusal_comes_before_the_body(void **state)
{
    (void)state;
    struct memory_source source;
    memory_source_init(&source, UPLOAD_BYTES);
    const struct http_step steps[] = {{.action = HTTP_EARLY, .status = 409}};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(upload(script, &source, 10000, 10000, &response, &failure, &err), 0);
    assert_int_equal(response.status, 409);
    assert_int_equal(source.reads, 0);
    http_response_done(&response);
    http_script_finish(script);
    memory_source_done(&source);
}

static void an_upload_to_a_server_without_expect(void **state)
{
    (void)state;
    struct memory_source source;
    memory_source_init(&source, UPLOAD_BYTES);
    const struct http_step steps[] = {
        {.headers = {"Expect: 100-continue"},
         .action = HTTP_EARLY,
         .status = 417,
         .keep_alive = true},
        {.headers = {"!Expect"}, .body = source.bytes, .body_bytes = UPLOAD_BYTES, .status = 204}};
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(upload(script, &source, 10000, 10000, &response, &failure, &err), 0);
    assert_int_equal(response.status, 204);
    http_response_done(&response);
    http_script_finish(script);
    memory_source_done(&source);
}

static void expect_upload_failure(const struct http_step *step, struct memory_source *source,
                                  int wanted_errno, enum http_failure wanted_failure,
                                  const char *text)
{
    struct http_script *script = http_script_start(step, 1);
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(upload(script, source, 300, 300, &response, &failure, &err), -wanted_errno);
    assert_int_equal(failure, wanted_failure);
    assert_non_null(strstr(err.message, text));
    http_script_finish(script);
}

static void a_broken_upload_is_told_apart(void **state)
{
    (void)state;
    struct memory_source source;
    memory_source_init(&source, 32u << 20);
    const struct http_step dropped = {.action = HTTP_DROP, .bytes = 1u << 20};
    expect_upload_failure(&dropped, &source, ECONNRESET, HTTP_FAILED_ANSWER, "PUT");
    source.position = 0;
    const struct http_step stalled = {.action = HTTP_STALL, .bytes = 1u << 20};
    expect_upload_failure(&stalled, &source, ETIMEDOUT, HTTP_FAILED_TIMEOUT, "stalled");
    memory_source_done(&source);

    memory_source_init(&source, 100000);
    const struct http_step silent = {.action = HTTP_STALL, .bytes = 100000};
    expect_upload_failure(&silent, &source, ETIMEDOUT, HTTP_FAILED_TIMEOUT, "all was sent");
    memory_source_done(&source);
}

static void a_failing_source_ends_the_upload(void **state)
{
    (void)state;
    struct memory_source source;
    const struct http_step step = {.action = HTTP_STALL, .bytes = 1u << 19};
    memory_source_init(&source, UPLOAD_BYTES);
    source.fail_at = 2u << 20;
    expect_upload_failure(&step, &source, EIO, HTTP_FAILED_SOURCE, "the disk is broken");
    memory_source_done(&source);

    memory_source_init(&source, UPLOAD_BYTES);
    source.length = 2u << 20;
    expect_upload_failure(&step, &source, EIO, HTTP_FAILED_SOURCE,
                          "ended after 2097152 of 3145745 bytes");
    memory_source_done(&source);
}

static void check_reason(const char *type, const char *body, const char *wanted)
{
    char headers[128];
    (void)snprintf(headers, sizeof(headers), "Content-Type: %s\r\n", type);
    const struct http_step step = {.status = 403, .reply_headers = headers, .reply = body};
    struct http_script *script = http_script_start(&step, 1);
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(get_path(http_script_url(script), "/", &response, &failure, &err), 0);
    char reason[HTTP_REASON_SIZE];
    http_response_reason(&response, reason);
    assert_string_equal(reason, wanted);
    http_response_done(&response);
    http_script_finish(script);
}

static void the_reason_is_one_printable_line(void **state)
{
    (void)state;
    check_reason("text/html",
                 "<html><head><title>403</title></head><body>\n<h1>Forbidden</h1>\n no\x01\xff "
                 "way<br/><script>",
                 "403: Forbidden no way");
    check_reason("application/json",
                 "{\"error\": {\"code\": 401, \"message\": \"size 3 < 4\\nbad<br /><br />\"}}",
                 "403: size 3 < 4 bad");
    check_reason("application/json", "{\"message\": \"plain\", \"x\": 1}", "403: plain");
    check_reason("application/json", "[1, {}]", "403: [1, {}]");
    check_reason("text/plain", "", "403");
    char page[4000];
    memset(page, 'y', sizeof(page));
    page[sizeof(page) - 1] = '\0';
    char cut[HTTP_REASON_SIZE];
    (void)snprintf(cut, sizeof(cut), "403: %.*s", HTTP_REASON_SIZE - 6, page);
    check_reason("text/plain", page, cut);
}

static void check_retry_after(const char *headers, unsigned wanted_ms)
{
    const struct http_step step = {.status = 503, .reply_headers = headers};
    struct http_script *script = http_script_start(&step, 1);
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    assert_int_equal(get_path(http_script_url(script), "/", &response, &failure, &err), 0);
    assert_int_equal(http_response_retry_after_ms(&response), wanted_ms);
    http_response_done(&response);
    http_script_finish(script);
}

static void retry_after_is_seconds(void **state)
{
    (void)state;
    check_retry_after("Retry-After: 7\r\n", 7000);
    check_retry_after("", 0);
    check_retry_after("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", 0);
    check_retry_after("Retry-After: -1\r\n", 0);
    check_retry_after("Retry-After: 99999999999999999999999\r\n", 3600000);
}

static void json_must_be_announced_and_sound(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        const char *body;
    } answers[] = {
        {"Content-Type: text/html\r\n", "{}"},
        {"", "{}"},
        {"Content-Type: application/json\r\n", "{\"a\": "},
        {"Content-Type: application/json\r\n", "\xff\xfe"},
        {"Content-Type: application/json\r\n", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        const struct http_step step = {.reply_headers = answers[i].headers,
                                       .reply = answers[i].body};
        struct http_script *script = http_script_start(&step, 1);
        struct http_response response;
        enum http_failure failure;
        struct error err = ERROR_INIT;
        json_t *value = NULL;
        assert_int_equal(get_path(http_script_url(script), "/", &response, &failure, &err), 0);
        assert_int_equal(http_response_json(&response, "the answer", &value, &err), -EBADMSG);
        assert_non_null(strstr(err.message, "the answer"));
        http_response_done(&response);
        http_script_finish(script);
    }
}

/* A server with a certificate of its own for 127.0.0.1. */
struct tls_server {
    struct MHD_Daemon *daemon;
    char url[64];
    char cafile[64];
    char *key_pem, *cert_pem;
};

static enum MHD_Result tls_answer(void *opaque, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **request)
{
    (void)opaque, (void)url, (void)method, (void)version, (void)data, (void)size, (void)request;
    static const char ok[] = "ok";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(2, (void *)(uintptr_t)ok, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result r = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return r;
}

static char *take_pem(BIO *bio)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);
    char *copy = strndup(data, (size_t)length);
    assert_non_null(copy);
    (void)BIO_free(bio);
    return copy;
}

static void make_certificate(struct tls_server *server)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *cert = X509_new();
    assert_non_null(key);
    assert_non_null(cert);
    (void)X509_set_version(cert, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    (void)X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"unit test",
                                     -1, -1, 0);
    (void)X509_set_issuer_name(cert, name);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    assert_non_null(san);
    (void)X509_add_ext(cert, san, -1);
    X509_EXTENSION_free(san);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    server->key_pem = take_pem(bio);
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    server->cert_pem = take_pem(bio);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void tls_server_start(struct tls_server *server)
{
    make_certificate(server);
    server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS, 0, NULL, NULL,
                                      tls_answer, NULL, MHD_OPTION_HTTPS_MEM_KEY, server->key_pem,
                                      MHD_OPTION_HTTPS_MEM_CERT, server->cert_pem, MHD_OPTION_END);
    assert_non_null(server->daemon);
    (void)snprintf(server->url, sizeof(server->url), "https://127.0.0.1:%u",
                   MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    (void)snprintf(server->cafile, sizeof(server->cafile), "/tmp/test_http.XXXXXX");
    cleanup_close int fd = mkstemp(server->cafile);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, server->cert_pem, strlen(server->cert_pem)),
                     strlen(server->cert_pem));
}

static void tls_server_stop(struct tls_server *server)
{
    MHD_stop_daemon(server->daemon);
    (void)unlink(server->cafile);
    free(server->key_pem);
    free(server->cert_pem);
}

static void certificates_are_verified(void **state)
{
    (void)state;
    struct tls_server server;
    tls_server_start(&server);
    const struct http_request request = {.method = "GET", .url = server.url};
    const struct http_options strict = {0};
    const struct http_options trusting = {.cafile = server.cafile};
    const struct http_options insecure = {.insecure = true};
    const struct http_options absent = {.cafile = "/nonexistent/ca.pem"};
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;

    assert_int_equal(call_with(&strict, &request, &response, &failure, &err), -EPROTO);
    assert_int_equal(failure, HTTP_FAILED_TLS);
    assert_false(http_failure_is_transient(failure));
    assert_int_equal(call_with(&absent, &request, &response, &failure, &err), -EPROTO);
    assert_int_equal(failure, HTTP_FAILED_TLS);
    assert_int_equal(call_with(&trusting, &request, &response, &failure, &err), 0);
    assert_string_equal(response.body, "ok");
    http_response_done(&response);
    assert_int_equal(call_with(&insecure, &request, &response, &failure, &err), 0);
    http_response_done(&response);

    /* The certificate names 127.0.0.1 only. */
    char other[64];
    (void)snprintf(other, sizeof(other), "https://localhost:%s", strrchr(server.url, ':') + 1);
    const struct http_request wrong_host = {.method = "GET", .url = other};
    assert_int_equal(call_with(&trusting, &wrong_host, &response, &failure, &err), -EPROTO);
    tls_server_stop(&server);
}

/* The server cancels the work as soon as it has fallen silent. */
static void a_cancelled_request_ends_at_once(void **state)
{
    (void)state;
    struct canceller canceller;
    const struct http_step steps[] = {
        {.action = HTTP_STALL, .then = canceller_request, .then_opaque = &canceller},
        {.method = "GET"},
    };
    const struct http_options options = {.timeout_s = 3600};
    struct http_client *client = NULL;
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    canceller_enter(&canceller);
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    const struct http_request request = {.method = "GET", .url = http_script_url(script)};
    assert_int_equal(http_client_new(&options, &client, &err), 0);
    uint64_t begun_ms = clock_now_ms();
    assert_cancelled(http_request(client, &request, &response, &failure, &err), &err);
    assert_true(clock_now_ms() - begun_ms < CANCELLER_MAX_MS);
    assert_int_equal(failure, HTTP_FAILED_CANCELED);
    assert_false(http_failure_is_transient(failure));
    /* Nothing more is sent, but for a rollback. */
    assert_cancelled(http_request(client, &request, &response, &failure, &err), &err);
    {
        CANCEL_SHIELD();
        assert_int_equal(http_request(client, &request, &response, &failure, &err), 0);
        http_response_done(&response);
    }
    http_client_free(client);
    http_script_finish(script);
    canceller_leave(&canceller);
}

static void cancel_upload_after(size_t bytes)
{
    struct canceller canceller;
    struct memory_source source;
    memory_source_init(&source, UPLOAD_BYTES);
    const struct http_step steps[] = {{.action = HTTP_STALL,
                                       .bytes = bytes,
                                       .then = canceller_request,
                                       .then_opaque = &canceller}};
    struct http_response response;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    canceller_enter(&canceller);
    struct http_script *script = http_script_start(steps, ARRAY_SIZE(steps));
    uint64_t begun_ms = clock_now_ms();
    int r = upload(script, &source, 3600000, 3600000, &response, &failure, &err);
    assert_cancelled(r, &err);
    assert_true(clock_now_ms() - begun_ms < CANCELLER_MAX_MS);
    assert_int_equal(failure, HTTP_FAILED_CANCELED);
    http_script_finish(script);
    canceller_leave(&canceller);
    memory_source_done(&source);
}

static void a_cancelled_upload_ends_at_once(void **state)
{
    (void)state;
    cancel_upload_after(UPLOAD_BYTES / 2);
    cancel_upload_after(UPLOAD_BYTES); /* while the answer is waited for */
}

/* An option may be any number: 4294968 s were 704 ms. */
static void a_long_time_limit_is_long(void **state)
{
    (void)state;
    const struct http_step step = {.reply = "{}", .delay_ms = 900};
    struct http_script *script = http_script_start(&step, 1);
    struct http_client *client = NULL;
    struct http_response response = {0};
    enum http_failure failure;
    struct error err = ERROR_INIT;
    const struct http_options options = {.timeout_s = 4294968};
    const struct http_request request = {.method = "GET", .url = http_script_url(script)};
    assert_int_equal(http_client_new(&options, &client, &err), 0);
    if (http_request(client, &request, &response, &failure, &err) < 0)
        fail_msg("%s", err.message);
    http_response_done(&response);
    http_client_free(client);
    http_script_finish(script);
}

/* What a debug log has of a request, through a pipe on stderr. */
static void the_debug_log_has_no_query_header_or_body(void **state)
{
    (void)state;
    const struct http_step step = {.method = "POST", .status = 201, .reply = "s3cret-answer"};
    struct http_script *script = http_script_start(&step, 1);
    const struct http_header header = {"X-Auth-Token", "s3cret-token"};
    char url[128], wanted[160], text[4096];
    (void)snprintf(url, sizeof(url), "%s/v3?key=s3cret-query", http_script_url(script));
    (void)snprintf(wanted, sizeof(wanted), "POST %s/v3: 201 in ", http_script_url(script));
    const struct http_options options = {0};
    const struct http_request request = {.method = "POST",
                                         .url = url,
                                         .headers = &header,
                                         .header_count = 1,
                                         .body = "s3cret-body",
                                         .body_bytes = strlen("s3cret-body")};
    struct http_response response = {0};
    enum http_failure failure;
    struct error err = ERROR_INIT;
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(ends[1]);
    log_init(LOG_LEVEL_DEBUG);
    int r = call_with(&options, &request, &response, &failure, &err);
    log_init(LOG_LEVEL_INFO);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    ssize_t n = read(ends[0], text, sizeof(text) - 1);
    (void)close(ends[0]);
    assert_int_equal(r, 0);
    text[n > 0 ? n : 0] = '\0';
    assert_non_null(strstr(text, wanted));
    assert_null(strstr(text, "s3cret"));
    http_response_done(&response);
    http_script_finish(script);
}

static void a_url_is_shown_without_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *url, *shown;
    } rows[] = {
        {"http://glance:9292/v2", "http://glance:9292/v2"},
        {"https://user:pass@word@glance:9292/v2?token=1", "https://glance:9292/v2"},
        {"http://glance/a@b", "http://glance/a@b"},
        {"user:secret@glance", "glance"},
        {"http://user:secret@", "http://"},
        {"http://user@[::1]:1#f", "http://[::1]:1"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(http_request_show_url(rows[i].url).text, rows[i].shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read_whole),
        cmocka_unit_test(body_and_headers_are_sent),
        cmocka_unit_test(a_connection_is_used_again),
        cmocka_unit_test(control_characters_in_headers_are_refused),
        cmocka_unit_test(unusable_urls_are_refused),
        cmocka_unit_test(redirects_are_not_followed),
        cmocka_unit_test(proxies_of_the_environment_are_not_used),
        cmocka_unit_test(a_closed_port_is_a_failed_connect),
        cmocka_unit_test(broken_answers_are_no_answers),
        cmocka_unit_test(a_silent_server_times_out),
        cmocka_unit_test(answers_are_bounded),
        cmocka_unit_test(an_upload_sends_every_byte_once),
        cmocka_unit_test(a_refusal_comes_before_the_body),
        cmocka_unit_test(an_upload_to_a_server_without_expect),
        cmocka_unit_test(a_broken_upload_is_told_apart),
        cmocka_unit_test(a_failing_source_ends_the_upload),
        cmocka_unit_test(the_reason_is_one_printable_line),
        cmocka_unit_test(retry_after_is_seconds),
        cmocka_unit_test(json_must_be_announced_and_sound),
        cmocka_unit_test(certificates_are_verified),
        cmocka_unit_test(a_cancelled_request_ends_at_once),
        cmocka_unit_test(a_cancelled_upload_ends_at_once),
        cmocka_unit_test(a_long_time_limit_is_long),
        cmocka_unit_test(the_debug_log_has_no_query_header_or_body),
        cmocka_unit_test(a_url_is_shown_without_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
