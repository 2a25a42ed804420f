/* SPDX-License-Identifier: Apache-2.0 */
/* See routes.h. */
#include "control/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "control/rates.h"

#define BODY_MAX_BYTES 4096
#define MODULES_MAX 32

enum { OK = 200, ACCEPTED = 202, BAD_REQUEST = 400, NOT_FOUND = 404, NOT_ALLOWED = 405 };
enum { CONFLICT = 409, INTERNAL_ERROR = 500, UNAVAILABLE = 503 };

/* What a row's function gets. */
struct call {
    const struct control_ops *ops;
    void *arg;
    const char *id; /* what follows the path of a row that ends with "/" */
    const struct routes_request *request;
};

/* Takes the value; NULL: there was no memory for it. */
static struct routes_answer answer_json(unsigned status, json_t *value)
{
    struct routes_answer answer = {.status = status, .type = "application/json"};
    answer.text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    return answer;
}

struct routes_answer routes_answer_error(unsigned status, const char *message)
{
    return answer_json(
        status, json_pack("{s:{s:i, s:s}}", "error", "code", (int)status, "message", message));
}

static struct routes_answer answer_failure(const struct error *err)
{
    switch (err->errnum) {
    case EINVAL:
    case EBADMSG:
    case EMSGSIZE:
        return routes_answer_error(BAD_REQUEST, err->message);
    case ENOENT:
        return routes_answer_error(NOT_FOUND, err->message);
    case EBUSY:
        return routes_answer_error(CONFLICT, err->message);
    default:
        return routes_answer_error(INTERNAL_ERROR, err->message);
    }
}

/* What is to be done has been done, or will be: `done` tells what. Takes it. */
static struct routes_answer answer_done(int r, unsigned status, json_t *done,
                                        const struct error *err)
{
    if (r == 0)
        return answer_json(status, done);
    json_decref(done);
    return answer_failure(err);
}

static struct routes_answer get_health(const struct call *call)
{
    json_t *health = call->ops->health(call->arg);
    bool healthy = json_is_true(json_object_get(health, "healthy"));
    return answer_json(healthy ? OK : UNAVAILABLE, health);
}

static struct routes_answer get_status(const struct call *call)
{
    return answer_json(OK, call->ops->status(call->arg));
}

static struct routes_answer get_metrics(const struct call *call)
{
    return (struct routes_answer){OK, call->ops->metrics(call->arg), CONTROL_METRICS_TYPE};
}

static struct routes_answer get_jobs(const struct call *call)
{
    json_t *jobs = call->ops->jobs(call->arg, NULL);
    return answer_json(OK, jobs ? json_pack("{s:o}", "jobs", jobs) : NULL);
}

static struct routes_answer get_job(const struct call *call)
{
    json_t *jobs = call->ops->jobs(call->arg, call->id);
    json_t *job = json_incref(json_array_get(jobs, 0));
    bool known = jobs != NULL;
    json_decref(jobs);
    return known && !job ? routes_answer_error(NOT_FOUND, "there is no such job")
                         : answer_json(OK, job);
}

static struct routes_answer get_doctor(const struct call *call)
{
    struct error err = ERROR_INIT;
    json_t *report = NULL;
    int r = call->ops->doctor(call->arg, call->id[0] != '\0' ? call->id : NULL, &report, &err);
    return answer_done(r, OK, report, &err);
}

static struct routes_answer delete_job(const struct call *call)
{
    struct error err = ERROR_INIT;
    int r = call->ops->cancel_job(call->arg, call->id, &err);
    return answer_done(r, ACCEPTED, json_pack("{s:s}", "cancelled", call->id), &err);
}

static struct routes_answer set_drained(const struct call *call, bool on)
{
    struct error err = ERROR_INIT;
    int r = call->ops->drain(call->arg, on, &err);
    return answer_done(r, ACCEPTED, json_pack("{s:b}", "drained", on), &err);
}

static struct routes_answer post_drain(const struct call *call)
{
    return set_drained(call, true);
}

static struct routes_answer post_resume(const struct call *call)
{
    return set_drained(call, false);
}

/* The request's body, which has to be an object. Owned. */
static int read_object(const struct call *call, json_t **ret_object, struct error *err)
{
    const struct routes_request *request = call->request;
    int r = json_parse(request->body, request->body_bytes, BODY_MAX_BYTES, "the request",
                       ret_object, err);
    if (r == 0 && !json_is_object(*ret_object)) {
        json_decref(*ret_object);
        r = error_set(err, EINVAL, EXC_INVALID_INPUT, "the request is no JSON object");
    }
    return r;
}

