/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The token and who fetches it when. See keystone.h; the request's body is made in keystone_auth.c,
 * the answer read in keystone_token.c.
 */
#include "common/keystone.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/keystone_token.h"
#include "common/log.h"
#include "common/retry.h"
#include "common/secret.h"

#define MIN_TOKEN_LIFE_MS 120000
#define FETCH_ATTEMPTS 4
#define FETCH_MAX_DELAY_MS 8000
#define FETCH_TOTAL_MS 120000
#define CANCEL_LOOK_MS 250

struct keystone_session {
    struct http_client *http;
    char *url;
    char *body;   /* a secret */
    char *secret; /* the password in it */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t fetched;
    bool fetching;
    unsigned long fetches; /* ended ones: tells a waiter that the one it waits for is over */
    int fetch_result;
    struct error fetch_err;
    char *token; /* a secret; NULL = none */
    uint64_t expires_ms;
};

static int session_init(struct keystone_session *session, const struct keystone_options *options,
                        struct error *err)
{
    int r = keystone_auth_url(options, &session->url, err);
    if (r < 0)
        return r;
    r = keystone_auth_body(options, &session->body, err);
    if (r < 0)
        return r;
    r = keystone_auth_secret(options, &session->secret, err);
    if (r < 0)
        return r;
    r = http_client_new(&options->http, &session->http, err);
    if (r < 0)
        return r;
    return secret_watch(session->secret) ? 0 : error_nomem(err);
}

int keystone_session_new(const struct keystone_options *options,
                         struct keystone_session **ret_session, struct error *err)
{
    struct keystone_session *session = calloc(1, sizeof(*session));
    if (!session)
        return error_nomem(err);
    (void)pthread_mutex_init(&session->lock, NULL);
    clock_cond_init(&session->fetched);
    int r = session_init(session, options, err);
    if (r < 0) {
        keystone_session_free(session);
        return r;
    }
    *ret_session = session;
    return 0;
}

void keystone_session_free(struct keystone_session *session)
{
    if (!session)
        return;
    http_client_free(session->http);
    free(session->url);
    secret_free(session->body);
    secret_free(session->secret);
    secret_free(session->token);
    (void)pthread_cond_destroy(&session->fetched);
    (void)pthread_mutex_destroy(&session->lock);
    free(session);
}

static int unreachable_keystone(struct error *err)
{
    const struct error cause = *err;
    return error_set_foreign(err, cause.errnum, "keystoneauth1.exceptions.connection",
                             "ConnectFailure", "Keystone cannot be reached: %s", cause.message);
}

/* `url`: the session's, which gives no catalog, or the same without a query. */
static int request_token(struct keystone_session *session, const char *url, unsigned total_ms,
                         struct http_response *ret_response, bool *ret_transient, struct error *err)
{
    const struct http_header headers[] = {
        {"Content-Type", "application/json"},
        {"Accept", "application/json"},
    };
    const struct http_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .header_count = ARRAY_SIZE(headers),
        .body = session->body,
        .body_bytes = strlen(session->body),
        .total_ms = total_ms,
    };
    enum http_failure failure;
    int r = http_request(session->http, &request, ret_response, &failure, err);
    *ret_transient =
        r < 0 ? http_failure_is_transient(failure)
              : http_status_is_transient(ret_response->status) || ret_response->status == 500;
    return r;
}

/* Getting two tokens instead of one does no harm: any failure that may pass is tried again. */
static int fetch_token(struct keystone_session *session, char **ret_token, uint64_t *ret_expires_ms,
                       struct error *err)
{
    const struct retry_policy policy = {FETCH_ATTEMPTS, http_client_retry_delay_ms(session->http),
                                        FETCH_MAX_DELAY_MS, FETCH_TOTAL_MS};
    struct retry retry = retry_begin(&policy);
    struct http_response response = {0};
    uint64_t begun_ms;
    bool transient;
    unsigned retry_after_ms;
    int r;
    do {
        http_response_done(&response);
        begun_ms = clock_now_ms();
        r = request_token(session, session->url, retry_remaining_ms(&retry), &response, &transient,
                          err);
        retry_after_ms = http_response_retry_after_ms(&response);
    } while (transient && retry_wait(&retry, retry_after_ms));

