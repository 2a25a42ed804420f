/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Keystone v3 session: the service token of [service_user], sent as X-Service-Token beside the
 * user's own token, so that a user token that expires during a long copy is still accepted.
 *
 * Thread-safe: one fetch at a time, the token is shared and renewed when less than 120 s are left
 * (keystoneauth1: MIN_TOKEN_LIFE_SECONDS).
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/http.h"

struct keystone_session;

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
bool keystone_knows_auth_type(const char *auth_type);

/* Checks the options (which of them must go together); no request yet. Returns owned. */
int keystone_session_new(const struct keystone_options *options,
                         struct keystone_session **ret_session, struct error *err);

/*
 * A token with more than 120 s left, or one just fetched. Errors: EACCES (credentials refused),
 * EREMOTEIO, EBADMSG, EINVAL (its answer), else those of http_request(). Takes at most about 120 s.
 * Returns owned: free with secret_free().
 */
int keystone_session_get_token(struct keystone_session *session, char **ret_token,
                               struct error *err);

/* A service answered 401: forgets `token` if it is still the current one. */
void keystone_session_invalidate(struct keystone_session *session, const char *token);

/* NULL-safe. Secrets are cleared. */
void keystone_session_free(struct keystone_session *session);
