/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broken or hostile service may answer to a REST client: one row, one way. Each ends within
 * the client's own limits, with an error that says what was wrong, and without our token.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "tests/unit/glance_client/fixture.h"

#ifdef __SANITIZE_ADDRESS__
#define MEMORY_MAX_KIB (2048L << 10) /* the sanitizer's own */
#else
#define MEMORY_MAX_KIB (256L << 10)
#endif
#define LARGE (9u << 20)

#define HEAD "HTTP/1.1 200 OK\r\n"
#define JSON_HEAD HEAD "Content-Type: application/json\r\n"
#define RECORD "{\"id\": \"" IMAGE_ID "\", \"status\": \"queued\"}"
#define RAW(text) .action = HTTP_RAW, .reply = (text)
#define RAW_BYTES(text) .action = HTTP_RAW, .reply = (text), .reply_bytes = sizeof(text) - 1
#define FLOOD(begin, repeated) .action = HTTP_FLOOD, .reply = (begin), .again = (repeated)
#define RECORD_WITH(member)                                                                        \
    .reply = "{\"id\": \"" IMAGE_ID "\", \"status\": \"queued\", " member "}"
#define TO(code, place) .status = (code), .reply_headers = "Location: " place "\r\n", .reply = "x"

#define OF_32(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define LINE_OF_1024 OF_32("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")

static char large[LARGE + 1];       /* spaces */
static char large_header[2u << 20]; /* one line */
static char many_headers[16384];    /* 300 lines */
static char nested[200001];         /* [[[[... */

struct mode {
    const char *name;
    struct http_step step;
    const char *text; /* in the message */
};

static const struct mode framing[] = {
    {"nothing", {RAW("")}, "Connection to Glance failed"},
    {"garbage", {RAW("\x01\x02\xff\xfe garbage\r\n\r\n")}, "Connection to Glance failed"},
    {"a body without a head", {RAW("<html>hello</html>")}, "Connection to Glance failed"},
    {"another protocol", {RAW("220 mail.example ESMTP\r\n")}, "Connection to Glance failed"},
    {"a TLS alert", {RAW_BYTES("\x15\x03\x01\x00\x02\x02\x28")}, "Connection to Glance failed"},
    {"HTTP/2", {RAW_BYTES("\x00\x00\x12\x04\x00\x00\x00\x00\x00")}, "Connection to Glance failed"},
    {"HTTP/9.9", {RAW("HTTP/9.9 200 OK\r\n\r\n")}, "Connection to Glance failed"},
    {"half a status line", {RAW("HTTP/1.")}, "Connection to Glance failed"},
    {"no status", {RAW("HTTP/1.1\r\n\r\n")}, "Connection to Glance failed"},
    {"status 0", {RAW("HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n")}, "Glance"},
    {"status 99999", {RAW("HTTP/1.1 99999 Big\r\nContent-Length: 0\r\n\r\n")}, "Glance"},
    {"status -200", {RAW("HTTP/1.1 -200 Minus\r\n\r\n")}, "Connection to Glance failed"},
    {"status 999", {.status = 999, .reply = "x"}, "999"},
    {"half a head", {RAW(JSON_HEAD)}, "Glance"},
    {"half a header", {RAW(HEAD "Content-Ty")}, "Glance"},
    {"a header without a colon", {RAW(HEAD "nonsense\r\n\r\n{}")}, "Glance"},
    {"a NUL in a header", {RAW_BYTES(HEAD "A: b\0c\r\n\r\n{}")}, "Connection to Glance failed"},
    {"a folded header", {RAW(HEAD "Content-Type:\r\n\ttext/html\r\n\r\n")}, "not sent as JSON"},
    {"a header of 2 MiB", {RAW(large_header)}, "the answer's head is too large"},
    {"300 headers", {RAW(many_headers)}, "more than 128 headers"},
    {"endless headers", {FLOOD(HEAD, "X-Again: " LINE_OF_1024 "\r\n")}, "Glance"},
    {"an endless header", {FLOOD(HEAD "X: ", LINE_OF_1024)}, "Glance"},
    {"only 100 Continue", {RAW("HTTP/1.1 100 Continue\r\n\r\n")}, "Connection to Glance failed"},
    {"endless 100 Continue", {FLOOD("", "HTTP/1.1 100 Continue\r\n\r\n")}, "Glance"},
    {"endless 103 with headers",
     {FLOOD("", "HTTP/1.1 103 Early Hints\r\nLink: " LINE_OF_1024 "\r\n\r\n")},
     "Glance"},
    {"another protocol from here on",
     {RAW("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")},
     "Glance"},
    {"no content", {.status = 204}, "Glance's answer"},
    {"not modified", {.status = 304}, "304"},
};

