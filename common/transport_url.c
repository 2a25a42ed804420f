/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See transport_url.h. The grammar is that of oslo_messaging.transport.TransportURL.parse; what
 * oslo hands on to kombu is decoded a second time there, which matters for the virtual host only.
 */
#include "common/transport_url.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/secret.h"
#include "common/transport_url_int.h"
#include "common/transport_url_text.h"

/* oslo decodes the path once, kombu once more. */
static int parse_virtual_host(const char *path, size_t length, struct transport_url *url,
                              struct error *err)
{
    cleanup_free char *once = NULL;
    size_t skip = length > 0 ? 1 : 0; /* the path's own slash */
    int r = transport_url_text_unquote(path + skip, length - skip, false, &once, err);
    if (r < 0)
        return r;
    if (once[0] == '\0') {
        url->virtual_host = strdup("/");
        return url->virtual_host ? 0 : error_nomem(err);
    }
    if (strstr(once, "%00"))
        return transport_url_text_bad(err, "contains %00");
    return transport_url_text_unquote(once, strlen(once), false, &url->virtual_host, err);
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

/* "name=value", copied; the name ends at `equals`. */
static int parse_query(const char *text, const char *equals, const char *end,
                       struct transport_url *url, struct error *err)
{
    cleanup_free char *name = NULL;
    char *value = NULL;
    int r = transport_url_text_unquote(text, (size_t)(equals - text), true, &name, err);
    if (r < 0)
        return r;
    r = transport_url_text_unquote(equals + 1, (size_t)(end - equals) - 1, true, &value, err);
    if (r < 0)
        return r;
    return add_query(url, TAKE_PTR(name), value, err);
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
            int r = parse_query(text, equals, stop, url, err);
            if (r < 0)
                return r;
        }
        text = ampersand ? ampersand + 1 : end;
    }
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
        return transport_url_text_bad(err, "only rabbit:// is supported");
    const char *path = hosts + strcspn(hosts, "/?#");
    const char *query = path + strcspn(path, "?#");
    const char *end = *query == '?' ? query + strcspn(query, "#") : query;
    int r = transport_url_hosts_parse(hosts, (size_t)(path - hosts), url, err);
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
    int r = transport_url_text_clean(text, &clean, err);
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