    uint64_t life_ms = 0;
    if (r == -ECANCELED || (transient && cancel_check(err) < 0))
        r = -ECANCELED;
    else if (r < 0)
        r = unreachable_keystone(err);
    else if (response.status != 201 && response.status != 200)
        r = keystone_token_refused(&response, err);
    else
        r = keystone_token_parse(&response, ret_token, &life_ms, err);
    http_response_done(&response);
    if (r < 0)
        return r;
    log_debug("Keystone gave a service token, valid for %llu s",
              (unsigned long long)life_ms / 1000);
    *ret_expires_ms = begun_ms + life_ms;
    return 0;
}

static bool is_fresh(const struct keystone_session *session)
{
    return session->token && clock_now_ms() + MIN_TOKEN_LIFE_MS < session->expires_ms;
}

/* Under `lock`, which is given up during the request. */
static void fetch_for_all(struct keystone_session *session)
{
    char *token = NULL;
    uint64_t expires_ms = 0;
    struct error err = ERROR_INIT;
    log_debug("%s", session->token ? "renewing the service token" : "fetching a service token");
    session->fetching = true;
    (void)pthread_mutex_unlock(&session->lock);
    int r = fetch_token(session, &token, &expires_ms, &err);
    (void)pthread_mutex_lock(&session->lock);
    session->fetching = false;
    session->fetches++;
    session->fetch_result = r;
    session->fetch_err = err;
    if (r == 0) {
        secret_free(session->token);
        session->token = token;
        session->expires_ms = expires_ms;
    }
    (void)pthread_cond_broadcast(&session->fetched);
}

/* Under `lock`. The fetch itself has deadlines, so the wait for it ends. */
static int wait_for_fetch(struct keystone_session *session, struct error *err)
{
    unsigned long fetches = session->fetches;
    int r = 0;
    while (session->fetches == fetches && (r = cancel_check(err)) == 0) {
        const struct timespec look = clock_deadline(CANCEL_LOOK_MS);
        (void)pthread_cond_timedwait(&session->fetched, &session->lock, &look);
    }
    return r;
}

int keystone_session_get_token(struct keystone_session *session, char **ret_token,
                               struct error *err)
{
    LOCK_SCOPE(&session->lock);
    /* A token may be shorter-lived than the margin: what was just fetched is used all the same,
     * unless another thread has found it refused meanwhile. */
    bool fetched = false;
    while (!is_fresh(session) && !(fetched && session->token)) {
        bool wait = session->fetching;
        int r = wait ? wait_for_fetch(session, err) : 0;
        if (r < 0)
            return r;
        if (!wait)
            fetch_for_all(session);
        else if (session->fetch_result == -ECANCELED)
            continue; /* another's work was cancelled, not ours */
        if (session->fetch_result < 0) {
            *err = session->fetch_err;
            return session->fetch_result;
        }
        fetched = true;
    }
    char *copy = strdup(session->token);
    if (!copy || !secret_watch(copy)) {
        secret_free(copy);
        return error_nomem(err);
    }
    *ret_token = copy;
    return 0;
}

void keystone_session_invalidate(struct keystone_session *session, const char *token)
{
    LOCK_SCOPE(&session->lock);
    if (!session->token || strcmp(session->token, token) != 0)
        return;
    log_debug("the service token was refused: the next request fetches a new one");
    secret_free(session->token);
    session->token = NULL;
}

static int context_of_answer(const struct http_response *response,
                             struct request_context **ret_context, struct error *err)
{
    json_t *values = NULL;
    if (response->status != 201 && response->status != 200)
        return keystone_token_refused(response, err);
    int r = keystone_token_context(response, &values, err);
    if (r == 0)
        r = request_context_from_values(values, ret_context, err);
    json_decref(values);
    return r;
}

int keystone_session_context(struct keystone_session *session, unsigned timeout_ms,
                             struct request_context **ret_context, struct error *err)
{
    struct http_response response = {0};
    bool transient;
    cleanup_free char *url = strndup(session->url, strcspn(session->url, "?"));
    if (!url)
        return error_nomem(err);
    int r = request_token(session, url, timeout_ms, &response, &transient, err);
    if (r < 0)
        return r == -ECANCELED ? r : unreachable_keystone(err);
    r = context_of_answer(&response, ret_context, err);
    http_response_done(&response);
    return r;
}
