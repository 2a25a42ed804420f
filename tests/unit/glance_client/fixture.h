/* SPDX-License-Identifier: Apache-2.0 */
/* A Glance client and a request context on a scripted server. */
#pragma once

#include "glance_client/glance.h"
#include "tests/unit/rest_client.h"

#define IMAGE_ID "7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00"
#define IMAGE_PATH "/v2/images/" IMAGE_ID
#define HTML "Content-Type: text/html; charset=UTF-8\r\n"

struct fixture {
    struct http_script *script;
    struct glance *glance;
    struct request_context *context;
};

/* Four attempts, as nova's default. The sessions may be NULL. */
static inline void fixture_start_with(struct fixture *fixture, const struct http_step *steps,
                                      size_t count, struct keystone_session *session,
                                      struct keystone_session *own_session)
{
    struct error err = ERROR_INIT;
    fixture->script = http_script_start(steps, count);
    const struct glance_options options = {
        .endpoint_override = http_script_url(fixture->script),
        .num_retries = 3,
        .stall_timeout_s = 5,
        .poll_interval_ms = 1,
        .own_session = own_session,
        .http = REST_HTTP_OPTIONS,
    };
    assert_int_equal(glance_new(&options, session, &fixture->glance, &err), 0);
    fixture->context = user_context();
}

/* As [glance]num_retries = 0. */
static inline void fixture_never_repeats(struct fixture *fixture, struct keystone_session *session)
{
    struct error err = ERROR_INIT;
    const struct glance_options options = {
        .endpoint_override = http_script_url(fixture->script),
        .stall_timeout_s = 5,
        .poll_interval_ms = 1,
        .http = REST_HTTP_OPTIONS,
    };
    glance_free(fixture->glance);
    assert_int_equal(glance_new(&options, session, &fixture->glance, &err), 0);
}

static inline void fixture_start(struct fixture *fixture, const struct http_step *steps,
                                 size_t count, struct keystone_session *session)
{
    fixture_start_with(fixture, steps, count, session, NULL);
}

static inline void fixture_finish(struct fixture *fixture)
{
    glance_free(fixture->glance);
    request_context_free(fixture->context);
    http_script_finish(fixture->script);
}
