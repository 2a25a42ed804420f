/* SPDX-License-Identifier: Apache-2.0 */
/* The hosts of a transport URL. See transport_url_int.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "common/transport_url_int.h"
#include "common/transport_url_text.h"

#define DEFAULT_PORT 5672

static int parse_port(const char *text, size_t length, unsigned *ret_port, struct error *err)
{
    text = transport_url_text_trim(text, &length);
    if (length == 0) {
        *ret_port = DEFAULT_PORT;
        return 0;
    }
    unsigned port = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]) || port > 65535)
            return transport_url_text_bad(err, "a port is no number between 1 and 65535");
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port == 0 || port > 65535)
        return transport_url_text_bad(err, "a port is no number between 1 and 65535");
    *ret_port = port;
    return 0;
}

/* "host", "host:port", "[v6]", "[v6]:port", "" (localhost, kombu's default). */
static int parse_address(const char *text, size_t length, struct transport_host *host,
                         struct error *err)
{
    const char *name = text;
    const char *name_end = memchr(text, ':', length);
    const char *rest = name_end;
    if (length > 0 && text[0] == '[') {
        name = text + 1;
        name_end = memchr(text, ']', length);
        if (!name_end)
            return transport_url_text_bad(err, "an IPv6 address has no closing bracket");
        rest = memchr(name_end, ':', (size_t)(text + length - name_end));
    }
    size_t name_length = name_end ? (size_t)(name_end - name) : length;
    host->hostname = name_length > 0 ? strndup(name, name_length) : strdup("localhost");
    if (!host->hostname)
        return error_nomem(err);
    size_t port_length = rest ? (size_t)(text + length - rest) - 1 : 0;
    return parse_port(rest ? rest + 1 : text, port_length, &host->port, err);
}

/* Credentials end at the last "@"; user and password are split at the first ":". */
static int parse_host(const char *text, size_t length, struct transport_host *host,
                      struct error *err)
{
    const char *at = memrchr(text, '@', length);
    const char *address = at ? at + 1 : text;
    size_t credentials = at ? (size_t)(at - text) : 0;
    const char *colon = memchr(text, ':', credentials);
    size_t username = colon ? (size_t)(colon - text) : credentials;
    int r = transport_url_text_unquote(text, username, false, &host->username, err);
    if (r < 0)
        return r;
    const char *password = colon ? colon + 1 : text;
    r = transport_url_text_unquote(password, colon ? credentials - username - 1 : 0, false,
                                   &host->password, err);
    if (r < 0)
        return r;
    if (!secret_watch(host->password))
        return error_nomem(err);
    return parse_address(address, (size_t)(text + length - address), host, err);
}

int transport_url_hosts_parse(const char *text, size_t length, struct transport_url *url,
                              struct error *err)
{
    const char *end = text + length;
    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t host_length = (size_t)((comma ? comma : end) - text);
        text = transport_url_text_trim(text, &host_length);
        if (host_length > 0) {
            if (url->n_hosts == TRANSPORT_URL_MAX_HOSTS)
                return transport_url_text_bad(err, "more than 32 hosts");
            struct transport_host *host = &url->hosts[url->n_hosts++];
            int r = parse_host(text, host_length, host, err);
            if (r < 0)
                return r;
        }
        text = comma ? comma + 1 : end;
    }
    if (url->n_hosts > 0)
        return 0;
    static const char fallback[] = "guest:guest@localhost";
    return parse_host(fallback, sizeof(fallback) - 1, &url->hosts[url->n_hosts++], err);
}
