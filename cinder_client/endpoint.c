/* SPDX-License-Identifier: Apache-2.0 */
/* Where Cinder is: nova.volume.cinder:_get_cinderclient_parameters. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cinder_client/cinder_int.h"
#include "common/catalog.h"
#include "common/cleanup.h"

#define ID_CHARACTERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"
#define ID_MAX 64

/* It comes with the message and becomes part of a path. */
static int check_project_id(const char *id, struct error *err)
{
    size_t length = strlen(id);
    if (length == 0 || length > ID_MAX || strspn(id, ID_CHARACTERS) != length)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the request's project id '%.64s' is no id", id);
    return 0;
}

/* How many bytes at `text` stand for the project; 0 when they do not. */
static size_t placeholder_length(const char *text)
{
    static const char *const names[] = {"%(project_id)s", "%(tenant_id)s"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strncmp(text, names[i], strlen(names[i])) == 0)
            return strlen(names[i]);
    return 0;
}

/* Python's "%" with a dictionary, as far as an endpoint needs it. Returns owned. */
static int fill_template(const char *template, const char *project_id, char **ret_url,
                         struct error *err)
{
    cleanup_free char *url = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&url, &size);
    if (!out)
        return error_nomem(err);
    const char *c = template;
    bool known = true;
    while (*c != '\0' && known) {
        size_t length = placeholder_length(c);
        if (length > 0)
            (void)fputs(project_id, out);
        else
            (void)fputc(*c, out);
        known = length > 0 || c[0] != '%' || c[1] == '%';
        if (known)
            c += length > 0 ? length : *c == '%' ? 2 : 1;
    }
    if (fclose(out) != 0)
        return error_nomem(err);
    if (!known)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "endpoint_template '%.200s' has a '%%' that is not %%(project_id)s",
                         template);
    *ret_url = TAKE_PTR(url);
    return 0;
}

static int find_by_template(const struct cinder *cinder, const struct request_context *context,
                            char **ret_url, struct error *err)
{
    int r = check_project_id(context->project_id, err);
    return r < 0 ? r : fill_template(cinder->endpoint_template, context->project_id, ret_url, err);
}

static int find_in_catalog(const struct cinder *cinder, const struct request_context *context,
                           char **ret_url, struct error *err)
{
    const char *const interfaces[] = {cinder->interface, NULL};
    const struct catalog_query query = {
        .service_type = cinder->service_type,
        .service_name = cinder->service_name,
        .interfaces = interfaces,
        .region_name = cinder->region_name,
    };
    return catalog_find_endpoint(context->service_catalog, &query, ret_url, err);
}

/* cinderclient.client:get_volume_api_from_url: a component of the path. */
static bool is_v3(const char *url)
{
    for (const char *at = strstr(url, "/v3"); at; at = strstr(at + 1, "/v3"))
        if ((at[3] == '/' || at[3] == '\0') && at > url && at[-1] != '/')
            return true;
    return false;
}

int cinder_endpoint(const struct cinder *cinder, const struct request_context *context,
                    char **ret_url, struct error *err)
{
    cleanup_free char *url = NULL;
    int r = cinder->endpoint_template ? find_by_template(cinder, context, &url, err)
                                      : find_in_catalog(cinder, context, &url, err);
    if (r < 0)
        return r;
    for (size_t length = strlen(url); length > 0 && url[length - 1] == '/'; length--)
        url[length - 1] = '\0';
    if (!is_v3(url))
        return error_set(err, ENOTSUP, EXC_UNSUPPORTED_CINDER_API_VERSION,
                         "Cinder's endpoint '%.200s' is none of API v3", url);
    *ret_url = TAKE_PTR(url);
    return 0;
}
