/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks Keystone for a token, by keystoneauth1's options, and the request that does it. The
 * functions are for keystone.c, but for keystone_auth_type_is_known().
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/http.h"

/* keystoneauth1's option names. NULL or "" = not given. All strings are copied. */
struct keystone_options {
    const char *auth_type; /* password, v3password, v3applicationcredential */
    const char *auth_url;  /* "/v3" is appended when missing */
    const char *username, *user_id, *user_domain_name, *user_domain_id, *password;
    const char *project_name, *project_id, *project_domain_name, *project_domain_id;
    const char *default_domain_name, *default_domain_id, *domain_name, *domain_id, *system_scope;
    const char *application_credential_id, *application_credential_name;
    const char *application_credential_secret;
    struct http_options http;
};

/* False for a plugin of keystoneauth that there is not here. */
bool keystone_auth_type_is_known(const char *auth_type);

/*
 * Checks which options go together (EINVAL names the one that is wrong or missing) and makes the
 * body of POST /v3/auth/tokens: a secret, owned, secret_free().
 */
int keystone_auth_body(const struct keystone_options *options, char **ret_body, struct error *err);

/* The password or secret the body holds. Returns owned: secret_free(). */
int keystone_auth_secret(const struct keystone_options *options, char **ret_secret,
                         struct error *err);

/* "<auth_url>/v3/auth/tokens?nocatalog". Returns owned. */
int keystone_auth_url(const struct keystone_options *options, char **ret_url, struct error *err);
