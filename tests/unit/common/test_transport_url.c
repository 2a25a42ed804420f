/* SPDX-License-Identifier: Apache-2.0 */
/* common/transport_url.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/transport_url.h"

static struct transport_url *parse_good(const char *text)
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
        struct transport_url *url = parse_good(text);
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
        struct transport_url *url = parse_good(text);
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
    struct transport_url *url = parse_good("kombu://a:1@h1:1,b:2@[::2]:2,,h3/v");
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
        parse_good("RABBIT://h/v?ssl=1&a%20b=c+d%26&empty=&none&ssl=0&a=b;c=d&=x#ssl=2");
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
        "rabbit://u:secret\x01@h",
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

static const char *shown(const char *text)
{
    static char buffer[512];
    buffer[0] = '\0';
    FILE *out = fmemopen(buffer, sizeof(buffer), "w");
    assert_non_null(out);
    transport_url_show(text, out);
    assert_int_equal(fclose(out), 0);
    return buffer;
}

static void only_the_secret_is_hidden(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"rabbit://u:s3cret@h:1/v?ssl=1&ssl_ca_file=/ca",
         "rabbit://u:****@h:1/v?ssl=1&ssl_ca_file=/ca"},
        {"rabbit://u:s3cret@h1,w:s3cr@et:x@[::1]:2,h3//", "rabbit://u:****@h1,w:****@[::1]:2,h3//"},
        {"rabbit://u:s3cret@h1,\nu:s3cret@h2/", "rabbit://u:****@h1,u:****@h2/"},
        {"rabbit://u@h/", "rabbit://u@h/"},
        {"rabbit://", "rabbit://"},
        {"rabbit://u:1s3/cret@h/v", "rabbit://****"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(shown(rows[i][0]), rows[i][1]);
}

/* Python's urlsplit() drops line ends and tabs; people put blanks after commas. */
static void blanks_are_borne(void **state)
{
    (void)state;
    struct transport_url *url =
        parse_good(" rabbit://u:p@h1:1,\nu:p@h2:2, v:q@h3: 3 ,\t h4/my vhost ");
    assert_int_equal(url->n_hosts, 4);
    assert_string_equal(url->hosts[0].hostname, "h1");
    assert_string_equal(url->hosts[1].username, "u");
    assert_string_equal(url->hosts[2].username, "v");
    assert_int_equal(url->hosts[2].port, 3);
    assert_string_equal(url->hosts[3].hostname, "h4");
    assert_string_equal(url->virtual_host, "my vhost");
    transport_url_free(url);
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
        cmocka_unit_test(only_the_secret_is_hidden),
        cmocka_unit_test(blanks_are_borne),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
