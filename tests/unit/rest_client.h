/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the REST clients share: the request whose token is sent, and its errors. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/braces.h"
#include "common/cleanup.h"
#include "common/request_context.h"
#include "tests/unit/http_script.h"

/* A client that repeats at once and never waits long. */
#define REST_HTTP_OPTIONS BRACES(.retry_delay_ms = 1, .timeout_s = 5)

/* Of a message with these members (taken). Returns owned. */
static inline struct request_context *context_of(json_t *message)
{
    struct request_context *context = NULL;
    struct error err = ERROR_INIT;
    assert_non_null(message);
    assert_int_equal(request_context_from_message(message, &context, &err), 0);
    json_decref(message);
    return context;
}

/* A user's request, with a token. Returns owned. */
static inline struct request_context *user_context(void)
{
    return context_of(json_pack("{s:s, s:s, s:s}", "_context_auth_token", "user-token",
                                "_context_request_id", "req-1", "_context_project_id", "p1"));
}

/* The error must be this, and without a token in its message. */
static inline void expect_error(const struct error *err, int errnum, const char *exc,
                                int http_status)
{
    if (err->errnum != errnum || strcmp(err->exc, exc) != 0 || err->http_status != http_status)
        fail_msg("errno %d, %s, status %d: %s", err->errnum, err->exc, err->http_status,
                 err->message);
    assert_null(strstr(err->message, "user-token"));
}
