/* amqp/transport_url.c, amqp/rabbit_options.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/rabbit_options.h"
#include "amqp/transport_url.h"
#include "common/cleanup.h"

static struct transport_url *parse(const char *text)
{
    struct transport_url *url = NULL;
    struct error err = ERROR_INIT;
    if (transport_url_parse(text, &url, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return url;
}

static void virtual_hosts_are_oslos(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *virtual_host;
    } rows[] = {
        {"", "/"},           {"/", "/"},
        {"//", "/"},         {"/nova", "nova"},
        {"//nova", "/nova"}, {"/%2Fnova", "/nova"},
        {"/a%2Fb", "a/b"},   {"/a%252Fb", "a/b"},
        {"/%2F", "/"},       {"/a%zz%4", "a%zz%4"},
        {"/?ssl=1", "/"},    {"/nova?ssl=1#end", "nova"},
        {"?ssl=1", "/"},     {"#end", "/"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "rabbit://u:p@h:5672%s", rows[i].path);
        struct transport_url *url = parse(text);
        assert_string_equal(url->virtual_host, rows[i].virtual_host);
        assert_int_equal(url->n_hosts, 1);
        assert_string_equal(url->hosts[0].hostname, "h");
        transport_url_free(url);
    }
}

static void hosts_are_oslos(void **state)
{
    (void)state;
    static const struct {
        const char *netloc;
        const char *hostname;
        unsigned port;
        const char *username;
        const char *password;
    } rows[] = {
        {"u:p@h:1234", "h", 1234, "u", "p"},
        {"u:p@h", "h", 5672, "u", "p"},
        {"u:p@h:", "h", 5672, "u", "p"},
        {"h", "h", 5672, "", ""},
        {"u@h", "h", 5672, "u", ""},
        {"u:@h", "h", 5672, "u", ""},
        {":p@h", "h", 5672, "", "p"},
        {"u:p:q@h", "h", 5672, "u", "p:q"},
        {"u@x:p@q@h", "h", 5672, "u@x", "p@q"},
        {"u%40x:p%3A%25%2F%3F%23+@h", "h", 5672, "u@x", "p:%/?#+"},
        {"u:p@[::1]:99", "::1", 99, "u", "p"},
        {"u:p@[fe80::1%25eth0]", "fe80::1%25eth0", 5672, "u", "p"},
        {"u:p@", "localhost", 5672, "u", "p"},
        {"u:p@:77", "localhost", 77, "u", "p"},
        {"", "localhost", 5672, "guest", "guest"},
        {",,", "localhost", 5672, "guest", "guest"},
        {"u:p@compute-1.example.org:5671", "compute-1.example.org", 5671, "u", "p"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "rabbit://%s/nova", rows[i].netloc);
        struct transport_url *url = parse(text);
        assert_int_equal(url->n_hosts, 1);
        assert_string_equal(url->hosts[0].hostname, rows[i].hostname);
        assert_int_equal(url->hosts[0].port, rows[i].port);
        assert_string_equal(url->hosts[0].username, rows[i].username);
        assert_string_equal(url->hosts[0].password, rows[i].password);
        assert_string_equal(url->virtual_host, "nova");
        transport_url_free(url);
    }
}

static void several_hosts_keep_their_own_credentials(void **state)
{
    (void)state;
    struct transport_url *url = parse("kombu://a:1@h1:1,b:2@[::2]:2,,h3/v");
    struct transport_url *copy = transport_url_copy(url);
    transport_url_free(url);
    assert_int_equal(copy->n_hosts, 3);
    assert_string_equal(copy->hosts[0].password, "1");
    assert_string_equal(copy->hosts[1].hostname, "::2");
    assert_string_equal(copy->hosts[1].username, "b");
    assert_string_equal(copy->hosts[2].username, "");
    assert_int_equal(copy->hosts[2].port, 5672);
    assert_string_equal(copy->virtual_host, "v");
    transport_url_free(copy);
}

static void queries_are_oslos(void **state)
{
    (void)state;
    struct transport_url *url =
        parse("RABBIT://h/v?ssl=1&a%20b=c+d%26&empty=&none&ssl=0&a=b;c=d&=x#ssl=2");
    static const char *const wanted[][2] = {
        {"ssl", "1,0"}, {"a b", "c d&"}, {"a", "b;c=d"}, {"", "x"}};
    assert_int_equal(url->n_queries, ARRAY_SIZE(wanted));
    for (unsigned i = 0; i < url->n_queries; i++) {
        assert_string_equal(url->queries[i].name, wanted[i][0]);
        assert_string_equal(url->queries[i].value, wanted[i][1]);
    }
    struct transport_url *copy = transport_url_copy(url);
    assert_int_equal(copy->n_queries, url->n_queries);
    transport_url_free(copy);
    transport_url_free(url);
}

static void bad_urls_are_refused_without_the_password(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "rabbit",
        "rabbit:",
        "rabbit:/u:secret@h",
        "amqp://u:secret@h",
        "://u:secret@h",
        "rabbit://u:secret@h:x",
        "rabbit://u:secret@h:0",
        "rabbit://u:secret@h:65536",
        "rabbit://u:secret@h:99999999999999999999",
        "rabbit://u:secret@h:-1",
        "rabbit://u:secret@h:1:2",
        "rabbit://u:secret@[::1",
        "rabbit://u:secret@[::1:5672",
        "rabbit://u:secret/x@h/v",
        "rabbit://u:secret%00@h",
        "rabbit://u:secret@h/%2500",
        "rabbit://u:secret @h",
        "rabbit://u:secret\n@h",
        "rabbit://u:secret@h/v?a=%00",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct transport_url *url = NULL;
        struct error err = ERROR_INIT;
        assert_int_equal(transport_url_parse(texts[i], &url, &err), -EINVAL);
        assert_null(url);
        assert_memory_equal(err.message, "transport_url: ", 15);
        assert_null(strstr(err.message, "secret"));
    }
}

static void size_is_bounded(void **state)
{
    (void)state;
    char *text = malloc(40000);
    assert_non_null(text);
    size_t used = (size_t)sprintf(text, "rabbit://");
    for (int i = 0; i < 33; i++)
        used += (size_t)sprintf(text + used, "h%d,", i);
    struct transport_url *url = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(transport_url_parse(text, &url, &err), -EINVAL);
    memset(text + 9, 'h', 39990 - 9);
    text[39990] = '\0';
    assert_int_equal(transport_url_parse(text, &url, &err), -EINVAL);
    free(text);
}

static int options_of(const char *query, struct rabbit_options **options, struct error *err)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "rabbit://h/?%s", query);
    struct transport_url *url = parse(text);
    const struct rabbit_options base = {
        .ssl_ca_file = "/ca",
        .rabbit_login_method = "AMQPLAIN",
        .heartbeat_timeout_threshold_s = 60,
    };
    int r = rabbit_options_new(&base, url, options, err);
    transport_url_free(url);
    return r;
}

static void queries_override_options(void **state)
{
    (void)state;
    struct rabbit_options *options = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(options_of("", &options, &err), 0);
    assert_false(options->ssl);
    assert_string_equal(options->ssl_ca_file, "/ca");
    assert_int_equal(options->heartbeat_timeout_threshold_s, 60);
    rabbit_options_free(options);
    assert_int_equal(options_of("ssl=True&ssl_ca_file=/x&rabbit_quorum_queue=on&"
                                "heartbeat_timeout_threshold=7&rabbit_quroum_max_memory_length=9&"
                                "amqp_durable_queues=no&heartbeat_rate=3&rabbit_stream_fanout=1&"
                                "rabbit_transient_quorum_queue=yes&use_queue_manager=true&"
                                "hostname=h&processname=nova-compute",
                                &options, &err),
                     0);
    assert_true(options->ssl);
    assert_true(options->rabbit_quorum_queue);
    assert_true(options->rabbit_transient_quorum_queue);
    assert_true(options->rabbit_stream_fanout);
    assert_false(options->amqp_durable_queues);
    assert_string_equal(options->ssl_ca_file, "/x");
    assert_string_equal(options->rabbit_login_method, "AMQPLAIN");
    assert_null(options->ssl_key_file);
    assert_int_equal(options->heartbeat_timeout_threshold_s, 7);
    assert_int_equal(options->rabbit_quorum_max_memory_length, 9);
    rabbit_options_free(options);
}

static void bad_queries_are_refused(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "ssl=maybe",
        "ssl=1&ssl=1",
        "no_such=1",
        "heartbeat_timeout_threshold=-1",
        "heartbeat_timeout_threshold=1.5",
        "heartbeat_timeout_threshold=99999999999999999999",
        "heartbeat_timeout_threshold=x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        struct rabbit_options *options = NULL;
        struct error err = ERROR_INIT;
        assert_int_equal(options_of(queries[i], &options, &err), -EINVAL);
        assert_null(options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(virtual_hosts_are_oslos),
        cmocka_unit_test(hosts_are_oslos),
        cmocka_unit_test(several_hosts_keep_their_own_credentials),
        cmocka_unit_test(queries_are_oslos),
        cmocka_unit_test(bad_urls_are_refused_without_the_password),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(queries_override_options),
        cmocka_unit_test(bad_queries_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
