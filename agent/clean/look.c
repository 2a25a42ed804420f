/* SPDX-License-Identifier: Apache-2.0 */
/* See look.h. */
#include "agent/clean/look.h"

#include <errno.h>
#include <inttypes.h>

#include "agent/journal.h"
#include "common/clock.h"

#define CLOCK_SLACK_S 3

int clean_look_check_journal(const struct clean_look *look, const char *text, struct error *err)
{
    bool mentioned = false;
    int r = journal_mentions(look->agent->journal, text, &mentioned, err);
    if (r == 0 && mentioned)
        r = error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                      "the journal knows it: a request that is under way, waits, or was set aside");
    return r;
}

int clean_look_take_turn(const struct clean_look *look, const char *instance_uuid,
                         struct instance_turn **ret_turn, struct error *err)
{
    struct instance_turn *turn = NULL;
    struct error failure = ERROR_INIT;
    int r = instance_queue_join(look->agent->instance_queue, instance_uuid, &turn, &failure);
    if (r == 0)
        r = instance_turn_await(turn, clock_now_ms(), &failure);
    if (r == 0) {
        *ret_turn = turn;
        return 0;
    }
    instance_turn_free(turn);
    if (r == -ETIMEDOUT)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "a request on the server is under way");
    *err = failure;
    return r;
}

struct clean_clock clean_look_clock(void)
{
    return (struct clean_clock){time(NULL), clock_now_ms()};
}

/* By more than a leap second and what is rounded off. */
static bool is_set_since(const struct clean_clock *before)
{
    struct clean_clock now = clean_look_clock();
    int64_t passed_s = (int64_t)(now.now_ms - before->now_ms) / 1000;
    return imaxabs((intmax_t)(now.files - before->files) - passed_s) > CLOCK_SLACK_S;
}

int clean_look_check_nova(const struct clean_look *look, time_t made, struct error *err)
{
    const struct clean_process *nova = &look->nova;
    if (!nova->seen)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "no nova-compute is seen that would have begun later: it does not run, or "
                         "ProtectProc= of the unit, hidepid or a container hides processes");
    if (made + CLOCK_SLACK_S >= nova->since)
        return error_set(
            err, EBUSY, EXC_INTERNAL_ERROR,
            "nova-compute (pid %d), which runs since %s, may be at it: it dates from %s",
            (int)nova->pid, clean_look_time(nova->since).text, clean_look_time(made).text);
    if (nova->since_ms <= look->begun.now_ms)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "nova-compute (pid %d) began before this agent, and the clock may have "
                         "been set between: restart nova-compute, and look again",
                         (int)nova->pid);
    if (is_set_since(&look->begun))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "the clock was set while this agent ran: restart it, then nova-compute, "
                         "and look again");
    return 0;
}

struct clean_time clean_look_time(time_t time)
{
    struct clean_time result;
    struct tm tm;
    if (!gmtime_r(&time, &tm) ||
        strftime(result.text, sizeof(result.text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        result.text[0] = '\0';
    return result;
}
