/* SPDX-License-Identifier: Apache-2.0 */
/* See clean_look.h. */
#include "agent/clean_look.h"

#include <errno.h>
#include <stdio.h>

#include "agent/journal.h"

int clean_look_check_journal(const struct clean_look *look, const char *text, struct error *err)
{
    bool mentioned = false;
    int r = journal_mentions(look->agent->journal, text, &mentioned, err);
    if (r == 0 && mentioned)
        r = error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                      "the journal knows it: a request that is under way, waits, or was set aside");
    return r;
}

int clean_look_check_nova(const struct clean_look *look, time_t time, unsigned skew_s,
                          struct error *err)
{
    if (clean_processes_is_before(&look->nova, time, skew_s))
        return 0;
    if (look->nova.state == CLEAN_PROCESS_UNKNOWN)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "since when nova-compute runs cannot be seen from here: ProtectProc= of "
                         "the unit, hidepid or a container hides its process");
    if (look->nova.state == CLEAN_PROCESS_NONE)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "it is too young: it dates from %s",
                         clean_look_time(time).text);
    return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                     "nova-compute, which runs since %s, may be at it: it dates from %s",
                     clean_look_time(look->nova.since).text, clean_look_time(time).text);
}

void clean_look_tell_nova(const struct clean_look *look, char *text, size_t size)
{
    if (look->nova.state == CLEAN_PROCESS_RUNS)
        (void)snprintf(text, size, "older than the nova-compute that runs, since %s",
                       clean_look_time(look->nova.since).text);
    else
        (void)snprintf(text, size, "no nova-compute runs");
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