static int set_rates(const struct call *call, json_t *object, struct error *err)
{
    struct control_rates rates;
    int r = rates_read(object, &rates, err);
    return r < 0 ? r : call->ops->set_rates(call->arg, &rates, err);
}

/* What the body asks for; the answer is the status then. */
static struct routes_answer change(const struct call *call,
                                   int (*set)(const struct call *call, json_t *object,
                                              struct error *err))
{
    struct error err = ERROR_INIT;
    json_t *object = NULL;
    int r = read_object(call, &object, &err);
    if (r < 0)
        return answer_failure(&err);
    r = set(call, object, &err);
    json_decref(object);
    return r == 0 ? get_status(call) : answer_failure(&err);
}

static struct routes_answer put_throttle(const struct call *call)
{
    return change(call, set_rates);
}

static int read_modules(const json_t *array, const char *modules[static MODULES_MAX + 1],
                        struct error *err)
{
    size_t i;
    const json_t *value;
    if (!json_is_array(array) || json_array_size(array) > MODULES_MAX)
        return error_set(err, EINVAL, EXC_INVALID_INPUT, "modules is a list of names");
    json_array_foreach (array, i, value) {
        if (!json_is_string(value))
            return error_set(err, EINVAL, EXC_INVALID_INPUT, "modules is a list of names");
        modules[i] = json_string_value(value);
    }
    return 0;
}

static int set_log_level(const struct call *call, json_t *object, struct error *err)
{
    const char *modules[MODULES_MAX + 1] = {NULL};
    const json_t *listed = json_object_get(object, "modules");
    const struct control_log_level wanted = {.level = json_string_member(object, "level"),
                                             .modules = listed ? modules : NULL};
    if (!wanted.level && !listed)
        return error_set(err, EINVAL, EXC_INVALID_INPUT, "level or modules has to be given");
    int r = listed ? read_modules(listed, modules, err) : 0;
    return r < 0 ? r : call->ops->set_log_level(call->arg, &wanted, err);
}

static struct routes_answer put_log_level(const struct call *call)
{
    return change(call, set_log_level);
}

static struct routes_answer get_clean(const struct call *call)
{
    return answer_json(OK, call->ops->clean_view(call->arg));
}

static struct routes_answer post_clean(const struct call *call)
{
    struct error err = ERROR_INIT;
    json_t *object = NULL;
    unsigned run = 0;
    int r = call->request->body_bytes > 0 ? read_object(call, &object, &err) : 0;
    if (r == 0)
        r = call->ops->clean(call->arg, json_is_true(json_object_get(object, "apply")), &run, &err);
    json_decref(object);
    return answer_done(r, ACCEPTED, json_pack("{s:i}", "run", (int)run), &err);
}

static const struct {
    const char *method;
    const char *path;
    struct routes_answer (*answer)(const struct call *call);
} rows[] = {
    {"GET", "/healthz", get_health},         {"GET", "/v1/status", get_status},
    {"GET", "/v1/jobs", get_jobs},           {"GET", "/v1/jobs/", get_job},
    {"DELETE", "/v1/jobs/", delete_job},     {"POST", "/v1/drain", post_drain},
    {"POST", "/v1/resume", post_resume},     {"PUT", "/v1/throttle", put_throttle},
    {"PUT", "/v1/log-level", put_log_level}, {"GET", "/metrics", get_metrics},
    {"POST", "/v1/clean", post_clean},       {"GET", "/v1/clean", get_clean},
    {"GET", "/v1/doctor", get_doctor},       {"GET", "/v1/doctor/", get_doctor},
};

/* What stands behind the row's path where one may; "" where none may; NULL: it is another path. */
static const char *match_path(const char *row, const char *path)
{
    size_t length = strlen(row);
    if (row[length - 1] != '/')
        return strcmp(row, path) == 0 ? "" : NULL;
    return strncmp(row, path, length) == 0 && path[length] != '\0' ? path + length : NULL;
}

struct routes_answer routes_answer(const struct control_ops *ops, void *arg,
                                   const struct routes_request *request)
{
    bool known = false;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *id = match_path(rows[i].path, request->path);
        const struct call call = {.ops = ops, .arg = arg, .id = id, .request = request};
        if (id && strcmp(rows[i].method, request->method) == 0)
            return rows[i].answer(&call);
        known = known || id;
    }
    return known ? routes_answer_error(NOT_ALLOWED, "this cannot be done with it")
                 : routes_answer_error(NOT_FOUND, "there is nothing here");
}

void routes_answer_done(struct routes_answer *answer)
{
    free(answer->text);
    *answer = (struct routes_answer){0};
}
