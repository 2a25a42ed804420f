/* SPDX-License-Identifier: Apache-2.0 */
/* See watch.h. */
#include "tool/watch.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/json.h"
#include "tool/call.h"
#include "tool/job.h"
#include "tool/number.h"
#include "tool/terminal.h"

#define INTERVAL_MAX_S 3600

struct watch {
    const struct invocation *invocation;
    unsigned n_lines; /* of the last look, on a terminal that goes back over them */
    unsigned n_found;
};

static bool is_wanted(const struct watch *watch, const json_t *job)
{
    const char *wanted = watch->invocation->argument;
    const struct job_view view = job_read(job);
    return !wanted || strcmp(view.id, wanted) == 0 || strcasecmp(view.image, wanted) == 0;
}

static unsigned count_wanted(const struct watch *watch, const json_t *jobs)
{
    size_t i;
    const json_t *job;
    unsigned n = 0;
    json_array_foreach (jobs, i, job)
        n += is_wanted(watch, job);
    return n;
}

/* What was written at the last look goes. */
static void go_back(struct watch *watch)
{
    if (watch->n_lines > 0)
        (void)printf("\033[%uA\033[J", watch->n_lines);
    watch->n_lines = 0;
}

static void write_some_jobs(const struct watch *watch, const json_t *jobs, unsigned n_most,
                            unsigned columns)
{
    size_t i;
    const json_t *job;
    unsigned n = 0;
    json_array_foreach (jobs, i, job) {
        if (!is_wanted(watch, job) || n++ >= n_most)
            continue;
        if (watch->invocation->values[INVOCATION_JSON]) {
            (void)json_dumpf(job, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
            (void)putchar('\n');
        } else {
            job_write_bar(job, columns, stdout);
        }
    }
}

/* The cursor's own row, below all lines, is one of the terminal's: what is above the first cannot
 * be gone back to. */
static void fill_terminal(struct watch *watch, const json_t *jobs, const struct terminal *terminal)
{
    char last[64] = "";
    unsigned n_room = terminal->rows > 2 ? terminal->rows - 1 : 1;
    unsigned n_shown = watch->n_found <= n_room ? watch->n_found : n_room - 1;
    if (watch->n_found == 0)
        (void)snprintf(last, sizeof(last), "no requests are under way");
    else if (n_shown < watch->n_found)
        (void)snprintf(last, sizeof(last), "and %u more", watch->n_found - n_shown);
    go_back(watch);
    write_some_jobs(watch, jobs, n_shown, terminal->columns);
    if (last[0] != '\0')
        (void)printf("%.*s\n", (int)terminal->columns, last);
    watch->n_lines = n_shown + (last[0] != '\0');
}

static void write_jobs(struct watch *watch, const json_t *jobs)
{
    const struct terminal terminal = terminal_look(STDOUT_FILENO);
    watch->n_found = count_wanted(watch, jobs);
    if (terminal.goes_back && !watch->invocation->values[INVOCATION_JSON])
        fill_terminal(watch, jobs, &terminal);
    else
        write_some_jobs(watch, jobs, UINT_MAX, terminal.columns);
    (void)fflush(stdout);
}

static enum invocation_exit look_once(struct watch *watch)
{
    const struct call call = {.method = "GET", .path = "/v1/jobs"};
    json_t *answer = NULL;
    enum invocation_exit status = call_agent(watch->invocation, &call, &answer);
    if (status == INVOCATION_DONE && !json_is_array(json_object_get(answer, "jobs")))
        status = call_complain_of_lack("jobs");
    if (status == INVOCATION_DONE)
        write_jobs(watch, json_object_get(answer, "jobs"));
    json_decref(answer);
    return status;
}

/* A job that was never there is an error, one that has ended is what was waited for. */
static enum invocation_exit end_of_job(bool was_there, const struct invocation *invocation)
{
    if (!was_there)
        (void)fprintf(stderr, "nova-snapshot: there is no job %s\n", invocation->argument);
    return was_there ? INVOCATION_DONE : INVOCATION_NO_JOB;
}

enum invocation_exit watch_jobs(const struct invocation *invocation)
{
    const char *text = invocation->values[INVOCATION_INTERVAL];
    struct watch watch = {.invocation = invocation};
    int interval_s = 1;
    if (text && !number_read("interval", text, 1, INTERVAL_MAX_S, &interval_s))
        return INVOCATION_USAGE;
    for (bool was_there = false;; was_there = true) {
        enum invocation_exit status = look_once(&watch);
        if (status != INVOCATION_DONE)
            return status;
        if (invocation->argument && watch.n_found == 0)
            return end_of_job(was_there, invocation);
        if (ferror(stdout))
            return INVOCATION_FAILED;
        (void)poll(NULL, 0, interval_s * 1000);
    }
}
