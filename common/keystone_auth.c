/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See keystone_auth.h. Bodies: Identity API v3, "Authentication and token management", as
 * keystoneauth1 identity/v3/{base,password,application_credential}.py write them.
 */
#include "common/keystone_auth.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *given_or_null(const char *option)
{
    return option && option[0] != '\0' ? option : NULL;
}

static const char *first_given(const char *option, const char *fallback)
{
    return given_or_null(option) ? option : given_or_null(fallback);
}

static int invalid_options(struct error *err, const char *text)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s", text);
}

/* {"id": id} or {"name": name}; NULL when neither is given. */
static json_t *domain_reference(const char *id, const char *name)
{
    if (!id && !name)
        return NULL;
    return json_pack("{s:s}", id ? "id" : "name", id ? id : name);
}

/* default_domain_* belong to the version-independent plugin alone. */
static bool has_default_domain(const struct keystone_options *options)
{
    return strcmp(options->auth_type, "password") == 0;
}

static json_t *user_domain(const struct keystone_options *options)
{
    bool defaults = has_default_domain(options);
    return domain_reference(
        first_given(options->user_domain_id, defaults ? options->default_domain_id : NULL),
        first_given(options->user_domain_name, defaults ? options->default_domain_name : NULL));
}

static json_t *project_domain(const struct keystone_options *options)
{
    bool defaults = has_default_domain(options);
    return domain_reference(
        first_given(options->project_domain_id, defaults ? options->default_domain_id : NULL),
        first_given(options->project_domain_name, defaults ? options->default_domain_name : NULL));
}

/* {"id"} or {"name", "domain"}. */
static int make_user(const struct keystone_options *options, json_t **ret_user, struct error *err)
{
    const char *id = given_or_null(options->user_id);
    if (!id && !given_or_null(options->username))
        return invalid_options(err, "username or user_id is missing");
    json_t *domain = id ? NULL : user_domain(options);
    if (!id && !domain)
        return invalid_options(err, "username needs user_domain_name or user_domain_id");
    json_t *user = id ? json_pack("{s:s}", "id", id)
                      : json_pack("{s:s, s:o}", "name", options->username, "domain", domain);
    if (!user)
        return error_nomem(err);
    *ret_user = user;
    return 0;
}

static int make_project_scope(const struct keystone_options *options, json_t **ret_scope,
                              struct error *err)
{
    const char *id = given_or_null(options->project_id);
    json_t *domain = id ? NULL : project_domain(options);
    if (!id && !domain)
        return invalid_options(err, "project_name needs project_domain_name or project_domain_id");
    json_t *scope = id ? json_pack("{s:{s:s}}", "project", "id", id)
                       : json_pack("{s:{s:s, s:o}}", "project", "name", options->project_name,
                                   "domain", domain);
    if (!scope)
        return error_nomem(err);
    *ret_scope = scope;
    return 0;
}

/* NULL = unscoped. */
static int make_scope(const struct keystone_options *options, json_t **ret_scope, struct error *err)
{
    bool project = given_or_null(options->project_id) || given_or_null(options->project_name);
    bool domain = given_or_null(options->domain_id) || given_or_null(options->domain_name);
    bool system = given_or_null(options->system_scope);
    if (project + domain + system > 1)
        return invalid_options(err,
                               "only one of project_*, domain_* and system_scope may be given");
    if (project)
        return make_project_scope(options, ret_scope, err);
    if (system && strcmp(options->system_scope, "all") != 0)
        return invalid_options(err, "system_scope may only be 'all'");
    json_t *scope = NULL;
    if (system)
        scope = json_pack("{s:{s:b}}", "system", "all", 1);
    else if (domain)
        scope = json_pack("{s:o}", "domain",
                          domain_reference(given_or_null(options->domain_id),
                                           given_or_null(options->domain_name)));
    if (!scope && (system || domain))
        return error_nomem(err);
    *ret_scope = scope;
    return 0;
}

/* Borrows `password`. */
static int make_password_auth(const struct keystone_options *options, json_t *password,
                              json_t **ret_auth, struct error *err)
{
    json_t *user = NULL;
    json_t *scope = NULL;
    if (!given_or_null(options->password))
        return invalid_options(err, "password is missing");
    int r = make_user(options, &user, err);
    if (r < 0)
        return r;
    r = make_scope(options, &scope, err);
    if (r < 0) {
        json_decref(user);
        return r;
    }
    if (json_object_set(user, "password", password) < 0) {
        json_decref(user);
        json_decref(scope);
        return error_nomem(err);
    }
    *ret_auth = json_pack("{s:{s:{s:[s], s:{s:o}}, s:o*}}", "auth", "identity", "methods",
                          "password", "password", "user", user, "scope", scope);
    return *ret_auth ? 0 : error_nomem(err);
}

