/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Keystone v3 session: the service token of [service_user], sent as X-Service-Token beside the
 * user's own token, so that a user token that expires during a long copy is still accepted.
 *
 * Thread-safe: one fetch at a time, the token is shared and renewed when less than 120 s are left
 * (keystoneauth1: MIN_TOKEN_LIFE_SECONDS).
 */
#pragma once

#include "common/error.h"
#include "common/keystone_auth.h"
#include "common/request_context.h"

struct keystone_session;

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

/*
 * A context of the session's own user, as a request brings one of its user's: with a new token, its
 * project and its catalog. Asked for once, within `timeout_ms`; errors as above. Returns owned.
 */
int keystone_session_context(struct keystone_session *session, unsigned timeout_ms,
                             struct request_context **ret_context, struct error *err);

/* A service answered 401: forgets `token` if it is still the current one. */
void keystone_session_invalidate(struct keystone_session *session, const char *token);

/* NULL-safe. Secrets are cleared. */
void keystone_session_free(struct keystone_session *session);
