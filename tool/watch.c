/* SPDX-License-Identifier: Apache-2.0 */
/* See watch.h. */
#include "tool/watch.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "tool/call.h"
#include "tool/job.h"
#include "tool/number.h"
#include "tool/terminal.h"

#define INTERVAL_MAX_S 3600

/* An agent that is restarted ends in order and brings guests back first. */
#define AWAY_MAX_MS 30000

struct watch {
    const struct invocation *invocation;
    unsigned n_lines; /* of the last look, on a terminal that goes back over them */
    unsigned n_found;
    bool was_answered;
    uint64_t away_ms; /* since when nobody answers; 0: somebody does */
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

/* Where it goes back each time, elsewhere once. */
static void tell_away(struct watch *watch, uint64_t now_ms)
{
    const struct terminal terminal = terminal_look(STDOUT_FILENO);
    bool is_first = watch->away_ms == now_ms;
    if (!terminal.goes_back || watch->invocation->values[INVOCATION_JSON]) {
        if (is_first)
            (void)fputs("nova-snapshot: no agent answers, looking again\n", stderr);
        return;
    }
    char line[64];
    (void)snprintf(line, sizeof(line), "no agent answers for %u s, looking again",
                   (unsigned)((now_ms - watch->away_ms) / 1000));
    go_back(watch);
    (void)printf("%.*s\n", (int)terminal.columns, line);
    watch->n_lines = 1;
    (void)fflush(stdout);
}

static enum invocation_exit look_once(struct watch *watch, bool asks_again)
{
    const struct call call = {.method = "GET", .path = "/v1/jobs", .asks_again = asks_again};
    json_t *answer = NULL;
    enum invocation_exit status = call_agent(watch->invocation, &call, &answer);
    if (status == INVOCATION_DONE && !json_is_array(json_object_get(answer, "jobs")))
        status = call_complain_of_lack("jobs");
    if (status == INVOCATION_DONE)
        write_jobs(watch, json_object_get(answer, "jobs"));
    json_decref(answer);
    return status;
}

/*
 * An agent that has answered may be restarted meanwhile. Who waits for a job is told at once: its
 * number is another's then, and it may end unseen.
 */
static enum invocation_exit look_patiently(struct watch *watch)
{
    bool is_over = watch->away_ms != 0 && clock_now_ms() - watch->away_ms >= AWAY_MAX_MS;
    bool asks_again = watch->was_answered && !watch->invocation->argument && !is_over;
    enum invocation_exit status = look_once(watch, asks_again);
    if (status != INVOCATION_UNREACHABLE || !asks_again) {
        watch->was_answered = true;
        watch->away_ms = 0;
        return status;
    }
    uint64_t now_ms = clock_now_ms();
    if (watch->away_ms == 0)
        watch->away_ms = now_ms;
    tell_away(watch, now_ms);
    return INVOCATION_DONE;
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
        enum invocation_exit status = look_patiently(&watch);
        if (status != INVOCATION_DONE)
            return status;
        if (invocation->argument && watch.n_found == 0)
            return end_of_job(was_there, invocation);
        if (ferror(stdout))
            return INVOCATION_FAILED;
        (void)poll(NULL, 0, interval_s * 1000);
    }
}
