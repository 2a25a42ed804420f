/* SPDX-License-Identifier: Apache-2.0 */
/* See change.h. */
#include "tool/change.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "tool/call.h"
#include "tool/job.h"
#include "tool/number.h"
#include "tool/show.h"

#define RATE_MAX_MIB (1 << 20)
#define WAIT_MAX_S 86400
#define LOOK_MS 500

enum invocation_exit change_cancel(const struct invocation *invocation)
{
    const struct call call = {.method = "DELETE", .path = "/v1/jobs/", .id = invocation->argument};
    json_t *answer = NULL;
    enum invocation_exit status = call_agent(invocation, &call, &answer);
    if (status == INVOCATION_DONE && !call_print_json(invocation, answer))
        (void)printf("job %s is being cancelled\n", invocation->argument);
    json_decref(answer);
    return status;
}

static enum invocation_exit post(const struct invocation *invocation, const char *path,
                                 const char *done)
{
    const struct call call = {.method = "POST", .path = path};
    json_t *answer = NULL;
    enum invocation_exit status = call_agent(invocation, &call, &answer);
    if (status == INVOCATION_DONE && !call_print_json(invocation, answer))
        (void)puts(done);
    json_decref(answer);
    return status;
}

/* Drained, and nothing is under way any more. That it is drained is a wish as long as it is
 * attached; one that starts may not have begun with what an earlier agent has left. */
static enum invocation_exit look_for_end(const struct invocation *invocation, bool *ret_ended)
{
    const struct call call = {.method = "GET", .path = "/v1/status"};
    json_t *answer = NULL;
    enum invocation_exit status = call_agent(invocation, &call, &answer);
    const char *state = json_string_value(json_object_get(answer, "state"));
    *ret_ended = json_is_true(json_object_get(answer, "drained")) &&
                 !(state && (strcmp(state, "attached") == 0 || strcmp(state, "starting") == 0)) &&
                 json_integer_value(json_object_get(answer, "running")) == 0;
    json_decref(answer);
    return status;
}

static enum invocation_exit await_end(const struct invocation *invocation, int wait_s)
{
    uint64_t end_ms = clock_now_ms() + (uint64_t)wait_s * 1000;
    for (;;) {
        bool ended = false;
        enum invocation_exit status = look_for_end(invocation, &ended);
        if (status != INVOCATION_DONE || ended)
            return status;
        if (clock_now_ms() >= end_ms) {
            (void)fprintf(stderr, "nova-snapshot: requests are under way after %d s\n", wait_s);
            return INVOCATION_FAILED;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

enum invocation_exit change_drain(const struct invocation *invocation)
{
    const char *text = invocation->values[INVOCATION_WAIT];
    int wait_s = 0;
    if (text && !number_read("wait", text, 1, WAIT_MAX_S, &wait_s))
        return INVOCATION_USAGE;
    enum invocation_exit status =
        post(invocation, "/v1/drain", "no more requests are taken, those under way go on");
    return status == INVOCATION_DONE && text ? await_end(invocation, wait_s) : status;
}

enum invocation_exit change_resume(const struct invocation *invocation)
{
    return post(invocation, "/v1/resume", "requests are taken again");
}

/* Sends what is to be changed, or asks how it is when that is nothing. The answer is the status. */
static enum invocation_exit put(const struct invocation *invocation, const char *path,
                                json_t *wanted, json_t **ret_status)
{
    const struct call change = {.method = "PUT", .path = path, .body = wanted};
    const struct call look = {.method = "GET", .path = "/v1/status"};
    return call_agent(invocation, json_object_size(wanted) > 0 ? &change : &look, ret_status);
}

static bool read_rates(const struct invocation *invocation, json_t *wanted)
{
    static const struct {
        enum invocation_option option;
        const char *option_name, *name;
    } rates[] = {
        {INVOCATION_DISK, "disk", "disk_rate_limit"},
        {INVOCATION_DISK_HOST, "disk-host", "disk_rate_limit_host"},
        {INVOCATION_UPLOAD, "upload", "upload_rate_limit"},
        {INVOCATION_UPLOAD_HOST, "upload-host", "upload_rate_limit_host"},
    };
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        const char *text = invocation->values[rates[i].option];
        int mib;
        if (!text)
            continue;
        if (!number_read(rates[i].option_name, text, 0, RATE_MAX_MIB, &mib))
            return false;
        (void)json_object_set_new(wanted, rates[i].name, json_integer(mib));
    }
    return true;
}

static enum invocation_exit show_job_limits(const struct invocation *invocation)
{
    const struct call call = {.method = "GET", .path = "/v1/jobs/", .id = invocation->argument};
    json_t *answer = NULL;
    enum invocation_exit status = call_agent(invocation, &call, &answer);
    if (status == INVOCATION_DONE && !call_print_json(invocation, answer))
        status =
            job_write_limits(answer, stdout) ? INVOCATION_DONE : call_complain_of_lack("limits");
    json_decref(answer);
    return status;
}

enum invocation_exit change_throttle(const struct invocation *invocation)
{
    json_t *wanted = json_object();
    json_t *answer = NULL;
    enum invocation_exit status = INVOCATION_USAGE;
    if (invocation->argument)
        (void)json_object_set_new(wanted, "job", json_string(invocation->argument));
    bool makes_sense = read_rates(invocation, wanted);
    if (makes_sense && invocation->argument && json_object_size(wanted) == 1) {
        json_decref(wanted);
        return show_job_limits(invocation);
    }
    if (makes_sense)
        status = put(invocation, "/v1/throttle", wanted, &answer);
    if (status == INVOCATION_DONE && !call_print_json(invocation, answer))
        status = show_limits(answer, stdout);
    json_decref(wanted);
    json_decref(answer);
    return status;
}

/* "driver,amqp" as a list. Owned. */
static json_t *split_modules(const char *text)
{
    json_t *modules = json_array();
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        if (length > 0)
            (void)json_array_append_new(modules, json_stringn(text, length));
        text += length + (text[length] == ',');
    }
    return modules;
}

enum invocation_exit change_log_level(const struct invocation *invocation)
{
    const char *modules = invocation->values[INVOCATION_MODULES];
    json_t *wanted = json_object();
    json_t *answer = NULL;
    if (invocation->argument)
        (void)json_object_set_new(wanted, "level", json_string(invocation->argument));
    if (modules)
        (void)json_object_set_new(wanted, "modules", split_modules(modules));
    enum invocation_exit status = put(invocation, "/v1/log-level", wanted, &answer);
    const char *level = json_string_member(answer, "log_level");
    if (status == INVOCATION_DONE && !call_print_json(invocation, answer)) {
        if (!level)
            status = call_complain_of_lack("log_level");
        else
            (void)printf("log level %s\n", level);
    }
    json_decref(wanted);
    json_decref(answer);
    return status;
}
