/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus on a command line, for integration tests: options as one JSON object in argv[1],
 * commands as JSON lines on stdin, events as JSON lines on stdout.
 *
 * It serves the methods named in "serve"; a served call answers with its own args, or, with the
 * args "sleep_ms" and "fail" ({exc, message}), later and with a failure. With the arg "keep" it is
 * kept as it came, until "answer" has all of them answered, or "hand_back" given to nova-compute.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "amqp/bus.h"
#include "amqp/notifier.h"
#include "amqp/rpc.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"

#define KEPT_MAX 64

struct peer {
    struct bus *bus;
    json_t *options;
    json_t *serve;
    struct request_context *context;
    struct rpc_request *kept[KEPT_MAX]; /* with the lock */
    unsigned n_kept;
};

struct job {
    struct peer *peer;
    json_t *command;             /* of a command */
    struct rpc_request *request; /* of a served request */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned running;

/* Takes `event`. */
static void emit(json_t *event)
{
    LOCK_SCOPE(&lock);
    (void)json_dumpf(event, stdout, JSON_COMPACT);
    (void)putchar('\n');
    (void)fflush(stdout);
    json_decref(event);
}

static void start_job(struct peer *peer, json_t *command, struct rpc_request *request,
                      void *(*run)(void *))
{
    struct job *job = malloc(sizeof(*job));
    pthread_t thread;
    if (!job)
        abort();
    *job = (struct job){peer, command, request};
    (void)pthread_mutex_lock(&lock);
    running++;
    (void)pthread_mutex_unlock(&lock);
    if (pthread_create(&thread, NULL, run, job) != 0)
        abort();
    (void)pthread_detach(thread);
}

static void end_job(struct job *job)
{
    json_decref(job->command);
    rpc_request_free(job->request);
    free(job);
    LOCK_SCOPE(&lock);
    running--;
    (void)pthread_cond_broadcast(&changed);
}

static void pause_ms(json_int_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

static void *serve_job(void *arg)
{
    struct job *job = arg;
    struct bus *bus = job->peer->bus;
    const struct rpc_request *request = job->request;
    pause_ms(json_integer_value(json_object_get(request->args, "sleep_ms")));
    json_t *fail = json_object_get(request->args, "fail");
    struct error error = ERROR_INIT;
    int r;
    if (fail) {
        struct error failure = ERROR_INIT;
        (void)error_set(&failure, EINVAL, json_string_member(fail, "exc"), "%s",
                        json_string_member(fail, "message"));
        r = rpc_fail(bus, request, &failure, &error);
    } else {
        r = rpc_reply(bus, request, json_incref(request->args), &error);
    }
    emit(json_pack("{s:s, s:s, s:i, s:s}", "event", "replied", "unique_id", request->unique_id,
                   "result", r, "message", error.message));
    end_job(job);
    return NULL;
}

static enum rpc_verdict accept_request(void *arg, const struct rpc_request *request)
{
    const struct peer *peer = arg;
    size_t i;
    json_t *method;
    json_array_foreach (peer->serve, i, method) {
        if (strcmp(json_string_value(method), request->method) == 0)
            return RPC_SERVE;
    }
    return RPC_PUT_BACK;
}

static void keep(struct peer *peer, struct rpc_request *request)
{
    LOCK_SCOPE(&lock);
    if (peer->n_kept == KEPT_MAX)
        abort();
    peer->kept[peer->n_kept++] = request;
}

static void serve_request(void *arg, struct rpc_request *request, void *claim)
{
    free(claim);
    if (json_is_true(json_object_get(request->args, "keep")))
        keep(arg, request);
    emit(json_pack("{s:s, s:s, s:s, s:s, s:O, s:s}", "event", "served", "method", request->method,
                   "version", request->version, "unique_id", request->unique_id, "args",
                   request->args, "request_id", request->context->request_id));
    if (!json_is_true(json_object_get(request->args, "keep")))
        start_job(arg, NULL, request, serve_job);
}

static struct rpc_request *next_kept(struct peer *peer)
{
    LOCK_SCOPE(&lock);
    return peer->n_kept > 0 ? peer->kept[--peer->n_kept] : NULL;
}

static void answer_kept(struct peer *peer)
{
    struct rpc_request *request;
    while ((request = next_kept(peer)))
        start_job(peer, NULL, request, serve_job);
}

static size_t count_kept(const struct peer *peer)
{
    LOCK_SCOPE(&lock);
    return peer->n_kept;
}

/* Each once: what comes back to an attached bus before its confirm is kept again. */
static void *hand_back_job(void *arg)
{
    struct job *job = arg;
    struct rpc_request *request;
    size_t left = count_kept(job->peer);
    uint64_t start_ms = clock_now_ms();
    for (; left > 0 && (request = next_kept(job->peer)); left--) {
        struct error error = ERROR_INIT;
        int r = rpc_hand_back(job->peer->bus, request, &error);
        emit(json_pack("{s:s, s:s, s:i, s:s, s:I}", "event", "handed_back", "unique_id",
                       request->unique_id, "result", r, "message", error.message, "ms",
                       (json_int_t)(clock_now_ms() - start_ms)));
        rpc_request_free(request);
    }
    end_job(job);
    return NULL;
}

/* As slow as the disk is said to be. The id of the request is its claim. */
static bool write_down(void *arg, const struct rpc_request *request, void **claim)
{
    const struct peer *peer = arg;
    pause_ms(json_integer_value(json_object_get(peer->options, "write_ms")));
    if (json_is_true(json_object_get(request->args, "disk_full")))
        return false;
    *claim = strdup(request->unique_id);
    return true;
}

static void withdraw_request(void *arg, void *claim)
{
    (void)arg;
    if (claim)
        emit(json_pack("{s:s, s:s}", "event", "withdrawn", "unique_id", claim));
    free(claim);
}

static bool doubt_request(void *arg, struct rpc_request *request, void *claim)
{
    (void)arg;
    emit(json_pack("{s:s, s:s}", "event", "doubted", "unique_id", request->unique_id));
    if (json_is_true(json_object_get(request->args, "certain")))
        return false;
    free(claim);
    rpc_request_free(request);
    return true;
}

static void *call_job(void *arg)
{
    struct job *job = arg;
    const json_t *command = job->command;
    json_t *result = NULL;
    struct error error = ERROR_INIT;
    uint64_t start_ms = clock_now_ms();
    const struct rpc_call call = {
        .topic = json_string_member(command, "topic"),
        .version = json_string_member(command, "version"),
        .context = job->peer->context,
        .method = json_string_member(command, "method"),
        .args = json_incref(json_object_get(command, "args")),
        .timeout_ms = (unsigned)json_integer_value(json_object_get(command, "timeout_ms")),
    };
    int r = rpc_call(job->peer->bus, &call, &result, &error);
    json_int_t elapsed_ms = (json_int_t)(clock_now_ms() - start_ms);
    json_t *id = json_object_get(command, "id");
    if (r == 0)
        emit(json_pack("{s:s, s:O, s:o, s:I}", "event", "result", "id", id, "result", result, "ms",
                       elapsed_ms));
    else
        emit(json_pack("{s:s, s:O, s:i, s:i, s:s, s:s, s:s, s:I}", "event", "error", "id", id,
                       "errnum", error.errnum, "code", error.code, "exc", error.exc, "module",
                       error.module, "message", error.message, "ms", elapsed_ms));
    end_job(job);
    return NULL;
}

static void *notify_job(void *arg)
{
    struct job *job = arg;
    const json_t *command = job->command;
    struct error error = ERROR_INIT;
    bool versioned = json_is_true(json_object_get(command, "versioned"));
    const struct notification notification = {
        .kind = versioned ? NOTIFICATION_VERSIONED : NOTIFICATION_LEGACY,
        .context = job->peer->context,
        .publisher_id = "compute.host",
        .event_type = "compute.instance.snapshot.start",
        .priority = json_string_member(command, "priority"),
        .payload = json_incref(json_object_get(command, "payload")),
    };
    int r = notifier_notify(job->peer->bus, &notification, &error);
    emit(json_pack("{s:s, s:O, s:i, s:s}", "event", "notified", "id",
                   json_object_get(command, "id"), "result", r, "message", error.message));
    end_job(job);
    return NULL;
}

/* Takes `command`: no JSON value is shared between threads. */
static void run_command(struct peer *peer, json_t *command)
{
    const char *what = json_string_member(command, "do");
    if (strcmp(what, "call") == 0) {
        start_job(peer, TAKE_PTR(command), NULL, call_job);
    } else if (strcmp(what, "notify") == 0) {
        start_job(peer, TAKE_PTR(command), NULL, notify_job);
    } else if (strcmp(what, "answer") == 0) {
        answer_kept(peer);
    } else if (strcmp(what, "hand_back") == 0) {
        start_job(peer, TAKE_PTR(command), NULL, hand_back_job);
    } else if (strcmp(what, "detach") == 0) {
        bus_detach(peer->bus);
        emit(json_pack("{s:s}", "event", "detached"));
    } else if (strcmp(what, "stand_aside") == 0) {
        bus_stand_aside(peer->bus, BUS_ASIDE_DRAINED, json_is_true(json_object_get(command, "on")));
        emit(json_pack("{s:s}", "event", "stood_aside"));
    } else if (strcmp(what, "attached") == 0) {
        emit(json_pack("{s:s, s:b}", "event", "attached", "value", bus_attached(peer->bus)));
    }
    json_decref(command);
}

static bool flag(const json_t *options, const char *name)
{
    return json_is_true(json_object_get(options, name));
}

static unsigned number(const json_t *options, const char *name, unsigned fallback)
{
    const json_t *value = json_object_get(options, name);
    return value ? (unsigned)json_integer_value(value) : fallback;
}

static int make_bus(struct peer *peer, struct error *err)
{
    static const struct rpc_server_ops ops = {accept_request, write_down, serve_request,
                                              withdraw_request, doubt_request};
    static const char *const versions[] = {"6.1", "5.13", NULL};
    static const char *const topics[] = {"notifications", NULL};
    static const char *const versioned_topics[] = {"versioned_notifications", NULL};
    const json_t *options = peer->options;
    const char *driver = json_string_member(options, "notification_driver");
    const char *const drivers[] = {driver ? driver : "messagingv2", NULL};
    const char *attach = json_string_member(options, "attach");
    struct transport_url *url = NULL;
    struct transport_url *notification_url = NULL;
    int r = transport_url_parse(json_string_member(options, "url"), &url, err);
    if (r < 0)
        return r;
    const char *second = json_string_member(options, "notification_url");
    if (second)
        r = transport_url_parse(second, &notification_url, err);
    const struct bus_options bus_options = {
        .url = url,
        .notification_url = notification_url,
        .rabbit = {.ssl = flag(options, "ssl"),
                   .ssl_ca_file = json_string_member(options, "ssl_ca_file"),
                   .ssl_enforce_hostname_verification =
                       flag(options, "ssl_enforce_hostname_verification"),
                   .heartbeat_timeout_threshold_s = number(options, "heartbeat", 60),
                   .rabbit_retry_interval_s = number(options, "retry_interval", 1),
                   .rabbit_retry_backoff_s = number(options, "retry_backoff", 2),
                   .rabbit_interval_max_s = 30,
                   .kombu_missing_consumer_retry_timeout_s = number(options, "missing_queue", 60),
                   .amqp_durable_queues = flag(options, "durable"),
                   .rabbit_quorum_queue = flag(options, "quorum"),
                   .rabbit_transient_quorum_queue = flag(options, "transient_quorum"),
                   .rabbit_stream_fanout = flag(options, "stream_fanout"),
                   .rabbit_transient_queues_ttl_s = 1800},
        .attach =
            attach && strcmp(attach, "exclusive") == 0 ? BUS_ATTACH_EXCLUSIVE : BUS_ATTACH_SHARED,
        .control_exchange = "nova",
        .topic = "compute",
        .server = json_string_member(options, "server"),
        .rpc_response_timeout_s = number(options, "timeout", 60),
        .attach_poll_interval_s = 1,
        .rpc_versions = versions,
        .notification_drivers = drivers,
        .notification_topics = topics,
        .versioned_notification_topics = versioned_topics,
    };
    if (r == 0)
        r = bus_new(&bus_options, &ops, peer, &peer->bus, err);
    transport_url_free(url);
    transport_url_free(notification_url);
    return r;
}

static void run_commands(struct peer *peer)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        json_t *command = json_loads(line, 0, NULL);
        if (!json_string_member(command, "do"))
            abort();
        run_command(peer, command);
    }
    free(line);
}

int main(int argc, char **argv)
{
    struct peer peer = {.options = argc == 2 ? json_loads(argv[1], 0, NULL) : NULL};
    struct error error = ERROR_INIT;
    log_init(LOG_LEVEL_DEBUG);
    if (!peer.options || request_context_new_admin(&peer.context, &error) < 0)
        return 2;
    peer.serve = json_object_get(peer.options, "serve");
    int r = make_bus(&peer, &error);
    if (r == 0)
        r = bus_start(peer.bus, number(peer.options, "start_ms", 10000), &error);
    emit(json_pack("{s:s, s:i, s:s}", "event", "started", "result", r, "message", error.message));
    if (peer.bus)
        run_commands(&peer);
    bus_free(peer.bus);
    (void)pthread_mutex_lock(&lock);
    while (running > 0)
        (void)pthread_cond_wait(&changed, &lock);
    (void)pthread_mutex_unlock(&lock);
    emit(json_pack("{s:s}", "event", "ended"));
    while (peer.n_kept > 0)
        rpc_request_free(next_kept(&peer));
    request_context_free(peer.context);
    json_decref(peer.options);
    return r == 0 ? 0 : 1;
}
