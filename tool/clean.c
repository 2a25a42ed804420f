/* SPDX-License-Identifier: Apache-2.0 */
/* See clean.h. */
#include "tool/clean.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "tool/call.h"
#include "tool/units.h"

#define RUN_MAX_MS 1800000 /* each thing the agent does has a limit of its own */
#define FIRST_LOOK_MS 100
#define LOOK_MS 1000

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_member(object, key);
    return text ? text : "";
}

/* What is, was or would be done. */
static const char *action_of(const json_t *item)
{
    static const struct {
        const char *kind, *would, *did;
    } actions[] = {
        {"job", "would end it", "ended"},
        {"folder", "would remove it", "removed"},
        {"image", "would delete it", "deleted"},
    };
    const char *verdict = text_of(item, "verdict");
    if (strcmp(verdict, "left") == 0)
        return "left alone";
    if (strcmp(verdict, "failed") == 0)
        return "FAILED";
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i].kind, text_of(item, "kind")) == 0)
            return strcmp(verdict, "done") == 0 ? actions[i].did : actions[i].would;
    return verdict;
}

static void write_item(const json_t *item, FILE *out)
{
    const char *kind = text_of(item, "kind");
    const char *failure = text_of(item, "failure");
    uint64_t bytes = (uint64_t)json_integer_value(json_object_get(item, "bytes"));
    (void)fprintf(out, "%-11s %-16s %s", strcmp(kind, "task_state") == 0 ? "task state" : kind,
                  action_of(item), text_of(item, "what"));
    if (strcmp(kind, "folder") == 0)
        (void)fprintf(out, " (%s)", units_bytes(bytes).text);
    if (text_of(item, "instance")[0] != '\0')
        (void)fprintf(out, ", server %s", text_of(item, "instance"));
    if (text_of(item, "disk")[0] != '\0')
        (void)fprintf(out, ", disk %s", text_of(item, "disk"));
    (void)fprintf(out, "\n%28s %s\n", "", text_of(item, "why"));
    if (failure[0] != '\0')
        (void)fprintf(out, "%28s %s\n", "", failure);
}

/* How many have this verdict. */
static unsigned count(const json_t *found, const char *verdict)
{
    unsigned n = 0;
    size_t i;
    json_t *item;
    json_array_foreach (found, i, item) {
        n += strcmp(text_of(item, "verdict"), verdict) == 0;
    }
    return n;
}

static void write_summary(const json_t *found, bool is_all, FILE *out)
{
    unsigned nobodys = count(found, "nobodys");
    if (json_array_size(found) == 0)
        (void)fputs(is_all ? "nothing is left of snapshots\n"
                           : "nothing was found, but not all could be looked at\n",
                    out);
    else
        (void)fprintf(out, "%u removed, %u failed, %u left alone\n", count(found, "done"),
                      count(found, "failed"), count(found, "left"));
    if (nobodys > 0)
        (void)fprintf(out, "%u to be removed: nova-snapshot clean --yes looks again, and does it\n",
                      nobodys);
}

static void write_result(const json_t *result)
{
    const json_t *found = json_object_get(result, "found");
    const json_t *troubles = json_object_get(result, "troubles");
    size_t i;
    json_t *entry;
    json_array_foreach (found, i, entry) {
        write_item(entry, stdout);
    }
    json_array_foreach (troubles, i, entry) {
        const char *text = json_string_value(entry);
        (void)fprintf(stderr, "nova-snapshot: %s\n", text ? text : "something is wrong");
    }
    write_summary(found, json_array_size(troubles) == 0, stdout);
}

static enum invocation_exit judge_result(const json_t *result)
{
    bool failed = count(json_object_get(result, "found"), "failed") > 0 ||
                  json_array_size(json_object_get(result, "troubles")) > 0;
    return failed ? INVOCATION_FAILED : INVOCATION_DONE;
}

static enum invocation_exit complain(const char *text)
{
    (void)fprintf(stderr, "nova-snapshot: %s\n", text);
    return INVOCATION_FAILED;
}

/* Until the agent has come to its end with this run. */
static enum invocation_exit await_run(const struct invocation *invocation, json_int_t run,
                                      json_t **ret_result)
{
    const struct call look = {.method = "GET", .path = "/v1/clean"};
    uint64_t end_ms = clock_now_ms() + RUN_MAX_MS;
    int pause_ms = FIRST_LOOK_MS;
    while (clock_now_ms() < end_ms) {
        json_t *result = NULL;
        enum invocation_exit status = call_agent(invocation, &look, &result);
        if (status != INVOCATION_DONE)
            return status;
        const json_t *running = json_object_get(result, "running");
        bool is_it = json_integer_value(json_object_get(result, "run")) == run;
        bool is_told = json_is_boolean(running);
        if (is_it && json_is_false(running)) {
            *ret_result = result;
            return INVOCATION_DONE;
        }
        json_decref(result);
        if (!is_told)
            return call_complain_of_lack("running");
        if (!is_it)
            return complain("somebody else has begun another clean since");
        (void)poll(NULL, 0, pause_ms);
        pause_ms = pause_ms * 2 < LOOK_MS ? pause_ms * 2 : LOOK_MS;
    }
    return complain("the agent does not come to an end with it");
}

enum invocation_exit clean_leftovers(const struct invocation *invocation)
{
    json_t *body = json_pack("{s:b}", "apply", invocation->values[INVOCATION_YES] != NULL);
    const struct call start = {.method = "POST", .path = "/v1/clean", .body = body};
    json_t *answer = NULL, *result = NULL;
    enum invocation_exit status = call_agent(invocation, &start, &answer);
    if (status == INVOCATION_DONE && !json_is_integer(json_object_get(answer, "run")))
        status = call_complain_of_lack("run");
    if (status == INVOCATION_DONE)
        status = await_run(invocation, json_integer_value(json_object_get(answer, "run")), &result);
    if (status == INVOCATION_DONE && !call_print_json(invocation, result))
        write_result(result);
    if (status == INVOCATION_DONE)
        status = judge_result(result);
    json_decref(body);
    json_decref(answer);
    json_decref(result);
    return status;
}
