/* SPDX-License-Identifier: Apache-2.0 */
/* See keystone_token.h. */
#include "common/keystone_token.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/id.h"
#include "common/json.h"

#define KEYSTONEAUTH_HTTP "keystoneauth1.exceptions.http"

/* "2026-11-23T01:00:00.000000Z" */
static bool parse_time(const char *text, time_t *ret_time)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return false;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (strcmp(rest, "Z") != 0)
        return false;
    *ret_time = timegm(&tm);
    return true;
}

/*
 * The life is counted on our clock from the moment before the request: the wall clocks of the two
 * hosts need not agree.
 */
static int parse_lifetime(const json_t *answer, uint64_t *ret_life_ms, struct error *err)
{
    json_t *token;
    const char *expires_text;
    const char *issued_text;
    time_t expires;
    time_t issued;
    int r = json_need_object(answer, "token", "Keystone's answer", &token, err);
    if (r < 0)
        return r;
    r = json_need_string(token, "expires_at", "Keystone's token", &expires_text, err);
    if (r < 0)
        return r;
    r = json_need_string(token, "issued_at", "Keystone's token", &issued_text, err);
    if (r < 0)
        return r;
    if (!parse_time(expires_text, &expires) || !parse_time(issued_text, &issued))
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                         "Keystone's token has a malformed expires_at or issued_at");
    *ret_life_ms = expires > issued ? (uint64_t)(expires - issued) * 1000 : 0;
    return 0;
}

int keystone_token_parse(const struct http_response *response, char **ret_token,
                         uint64_t *ret_life_ms, struct error *err)
{
    const char *value = http_response_header(response, "X-Subject-Token");
    if (!value || value[0] == '\0')
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                         "Keystone's answer has no X-Subject-Token");
    json_t *answer = NULL;
    int r = http_response_json(response, "Keystone's answer", &answer, err);
    if (r < 0)
        return r;
    r = parse_lifetime(answer, ret_life_ms, err);
    json_decref(answer);
    if (r < 0)
        return r;
    *ret_token = strdup(value);
    return *ret_token ? 0 : error_nomem(err);
}

/* [{"interface": "public", "region", "url"}] as [{"region", "publicURL"}]. */
static json_t *old_endpoints(const json_t *endpoints)
{
    size_t i;
    const json_t *endpoint;
    json_t *list = json_array();
    json_array_foreach (endpoints, i, endpoint) {
        char key[32];
        const char *interface = json_string_member(endpoint, "interface");
        (void)snprintf(key, sizeof(key), "%sURL", interface ? interface : "");
        (void)json_array_append_new(list, json_pack("{s:s?, s:s?}", "region",
                                                    json_string_member(endpoint, "region"), key,
                                                    json_string_member(endpoint, "url")));
    }
    return list;
}

static json_t *old_catalog(const json_t *catalog)
{
    size_t i;
    const json_t *service;
    json_t *list = json_array();
    json_array_foreach (catalog, i, service)
        (void)json_array_append_new(
            list, json_pack("{s:s?, s:s?, s:o}", "type", json_string_member(service, "type"),
                            "name", json_string_member(service, "name"), "endpoints",
                            old_endpoints(json_object_get(service, "endpoints"))));
    return list;
}

/* [{"id", "name"}] as [name] */
static json_t *names_of(const json_t *entries)
{
    size_t i;
    const json_t *entry;
    json_t *names = json_array();
    json_array_foreach (entries, i, entry)
        (void)json_array_append_new(names, json_string(json_string_member(entry, "name")));
    return names;
}

int keystone_token_context(const struct http_response *response, json_t **ret_values,
                           struct error *err)
{
    const char *value = http_response_header(response, "X-Subject-Token");
    char request_id[ID_REQUEST_ID_SIZE];
    json_t *answer = NULL, *token;
    int r = http_response_json(response, "Keystone's answer", &answer, err);
    if (r < 0)
        return r;
    r = json_need_object(answer, "token", "Keystone's answer", &token, err);
    if (r == 0) {
        id_new_request_id(request_id);
        *ret_values =
            json_pack("{s:s, s:s?, s:s?, s:o, s:o}", "request_id", request_id, "auth_token", value,
                      "project_id", json_string_member(json_object_get(token, "project"), "id"),
                      "roles", names_of(json_object_get(token, "roles")), "service_catalog",
                      old_catalog(json_object_get(token, "catalog")));
        r = *ret_values ? 0 : error_nomem(err);
    }
    json_decref(answer);
    return r;
}

int keystone_token_refused(const struct http_response *response, struct error *err)
{
    char reason[HTTP_REASON_SIZE];
    http_response_reason(response, reason);
    if (http_response_header(response, "Openstack-Auth-Receipt"))
        (void)error_set_foreign(err, EACCES, KEYSTONEAUTH_HTTP, "Unauthorized",
                                "Keystone asks for a second authentication factor");
    else if (response->status == 401 || response->status == 403)
        (void)error_set_foreign(err, EACCES, KEYSTONEAUTH_HTTP, "Unauthorized",
                                "Keystone refused the credentials: %s", reason);
    else
        (void)error_set_foreign(err, EREMOTEIO, KEYSTONEAUTH_HTTP, "HttpError",
                                "Keystone gave no token: %s", reason);
    err->http_status = (int)response->status;
    return -err->errnum;
}
