/* SPDX-License-Identifier: Apache-2.0 */
/* The client's making and its end. See cinder.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cinder_client/cinder_int.h"
#include "common/option_text.h"

#define CATALOG_INFO "volumev3::publicURL"
#define POLL_INTERVAL_MS 500

/* nova.conf.cinder: ^\w+:\w*:.*$, the type also with dashes since 2026. */
static int cut_catalog_info(struct cinder *cinder, struct error *err)
{
    char *type = cinder->catalog_info;
    char *name = strchr(type, ':');
    char *interface = name ? strchr(name + 1, ':') : NULL;
    bool ok =
        name && name > type && interface && interface[1] != '\0' && !strchr(interface + 1, ':');
    for (const char *c = type; ok && c < interface; c++)
        ok = isalnum((unsigned char)*c) || *c == '_' || *c == ':' || *c == '-';
    if (!ok)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "catalog_info '%.100s' is not <service_type>:<service_name>:<interface>",
                         cinder->catalog_info);
    *name++ = '\0';
    *interface++ = '\0';
    cinder->service_type = type;
    cinder->service_name = name;
    cinder->interface = interface;
    return 0;
}

/* A template that cannot be used is found now: it is filled in for some project. */
static int check_template(const struct cinder *cinder, struct error *err)
{
    const struct request_context context = {.project_id = "0"};
    char *url = NULL;
    if (!cinder->endpoint_template)
        return 0;
    int r = cinder_endpoint(cinder, &context, &url, err);
    free(url);
    return r;
}

static int set_options(struct cinder *cinder, const struct cinder_options *options,
                       struct error *err)
{
    cinder->http_retries = options->http_retries;
    cinder->poll_interval_ms =
        options->poll_interval_ms ? options->poll_interval_ms : POLL_INTERVAL_MS;
    if (!option_text_copy(options->catalog_info, CATALOG_INFO, &cinder->catalog_info) ||
        !option_text_copy(options->endpoint_template, NULL, &cinder->endpoint_template) ||
        !option_text_copy(options->os_region_name, NULL, &cinder->region_name))
        return error_nomem(err);
    int r = cut_catalog_info(cinder, err);
    return r < 0 ? r : check_template(cinder, err);
}

int cinder_new(const struct cinder_options *options, struct keystone_session *service_session,
               struct cinder **ret_cinder, struct error *err)
{
    struct cinder *cinder = calloc(1, sizeof(*cinder));
    if (!cinder)
        return error_nomem(err);
    cinder->service_session = service_session;
    int r = set_options(cinder, options, err);
    if (r == 0)
        r = http_client_new(&options->http, &cinder->http, err);
    if (r < 0) {
        cinder_free(cinder);
        return r;
    }
    *ret_cinder = cinder;
    return 0;
}

void cinder_free(struct cinder *cinder)
{
    if (!cinder)
        return;
    free(cinder->catalog_info);
    free(cinder->endpoint_template);
    free(cinder->region_name);
    http_client_free(cinder->http);
    free(cinder);
}
