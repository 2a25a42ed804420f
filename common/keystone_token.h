/* SPDX-License-Identifier: Apache-2.0 */
/* What Keystone answers to the request for a token. For keystone.c alone. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/error.h"
#include "common/http_response.h"

/*
 * The token of a good answer and how long it lives. EBADMSG, ENOMEM. Returns owned: secret_free().
 */
int keystone_token_parse(const struct http_response *response, char **ret_token,
                         uint64_t *ret_life_ms, struct error *err);

/*
 * What a good answer with a catalog says, as a request context does: its values, with the catalog
 * as in Keystone v2. EBADMSG, ENOMEM. Returns owned; there is a secret in it.
 */
int keystone_token_context(const struct http_response *response, json_t **ret_values,
                           struct error *err);

/* The error that another answer means: EACCES for credentials that are refused, else EREMOTEIO. */
int keystone_token_refused(const struct http_response *response, struct error *err);