static const struct mode lengths[] = {
    {"cut body", {.action = HTTP_TRUNCATE, .bytes = 7, .reply = RECORD}, "Connection to Glance"},
    {"a length too small", {RAW(JSON_HEAD "Content-Length: 9\r\n\r\n" RECORD)}, "no JSON"},
    {"a length below 0", {RAW(JSON_HEAD "Content-Length: -5\r\n\r\n" RECORD)}, "Glance"},
    {"a length in words", {RAW(JSON_HEAD "Content-Length: ten\r\n\r\n" RECORD)}, "Glance"},
    {"two lengths", {RAW(JSON_HEAD "Content-Length: 3\r\nContent-Length: 60\r\n\r\n{}")}, "Glance"},
    {"2^63", {RAW(JSON_HEAD "Content-Length: 9223372036854775807\r\n\r\n{}")}, "Glance"},
    {"10^20", {RAW(JSON_HEAD "Content-Length: 100000000000000000000\r\n\r\n{}")}, "Glance"},
    {"no body", {.reply = ""}, "no JSON"},
    {"9 MiB", {.reply = large}, "larger than 8 MiB"},
    {"an endless body", {FLOOD(JSON_HEAD "\r\n", LINE_OF_1024)}, "Connection to Glance failed"},
    {"a chunk of no size",
     {RAW(JSON_HEAD "Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n")},
     "Connection to Glance failed"},
    {"a chunk of 2^68",
     {RAW(JSON_HEAD "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n")},
     "Connection to Glance failed"},
    {"half a chunk",
     {RAW(JSON_HEAD "Transfer-Encoding: chunked\r\n\r\n50\r\n{\"id\"")},
     "Connection to Glance failed"},
    {"no last chunk",
     {RAW(JSON_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")},
     "Connection to Glance failed"},
    {"endless chunks",
     {FLOOD(JSON_HEAD "Transfer-Encoding: chunked\r\n\r\n", "400\r\n" LINE_OF_1024 "\r\n")},
     "Connection to Glance failed"},
    {"an endless trailer",
     {FLOOD(JSON_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: " LINE_OF_1024 "\r\n")},
     "Glance"},
    {"an unknown encoding", {RAW(JSON_HEAD "Transfer-Encoding: rot13\r\n\r\n{}")}, "Glance"},
    {"compressed all the same",
     {.reply_headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
      .reply = "\x1f\x8b garbage"},
     "no JSON"},
};

static const struct mode places[] = {
    {"to another host", {TO(301, "http://192.0.2.1/")}, "redirects are not followed"},
    {"to a file", {TO(302, "file:///etc/passwd")}, "redirects are not followed"},
    {"to gopher", {TO(307, "gopher://127.0.0.1:11211/")}, "redirects are not followed"},
    {"to a socket", {TO(303, "unix:/run/libvirt/libvirt-sock")}, "redirects are not followed"},
    {"to itself", {TO(308, IMAGE_PATH)}, "redirects are not followed"},
    {"to nowhere", {.status = 300, .reply = "x"}, "redirects are not followed"},
    {"to a proxy", {.status = 305, .reply = "x"}, "redirects are not followed"},
    {"proxy's password",
     {.status = 407, .reply_headers = "Proxy-Authenticate: Basic\r\n", .reply = "x"},
     "407"},
};

static const struct mode slow[] = {
    {"no answer", {.action = HTTP_STALL}, "timed out"},
    {"a head drop by drop",
     {.action = HTTP_DRIP, .delay_ms = 50, .reply = large_header},
     "timed out"},
    {"a body drop by drop",
     {.action = HTTP_DRIP, .delay_ms = 2, .reply = JSON_HEAD "\r\n" LINE_OF_1024},
     "timed out"},
    {"cut off", {.action = HTTP_DROP}, "Connection to Glance failed"},
};

static const struct mode contents[] = {
    {"no type", {.reply_headers = "", .reply = RECORD}, "not sent as JSON"},
    {"a page", {.reply_headers = HTML, .reply = "<html>login</html>"}, "not sent as JSON"},
    {"a page as JSON", {.reply = "<html>login</html>"}, "no JSON"},
    {"a list", {.reply = "[]"}, "Glance's answer"},
    {"null", {.reply = "null"}, "Glance's answer"},
    {"a number", {.reply = "7"}, "Glance's answer"},
    {"nested", {.reply = nested}, "no JSON"},
    {"no UTF-8", {.reply = "{\"id\": \"\xff\xfe\"}"}, "no JSON"},
    {"a NUL", {.reply = "{\"id\": \"" IMAGE_ID "\\u0000\", \"status\": \"x\"}"}, "Glance's"},
    {"two texts", {.reply = RECORD RECORD}, "no JSON"},
    {"an empty object", {.reply = "{}"}, "not that of"},
    {"no status", {.reply = "{\"id\": \"" IMAGE_ID "\"}"}, "not that of"},
    {"another image",
     {.reply = "{\"id\": \"00000000-0000-0000-0000-000000000000\", \"status\": \"active\"}"},
     "not that of"},
    {"id 7", {.reply = "{\"id\": 7, \"status\": \"queued\"}"}, "'id'"},
    {"status 7", {.reply = "{\"id\": \"" IMAGE_ID "\", \"status\": 7}"}, "'status'"},
    {"status of a list", {.reply = "{\"id\": \"" IMAGE_ID "\", \"status\": []}"}, "'status'"},
    {"size in words", {RECORD_WITH("\"size\": \"big\"")}, "'size'"},
    {"size below 0", {RECORD_WITH("\"size\": -1")}, "'size'"},
    {"half a byte", {RECORD_WITH("\"size\": 1.5")}, "'size'"},
    {"size 10^30", {RECORD_WITH("\"size\": 1000000000000000000000000000000")}, "no JSON"},
    {"name 7", {RECORD_WITH("\"name\": 7")}, "'name'"},
    {"an object for a format", {RECORD_WITH("\"disk_format\": {}")}, "'disk_format'"},
    {"a list for a container", {RECORD_WITH("\"container_format\": []")}, "'container_format'"},
    {"true for a hash", {RECORD_WITH("\"os_hash_value\": true")}, "'os_hash_value'"},
    {"7 for an algorithm", {RECORD_WITH("\"os_hash_algo\": 7")}, "'os_hash_algo'"},
};

static const struct mode refusals[] = {
    {"a large page", {.status = 500, .reply_headers = HTML, .reply = large}, "larger than 8 MiB"},
    {"no UTF-8",
     {.status = 500, .reply_headers = HTML, .reply = "\xff\xfe caf\xe9 \x1b[31m"},
     "500"},
    {"an object for a message", {.status = 500, .reply = "{\"message\": {\"a\": 1}}"}, "500"},
    {"our token", {.status = 500, .reply_headers = "", .reply = "your user-token is bad"}, "***"},
    {"forbidden", {.status = 403, .reply = "{}"}, "Not authorized"},
    {"much later",
     {.status = 503, .reply_headers = "Retry-After: 99999999999999999999\r\n", .reply = "x"},
     "503"},
    {"before", {.status = 503, .reply_headers = "Retry-After: -5\r\n", .reply = "x"}, "503"},
    {"some day", {.status = 429, .reply_headers = "Retry-After: Mon\r\n", .reply = "x"}, "429"},
};

static void try_mode(const struct mode *mode)
{
    struct fixture fixture;
    struct glance_image image = {0};
    struct error err = ERROR_INIT;
    bool ends = mode->step.action != HTTP_FLOOD && mode->step.action != HTTP_DRIP &&
                mode->step.action != HTTP_STALL;
    fixture_start(&fixture, &mode->step, 1, NULL);
    glance_free(fixture.glance);
    const struct glance_options options = {
        .endpoint_override = http_script_url(fixture.script),
        .http = {.timeout_s = ends ? 20 : 1, .retry_delay_ms = 1}};
    assert_int_equal(glance_new(&options, NULL, &fixture.glance, &err), 0);
    if (glance_image_get(fixture.glance, fixture.context, IMAGE_ID, &image, &err) == 0)
        fail_msg("%s: taken for an image", mode->name);
    assert_null(image.object);
    json_t *text = json_string(err.message);
    if (!text || !strstr(err.message, mode->text) || strstr(err.message, "user-token"))
        fail_msg("%s: %s: '%s'", mode->name, err.exc, err.message);
    json_decref(text);
    fixture_finish(&fixture);
}

#define TRY_ALL(modes)                                                                             \
    for (size_t i_ = 0; i_ < sizeof(modes) / sizeof((modes)[0]); i_++)                             \
    try_mode(&(modes)[i_])

static void what_is_no_http(void **state)
{
    (void)state;
    TRY_ALL(framing);
}

static void lengths_that_lie(void **state)
{
    (void)state;
    TRY_ALL(lengths);
}

static void other_places(void **state)
{
    (void)state;
    TRY_ALL(places);
}

static void no_end(void **state)
{
    (void)state;
    TRY_ALL(slow);
}

static void contents_of_the_wrong_kind(void **state)
{
    (void)state;
    TRY_ALL(contents);
}

static void refusals_that_are_odd(void **state)
{
    (void)state;
    TRY_ALL(refusals);
}

static void none_takes_much_memory(void **state)
{
    (void)state;
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    assert_true(usage.ru_maxrss < MEMORY_MAX_KIB);
}

static int make_texts(void **state)
{
    (void)state;
    size_t used = (size_t)snprintf(many_headers, sizeof(many_headers), HEAD);
    memset(large, ' ', LARGE);
    memset(nested, '[', sizeof(nested) - 1);
    memset(large_header, 'x', sizeof(large_header) - 5);
    memcpy(large_header, HEAD "X: ", sizeof(HEAD "X: ") - 1);
    memcpy(large_header + sizeof(large_header) - 5, "\r\n\r\n", 5);
    for (int i = 0; i < 300; i++)
        used +=
            (size_t)snprintf(many_headers + used, sizeof(many_headers) - used, "X-%d: x\r\n", i);
    (void)snprintf(many_headers + used, sizeof(many_headers) - used, "Content-Length: 0\r\n\r\n");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_http),
        cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(other_places),
        cmocka_unit_test(no_end),
        cmocka_unit_test(contents_of_the_wrong_kind),
        cmocka_unit_test(refusals_that_are_odd),
        cmocka_unit_test(none_takes_much_memory),
    };
    return cmocka_run_group_tests(tests, make_texts, NULL);
}
