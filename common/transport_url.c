/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See transport_url.h. The grammar is that of oslo_messaging.transport.TransportURL.parse; what
 * oslo hands on to kombu is decoded a second time there, which matters for the virtual host only.
 */
#include "common/transport_url.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/secret.h"

#define URL_MAX_BYTES 16384
#define DEFAULT_PORT 5672

static int bad_url(struct error *err, const char *what)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "transport_url: %s", what);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    int lower = tolower((unsigned char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* urllib.parse.unquote: "%" without two hex digits stays. "%00" ends every C string: refused. */
static char *unquote(const char *text, size_t length, bool plus_is_space)
{
    char *out = malloc(length + 1);
    if (!out)
        return NULL;
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int high = text[i] == '%' && length - i > 2 ? hex_value(text[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text[i + 2]) : -1;
        if (low >= 0) {
            out[used++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[used++] = plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    out[used] = '\0';
    return out;
}

static int unquote_text(const char *text, size_t length, char **ret_text, struct error *err)
{
    char *out = unquote(text, length, false);
    if (!out)
        return error_nomem(err);
    *ret_text = out;
    return 0;
}

/* Blanks that people put after commas; the port's Python's int() takes as well. */
static const char *trim(const char *text, size_t *length)
{
    while (*length > 0 && *text == ' ') {
        text++;
        --*length;
    }
    while (*length > 0 && text[*length - 1] == ' ')
        --*length;
    return text;
}

static int parse_port(const char *text, size_t length, unsigned *ret_port, struct error *err)
{
    text = trim(text, &length);
    if (length == 0) {
        *ret_port = DEFAULT_PORT;
        return 0;
    }
    unsigned port = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]) || port > 65535)
            return bad_url(err, "a port is no number between 1 and 65535");
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port == 0 || port > 65535)
        return bad_url(err, "a port is no number between 1 and 65535");
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
            return bad_url(err, "an IPv6 address has no closing bracket");
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
    int r = unquote_text(text, username, &host->username, err);
    if (r < 0)
        return r;
    r = unquote_text(colon ? colon + 1 : text, colon ? credentials - username - 1 : 0,
                     &host->password, err);
    if (r == 0 && !secret_watch(host->password))
        r = error_nomem(err);
    if (r < 0)
        return r;
    return parse_address(address, (size_t)(text + length - address), host, err);
}

static int parse_hosts(const char *text, size_t length, struct transport_url *url,
                       struct error *err)
{
    const char *end = text + length;
    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t host_length = (size_t)((comma ? comma : end) - text);
        text = trim(text, &host_length);
        if (host_length > 0) {
            if (url->n_hosts == TRANSPORT_URL_MAX_HOSTS)
                return bad_url(err, "more than 32 hosts");
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

/* oslo decodes the path once, kombu once more. */
static int parse_virtual_host(const char *path, size_t length, struct transport_url *url,
                              struct error *err)
{
    cleanup_free char *once = NULL;
    size_t skip = length > 0 ? 1 : 0; /* the path's own slash */
    int r = unquote_text(path + skip, length - skip, &once, err);
    if (!once)
        return r;
    if (once[0] == '\0') {
        url->virtual_host = strdup("/");
        return url->virtual_host ? 0 : error_nomem(err);
    }
    if (strstr(once, "%00"))
        return bad_url(err, "contains %00");
    return unquote_text(once, strlen(once), &url->virtual_host, err);
}

static struct transport_query *find_query(const struct transport_url *url, const char *name)
{
    for (unsigned i = 0; i < url->n_queries; i++)
        if (strcmp(url->queries[i].name, name) == 0)
            return &url->queries[i];
    return NULL;
}

/* Takes both strings. A repeated name becomes one value, joined with commas, as oslo does. */
static int add_query(struct transport_url *url, char *name, char *value, struct error *err)
{
    struct transport_query *known = find_query(url, name);
    if (known) {
        char *joined = NULL;
        int n = asprintf(&joined, "%s,%s", known->value, value);
        free(name);
        free(value);
        if (n < 0)
            return error_nomem(err);
        free(known->value);
        known->value = joined;
        return 0;
    }
    struct transport_query *grown =
        reallocarray(url->queries, url->n_queries + 1, sizeof(*url->queries));
    if (!grown) {
        free(name);
        free(value);
        return error_nomem(err);
    }
    url->queries = grown;
    url->queries[url->n_queries++] = (struct transport_query){.name = name, .value = value};
    return 0;
}

/* urllib.parse.parse_qs: a name without a value is no option. */
static int parse_queries(const char *text, size_t length, struct transport_url *url,
                         struct error *err)
{
    const char *end = text + length;
    while (text < end) {
        const char *ampersand = memchr(text, '&', (size_t)(end - text));
        const char *stop = ampersand ? ampersand : end;
        const char *equals = memchr(text, '=', (size_t)(stop - text));
        if (equals && equals + 1 < stop) {
            char *name = unquote(text, (size_t)(equals - text), true);
            char *value = unquote(equals + 1, (size_t)(stop - equals) - 1, true);
            if (!name || !value) {
                free(name);
                free(value);
                return error_nomem(err);
            }
            int r = add_query(url, name, value, err);
            if (r < 0)
                return r;
        }
        text = ampersand ? ampersand + 1 : end;
    }
    return 0;
}

/* Line ends and tabs, as of a continued value, count for nothing (urllib.parse.urlsplit). */
static int clean_text(const char *text, char **ret_clean, struct error *err)
{
    size_t length = strlen(text), used = 0;
    if (length > URL_MAX_BYTES)
        return bad_url(err, "longer than 16384 bytes");
    text = trim(text, &length);
    char *clean = malloc(length + 1);
    if (!clean)
        return error_nomem(err);
    for (size_t i = 0; i < length; i++)
        if (!strchr("\t\r\n", text[i]))
            clean[used++] = text[i];
    clean[used] = '\0';
    const char *wrong = strstr(clean, "%00") ? "contains %00" : NULL;
    for (const char *c = clean; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            wrong = "contains a control character";
    if (wrong) {
        secret_free(clean);
        return bad_url(err, wrong);
    }
    *ret_clean = clean;
    return 0;
}

/* What comes behind the scheme; NULL when it is another one. */
static const char *find_hosts(const char *text)
{
    static const char *const schemes[] = {"rabbit://", "kombu://"};
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
        if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0)
            return text + strlen(schemes[i]);
    return NULL;
}

bool transport_url_is_rabbit(const char *text)
{
    return find_hosts(text) != NULL;
}

static int parse_parts(const char *text, struct transport_url *url, struct error *err)
{
    const char *hosts = find_hosts(text);
    if (!hosts)
        return bad_url(err, "only rabbit:// is supported");
    const char *path = hosts + strcspn(hosts, "/?#");
    const char *query = path + strcspn(path, "?#");
    const char *end = *query == '?' ? query + strcspn(query, "#") : query;
    int r = parse_hosts(hosts, (size_t)(path - hosts), url, err);
    if (r < 0)
        return r;
    r = parse_virtual_host(path, (size_t)(query - path), url, err);
    if (r < 0 || query == end)
        return r;
    return parse_queries(query + 1, (size_t)(end - query) - 1, url, err);
}

int transport_url_parse(const char *text, struct transport_url **ret_url, struct error *err)
{
    char *clean = NULL;
    int r = clean_text(text, &clean, err);
    if (r < 0)
        return r;
    struct transport_url *url = calloc(1, sizeof(*url));
    r = url ? parse_parts(clean, url, err) : error_nomem(err);
    secret_free(clean);
    if (r < 0) {
        transport_url_free(url);
        return r;
    }
    *ret_url = url;
    return 0;
}

/* The part of "user:password@host" that is the password. */
static const char *find_password(const char *host, const char *end, const char **ret_end)
{
    const char *at = memrchr(host, '@', (size_t)(end - host));
    const char *colon = at ? memchr(host, ':', (size_t)(at - host)) : NULL;
    *ret_end = at;
    return colon ? colon + 1 : NULL;
}

static void show_hosts(const char *host, const char *path, FILE *out)
{
    while (host < path) {
        size_t length = strcspn(host, ",");
        const char *end = host + length < path ? host + length : path;
        const char *at;
        const char *password = find_password(host, end, &at);
        if (password)
            (void)fprintf(out, "%.*s****%.*s", (int)(password - host), host, (int)(end - at), at);
        else
            (void)fprintf(out, "%.*s", (int)(end - host), host);
        if (end < path)
            (void)fputc(',', out);
        host = end < path ? end + 1 : end;
    }
}

void transport_url_show(const char *text, FILE *out)
{
    char *clean = NULL;
    struct error err = ERROR_INIT;
    if (clean_text(text, &clean, &err) < 0)
        return;
    const char *scheme = strstr(clean, "://");
    const char *host = scheme ? scheme + 3 : clean;
    const char *path = host + strcspn(host, "/?#");
    (void)fprintf(out, "%.*s", (int)(host - clean), clean);
    if (strchr(path, '@')) { /* a password with a slash that is not written as %2F */
        (void)fputs("****", out);
    } else {
        show_hosts(host, path, out);
        (void)fputs(path, out);
    }
    secret_free(clean);
}

static bool copy_host(const struct transport_host *from, struct transport_host *to)
{
    *to = (struct transport_host){
        .hostname = strdup(from->hostname),
        .port = from->port,
        .username = strdup(from->username),
        .password = strdup(from->password),
    };
    return to->hostname && to->username && to->password && secret_watch(to->password);
}

struct transport_url *transport_url_copy(const struct transport_url *url)
{
    struct transport_url *copy = calloc(1, sizeof(*copy));
    if (!copy)
        return NULL;
    copy->virtual_host = strdup(url->virtual_host);
    bool complete = copy->virtual_host != NULL;
    for (unsigned i = 0; i < url->n_hosts && complete; i++)
        complete = copy_host(&url->hosts[i], &copy->hosts[copy->n_hosts++]);
    for (unsigned i = 0; i < url->n_queries && complete; i++) {
        struct error ignored = ERROR_INIT;
        char *name = strdup(url->queries[i].name);
        char *value = strdup(url->queries[i].value);
        complete = name && value && add_query(copy, name, value, &ignored) == 0;
        if (!name || !value) {
            free(name);
            free(value);
        }
    }
    if (complete)
        return copy;
    transport_url_free(copy);
    return NULL;
}

void transport_url_free(struct transport_url *url)
{
    if (!url)
        return;
    for (unsigned i = 0; i < url->n_hosts; i++) {
        free(url->hosts[i].hostname);
        free(url->hosts[i].username);
        secret_free(url->hosts[i].password);
    }
    for (unsigned i = 0; i < url->n_queries; i++) {
        free(url->queries[i].name);
        free(url->queries[i].value);
    }
    free(url->queries);
    free(url->virtual_host);
    free(url);
}
