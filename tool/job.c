/* SPDX-License-Identifier: Apache-2.0 */
/* See job.h. */
#include "tool/job.h"

#include <string.h>

#include "common/json.h"
#include "tool/bar.h"
#include "tool/units.h"

#define LINE_MAX_CHARS 512
#define SHORT_ID 8 /* of a server, where there is little room */

/* Names, in columns of bytes: ASCII, which cannot command a terminal either. */
static void copy_text(const json_t *job, const char *key, char text[static JOB_TEXT_MAX])
{
    const char *value = json_string_member(job, key);
    (void)snprintf(text, JOB_TEXT_MAX, "%s", value ? value : "");
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
            *c = '?';
}

static uint64_t bytes_of(const json_t *progress, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(progress, key));
    return value > 0 ? (uint64_t)value : 0;
}

static void read_progress(const json_t *progress, struct job_view *job)
{
    const json_t *left = json_object_get(progress, "seconds_left");
    job->has_progress = json_is_object(progress);
    job->bytes = bytes_of(progress, "bytes");
    job->total_bytes = bytes_of(progress, "total_bytes");
    job->bytes_per_s = bytes_of(progress, "bytes_per_s");
    uint64_t percent = bytes_of(progress, "percent");
    job->percent = percent < 100 ? (int)percent : 100;
    job->seconds_left = json_is_number(left) ? json_number_value(left) : -1;
}

struct job_view job_read(const json_t *value)
{
    struct job_view job = {
        .phase_seconds = json_number_value(json_object_get(value, "phase_seconds")),
        .seconds = json_number_value(json_object_get(value, "seconds")),
    };
    (void)snprintf(job.id, sizeof(job.id), "%u",
                   (unsigned)json_integer_value(json_object_get(value, "id")));
    copy_text(value, "method", job.method);
    copy_text(value, "request", job.request);
    copy_text(value, "instance", job.instance);
    copy_text(value, "image", job.image);
    copy_text(value, "snapshot_method", job.snapshot_method);
    copy_text(value, "phase", job.phase);
    read_progress(json_object_get(value, "progress"), &job);
    return job;
}

const char *job_how(const struct job_view *job)
{
    return job->snapshot_method[0] != '\0' ? job->snapshot_method : job->method;
}

static void write_row(const json_t *value, FILE *out)
{
    const struct job_view job = job_read(value);
    char percent[8] = "-";
    if (job.has_progress)
        (void)snprintf(percent, sizeof(percent), "%d %%", job.percent);
    (void)fprintf(out, "%-4s %-36s  %-12s %-18s %10s  %6s  %11s  %8s  %8s\n", job.id, job.instance,
                  job.phase, job_how(&job), job.has_progress ? units_bytes(job.bytes).text : "-",
                  percent, job.has_progress ? units_rate(job.bytes_per_s).text : "-",
                  units_time(job.has_progress ? job.seconds_left : -1).text,
                  units_time(job.seconds).text);
}

void job_write_table(const json_t *jobs, FILE *out)
{
    size_t i;
    const json_t *job;
    if (json_array_size(jobs) == 0) {
        (void)fputs("no requests are under way\n", out);
        return;
    }
    (void)fprintf(out, "%-4s %-36s  %-12s %-18s %10s  %6s  %11s  %8s  %8s\n", "ID", "SERVER",
                  "PHASE", "HOW", "BYTES", "DONE", "RATE", "LEFT", "AGE");
    json_array_foreach (jobs, i, job)
        write_row(job, out);
}

static void write_fact(const char *name, const char *value, FILE *out)
{
    if (value[0] != '\0')
        (void)fprintf(out, "%-9s%s\n", name, value);
}

void job_write_one(const json_t *value, FILE *out)
{
    const struct job_view job = job_read(value);
    write_fact("job", job.id, out);
    write_fact("request", job.request, out);
    write_fact("what", job.method, out);
    write_fact("server", job.instance, out);
    write_fact("image", job.image, out);
    write_fact("how", job.snapshot_method, out);
    (void)fprintf(out, "%-9s%s for %s, %s in all\n", "phase", job.phase,
                  units_time(job.phase_seconds).text, units_time(job.seconds).text);
    if (job.has_progress)
        (void)fprintf(out, "%-9s%s of %s, %d %%, %s, %s left\n", "done",
                      units_bytes(job.bytes).text, units_bytes(job.total_bytes).text, job.percent,
                      units_rate(job.bytes_per_s).text, units_time(job.seconds_left).text);
    (void)job_write_limits(value, out); /* an agent of before has none */
}

bool job_write_limits(const json_t *job, FILE *out)
{
    const json_t *limits = json_object_get(job, "limits");
    const json_t *disk = json_object_get(limits, "disk_rate_limit");
    json_int_t upload_mib = json_integer_value(json_object_get(limits, "upload_rate_limit"));
    if (!limits)
        return false;
    (void)fprintf(out, "%-9sdisk %s, upload %s\n", "limits",
                  json_is_integer(disk) ? units_limit(json_integer_value(disk)).text
                                        : "not read yet",
                  units_limit(upload_mib).text);
    return true;
}

void job_write_bar(const json_t *value, unsigned columns, FILE *out)
{
    const struct job_view job = job_read(value);
    char before[LINE_MAX_CHARS], behind[LINE_MAX_CHARS];
    (void)snprintf(before, sizeof(before), "%-3s %.*s %-11s", job.id, SHORT_ID, job.instance,
                   job.phase);
    if (!job.has_progress) {
        char line[2 * LINE_MAX_CHARS];
        (void)snprintf(line, sizeof(line), "%s %s, %s", before, job_how(&job),
                       units_time(job.seconds).text);
        (void)fprintf(out, "%.*s\n", (int)columns, line);
        return;
    }
    (void)snprintf(behind, sizeof(behind), "%3d %%  %s  %s  %s left", job.percent,
                   units_bytes(job.bytes).text, units_rate(job.bytes_per_s).text,
                   units_time(job.seconds_left).text);
    bar_write(&(const struct bar){before, behind, (unsigned)job.percent}, columns, out);
    (void)fputc('\n', out);
}