/* Borrows `secret`. Such a token has the scope of its credential: Keystone refuses any other. */
static int make_credential_auth(const struct keystone_options *options, json_t *secret,
                                json_t **ret_auth, struct error *err)
{
    const char *id = given_or_null(options->application_credential_id);
    const char *name = id ? NULL : given_or_null(options->application_credential_name);
    json_t *user = NULL;
    if (!id && !name)
        return invalid_options(
            err, "application_credential_id or application_credential_name is missing");
    if (!given_or_null(options->application_credential_secret))
        return invalid_options(err, "application_credential_secret is missing");
    int r = name ? make_user(options, &user, err) : 0;
    if (r < 0)
        return r;
    json_t *credential = json_pack("{s:s*, s:s*, s:O, s:o*}", "id", id, "name", name, "secret",
                                   secret, "user", user);
    if (!credential)
        return error_nomem(err);
    *ret_auth = json_pack("{s:{s:{s:[s], s:o}}}", "auth", "identity", "methods",
                          "application_credential", "application_credential", credential);
    return *ret_auth ? 0 : error_nomem(err);
}

static bool is_credential(const struct keystone_options *options)
{
    return strcmp(options->auth_type, "v3applicationcredential") == 0;
}

static const char *secret_of(const struct keystone_options *options)
{
    const char *text =
        is_credential(options) ? options->application_credential_secret : options->password;
    return text ? text : "";
}

int keystone_auth_secret(const struct keystone_options *options, char **ret_secret,
                         struct error *err)
{
    *ret_secret = strdup(secret_of(options));
    return *ret_secret ? 0 : error_nomem(err);
}

static void clear_json_string(json_t *string)
{
    const char *text = json_string_value(string);
    explicit_bzero((char *)(uintptr_t)text, json_string_length(string));
}

bool keystone_auth_type_is_known(const char *auth_type)
{
    return strcmp(auth_type, "password") == 0 || strcmp(auth_type, "v3password") == 0 ||
           strcmp(auth_type, "v3applicationcredential") == 0;
}

int keystone_auth_body(const struct keystone_options *options, char **ret_body, struct error *err)
{
    const char *type = given_or_null(options->auth_type);
    if (!type)
        return invalid_options(err, "auth_type is missing");
    bool credential = is_credential(options);
    if (!keystone_auth_type_is_known(type))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "auth_type '%s' is not one of password, v3password, "
                         "v3applicationcredential",
                         type);
    json_t *secret = json_string(secret_of(options));
    json_t *auth = NULL;
    if (!secret)
        return invalid_options(err, credential ? "application_credential_secret is not UTF-8"
                                               : "password is not UTF-8");
    int r = credential ? make_credential_auth(options, secret, &auth, err)
                       : make_password_auth(options, secret, &auth, err);
    if (r == 0) {
        char *body = json_dumps(auth, JSON_COMPACT);
        r = body ? 0 : error_nomem(err);
        if (body)
            *ret_body = body;
    }
    json_decref(auth);
    clear_json_string(secret);
    json_decref(secret);
    return r;
}

int keystone_auth_url(const struct keystone_options *options, char **ret_url, struct error *err)
{
    if (!given_or_null(options->auth_url))
        return invalid_options(err, "auth_url is missing");
    size_t length = strlen(options->auth_url);
    while (length > 0 && options->auth_url[length - 1] == '/')
        length--;
    bool has_version = length > 3 && memcmp(options->auth_url + length - 3, "/v3", 3) == 0;
    if (length > 5 && memcmp(options->auth_url + length - 5, "/v2.0", 5) == 0)
        return invalid_options(err,
                               "auth_url ends in /v2.0, but only version 3 of Keystone is spoken");
    char *url = NULL;
    if (asprintf(&url, "%.*s%s/auth/tokens?nocatalog", (int)length, options->auth_url,
                 has_version ? "" : "/v3") < 0)
        return error_nomem(err);
    *ret_url = url;
    return 0;
}
