/* SPDX-License-Identifier: Apache-2.0 */
/* A Cinder client and a request context on a scripted server. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cinder_client/cinder.h"
#include "common/cleanup.h"
#include "tests/unit/http_script.h"

#define BASE "/v3/p1"
#define VOLUME_ID "7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00"
#define SNAPSHOT_ID "aaaaaaaa-5d3a-4a0e-9f52-0d8f6d7c1f00"
#define OTHER_ID "bbbbbbbb-5d3a-4a0e-9f52-0d8f6d7c1f00"

struct fixture {
    struct http_script *script;
    struct cinder *cinder;
    struct request_context *context;
};

/* Four attempts, as nova's default. */
static inline void fixture_start(struct fixture *fixture, const struct http_step *steps,
                                 size_t count)
{
    struct error err = ERROR_INIT;
    char template[128];
    fixture->script = http_script_start(steps, count);
    (void)snprintf(template, sizeof(template), "%s/v3/%%(project_id)s",
                   http_script_url(fixture->script));
    const struct cinder_options options = {
        .endpoint_template = template,
        .http_retries = 3,
        .poll_interval_ms = 1,
        .http = {.retry_delay_ms = 1, .timeout_s = 5},
    };
    assert_int_equal(cinder_new(&options, NULL, &fixture->cinder, &err), 0);
    json_t *message = json_pack("{s:s, s:s, s:s}", "_context_auth_token", "user-token",
                                "_context_request_id", "req-1", "_context_project_id", "p1");
    assert_int_equal(request_context_from_message(message, &fixture->context, &err), 0);
    json_decref(message);
}

static inline void fixture_finish(struct fixture *fixture)
{
    cinder_free(fixture->cinder);
    request_context_free(fixture->context);
    http_script_finish(fixture->script);
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
