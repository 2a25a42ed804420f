/* SPDX-License-Identifier: Apache-2.0 */
/* See http_request.h. */
#include "common/http_request.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"

#define HEADER_VALUE_MAX_BYTES (64u << 10)

static bool is_header_text(const char *text)
{
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

static bool append_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static int append_header(struct curl_slist **list, const struct http_header *header,
                         struct error *err)
{
    size_t length = strlen(header->value);
    if (!is_header_text(header->value))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the value of header %s contains a control character", header->name);
    if (length > HEADER_VALUE_MAX_BYTES)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the value of header %s is %zu bytes long", header->name, length);
    char *line = NULL;
    if (asprintf(&line, "%s: %s", header->name, header->value) < 0)
        return error_nomem(err);
    bool ok = append_line(list, line);
    secret_free(line);
    return ok ? 0 : error_nomem(err);
}

void http_request_free_headers(struct curl_slist *list)
{
    for (struct curl_slist *entry = list; entry; entry = entry->next)
        explicit_bzero(entry->data, strlen(entry->data));
    curl_slist_free_all(list);
}

static int append_headers(struct curl_slist **list, const struct http_request *request,
                          struct error *err)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (!header->value || header->value[0] == '\0')
            continue;
        int r = append_header(list, header, err);
        if (r < 0)
            return r;
    }
    /* libcurl expects "100 Continue" of its own accord before bodies of more than 1 MiB. */
    if (!request->source && !append_line(list, "Expect:"))
        return error_nomem(err);
    return 0;
}

int http_request_make_headers(const struct http_request *request, struct curl_slist **ret_list,
                              struct error *err)
{
    struct curl_slist *list = NULL;
    int r = append_headers(&list, request, err);
    if (r < 0) {
        http_request_free_headers(list);
        return r;
    }
    *ret_list = list;
    return 0;
}

struct http_url_text http_request_show_url(const char *url)
{
    struct http_url_text shown;
    const char *slashes = strstr(url, "://");
    const char *host = slashes ? slashes + 3 : url;
    for (const char *at = host; at < host + strcspn(host, "/?#"); at++)
        if (*at == '@')
            host = at + 1;
    (void)snprintf(shown.text, sizeof(shown.text), "%.*s%.*s",
                   slashes ? (int)(slashes + 3 - url) : 0, url, (int)strcspn(host, "?#"), host);
    return shown;
}

int http_request_check_url(const char *url, struct error *err)
{
    CURLU *parsed = curl_url();
    if (!parsed)
        return error_nomem(err);
    char *scheme = NULL;
    char *user = NULL;
    int r = 0;
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR, "a request's URL is malformed");
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR, "a request's URL is no http or https URL");
    else if (curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR, "a request's URL has credentials in it");
    curl_free(scheme);
    curl_free(user);
    curl_url_cleanup(parsed);
    return r;
}
