/* SPDX-License-Identifier: Apache-2.0 */
/* The request that gets a token, out of keystoneauth1's options. Used by keystone.c only. */
#pragma once

#include "common/keystone.h"

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
