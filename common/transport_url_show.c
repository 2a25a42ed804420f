/* SPDX-License-Identifier: Apache-2.0 */
/* A transport URL without its passwords. See transport_url.h. */
#include <string.h>

#include "common/secret.h"
#include "common/transport_url.h"
#include "common/transport_url_text.h"

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
    if (transport_url_text_clean(text, &clean, &err) < 0)
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
