/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent says to whom over TLS: each of its clients in front of each certificate. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/broker_login.h"
#include "cinder_client/cinder.h"
#include "common/cleanup.h"
#include "common/secret.h"
#include "glance_client/glance.h"
#include "tests/unit/http_script.h"
#include "tests/unit/tls_front.h"

#define ID "16fab726-8b6d-46a2-90b4-af0d3a5a44f7"

/* One call of a client, at this port with this authority. */
typedef int call_fn(unsigned port, const char *cafile, struct error *err);

static struct request_context *new_context(void)
{
    struct error err = ERROR_INIT;
    struct request_context *context = NULL;
    json_t *values = json_pack("{s:s, s:s}", "auth_token", "user-token", "project_id", "p");
    assert_int_equal(request_context_from_values(values, &context, &err), 0);
    json_decref(values);
    return context;
}

static const char *url_of(unsigned port, char url[static 64])
{
    (void)snprintf(url, 64, "https://127.0.0.1:%u/v3", port);
    return url;
}

static int ask_keystone(unsigned port, const char *cafile, struct error *err)
{
    char url[64];
    char *token = NULL;
    struct keystone_session *session = NULL;
    const struct keystone_options options = {.auth_type = "v3password",
                                             .auth_url = url_of(port, url),
                                             .user_id = "u",
                                             .password = "secret",
                                             .http = {.cafile = cafile, .retry_delay_ms = 1}};
    assert_int_equal(keystone_session_new(&options, &session, err), 0);
    int r = keystone_session_get_token(session, &token, err);
    secret_free(token);
    keystone_session_free(session);
    return r;
}

static int ask_glance(unsigned port, const char *cafile, struct error *err)
{
    char url[64];
    struct glance *glance = NULL;
    struct glance_image image = {0};
    const struct glance_options options = {.endpoint_override = url_of(port, url),
                                           .http = {.cafile = cafile, .retry_delay_ms = 1}};
    struct request_context *context = new_context();
    assert_int_equal(glance_new(&options, NULL, &glance, err), 0);
    int r = glance_image_get(glance, context, ID, &image, err);
    glance_image_done(&image);
    glance_free(glance);
    request_context_free(context);
    return r;
}

static int ask_cinder(unsigned port, const char *cafile, struct error *err)
{
    char url[64];
    struct cinder *cinder = NULL;
    struct cinder_volume volume;
    const struct cinder_options options = {.endpoint_template = url_of(port, url),
                                           .http = {.cafile = cafile, .retry_delay_ms = 1}};
    struct request_context *context = new_context();
    assert_int_equal(cinder_new(&options, NULL, &cinder, err), 0);
    int r = cinder_volume_get(cinder, context, ID, &volume, err);
    cinder_free(cinder);
    request_context_free(context);
    return r;
}

static int ask_rabbitmq(unsigned port, const char *cafile, struct error *err)
{
    char text[128], login_method[] = "PLAIN";
    struct transport_url *url = NULL;
    amqp_connection_state_t state = NULL;
    const struct rabbit_options options = {.ssl = true,
                                           .ssl_ca_file = cafile,
                                           .ssl_enforce_hostname_verification = true,
                                           .rabbit_login_method = login_method};
    (void)snprintf(text, sizeof(text), "rabbit://nova:secret@127.0.0.1:%u/", port);
    assert_int_equal(transport_url_parse(text, &url, err), 0);
    const amqp_channel_t no_channels[] = {0};
    int r = broker_login(url, &url->hosts[0], &options, no_channels, &state, err);
    transport_url_free(url);
    return r;
}

static const struct {
    const char *name;
    call_fn *call;
} clients[] = {
    {"Keystone", ask_keystone},
    {"Glance", ask_glance},
    {"Cinder", ask_cinder},
    {"RabbitMQ", ask_rabbitmq},
};

/* Behind the front nobody listens: what comes through fails in another way. */
static void try_all(enum tls_certificate certificate, bool trusts_other, bool is_refused)
{
    struct tls_front *front = tls_front_start(certificate, http_script_unused_port());
    const char *cafile = trusts_other ? tls_front_other_cafile(front) : tls_front_cafile(front);
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
        struct error err = ERROR_INIT;
        assert_true(clients[i].call(tls_front_port(front), cafile, &err) < 0);
        bool is_told = strstr(err.message, "ertificate") || strstr(err.message, "SSL hostname") ||
                       strstr(err.message, "SSL peer cert") ||
                       strstr(err.message, "does not match target host name");
        if (is_told != is_refused)
            fail_msg("%s: %s", clients[i].name, err.message);
        assert_null(strstr(err.message, "secret"));
        assert_null(strstr(err.message, "user-token"));
    }
    tls_front_end(front);
}

static void an_authority_we_trust_is_let_through(void **state)
{
    (void)state;
    try_all(TLS_GOOD, false, false);
}

static void another_authority_is_refused(void **state)
{
    (void)state;
    try_all(TLS_GOOD, true, true);
}

static void another_host_is_refused(void **state)
{
    (void)state;
    try_all(TLS_OTHER_HOST, false, true);
}

static void an_expired_certificate_is_refused(void **state)
{
    (void)state;
    try_all(TLS_EXPIRED, false, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_authority_we_trust_is_let_through),
        cmocka_unit_test(another_authority_is_refused),
        cmocka_unit_test(another_host_is_refused),
        cmocka_unit_test(an_expired_certificate_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
