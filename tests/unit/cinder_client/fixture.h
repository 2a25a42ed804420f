/* SPDX-License-Identifier: Apache-2.0 */
/* A Cinder client and a request context on a scripted server. */
#pragma once

#include <stdio.h>

#include "cinder_client/cinder.h"
#include "tests/unit/rest_client.h"

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
        .http = REST_HTTP_OPTIONS,
    };
    assert_int_equal(cinder_new(&options, NULL, &fixture->cinder, &err), 0);
    fixture->context = user_context();
}

static inline void fixture_finish(struct fixture *fixture)
{
    cinder_free(fixture->cinder);
    request_context_free(fixture->context);
    http_script_finish(fixture->script);
}
