/* SPDX-License-Identifier: Apache-2.0 */
/* See metric.h. Format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "common/metric.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "common/cleanup.h"

#define PREFIX "nova_snapshot_agent_"
#define LABELS_MAX 2
#define VALUES_MAX 8
#define SERIES_MAX (VALUES_MAX * METRIC_OUTCOMES)
#define BUCKETS_MAX 12

/* The one of the methods that stands for none. */
#define NO_METHOD "none"

struct label {
    const char *name;
    const char *values[VALUES_MAX + 1]; /* NULL-ended */
};

/* As the log names them, but for the last two. */
#define METHODS                                                                                    \
    {                                                                                              \
        "method",                                                                                  \
        {                                                                                          \
            "stream", "blockcopy", "blockrebase", "cold", "direct", "volumes", NO_METHOD           \
        }                                                                                          \
    }

static const struct count {
    const char *name;
    const char *type;
    const char *help;
    struct label labels[LABELS_MAX]; /* the last one counts fastest */
} counts[METRIC_COUNTS] = {
    [METRIC_SNAPSHOTS] = {"snapshots_total",
                          "counter",
                          "Snapshots and backups that have ended, by method and outcome.",
                          {METHODS,
                           {"outcome",
                            {[METRIC_ACTIVE] = "active",
                             [METRIC_FAILED] = "failed",
                             [METRIC_UNWANTED] = "unwanted",
                             [METRIC_INTERRUPTED] = "interrupted",
                             [METRIC_POSTPONED] = "postponed"}}}},
    [METRIC_READ_BYTES] =
        {"read_bytes_total",
         "counter",
         "Bytes of disks and of copies that were read for images made as they are "
         "sent.",
         {{0}}},
    [METRIC_STAGED_BYTES] = {"staged_bytes_total",
                             "counter",
                             "Bytes of copies and images that were written to this host's disk.",
                             {{0}}},
    [METRIC_SENT_BYTES] = {"sent_bytes_total", "counter", "Bytes of images sent to Glance.", {{0}}},
    [METRIC_PUT_BACKS] = {"put_backs_total",
                          "counter",
                          "Requests that were put back for nova-compute.",
                          {{0}}},
    [METRIC_CONNECTIONS] = {"connections_total",
                            "counter",
                            "Connections made; each but the first is a reconnect.",
                            {{"service",
                              {[METRIC_RABBITMQ] = "rabbitmq", [METRIC_LIBVIRT] = "libvirt"}}}},
    [METRIC_JOURNAL_RECORDS] = {"journal_records",
                                "gauge",
                                "Requests in the journal: under way, or left for the next start.",
                                {{0}}},
};

static const struct time {
    const char *name;
    const char *help;
    struct label label;
    double le_s[BUCKETS_MAX]; /* 0-ended */
} times[METRIC_TIMES] = {
    [METRIC_PHASE] = {"phase_seconds",
                      "How long snapshots that have ended were in each phase.",
                      {"phase", {"turn", "slot", "preparation", "copy", "upload", "finish"}},
                      {0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600}},
    [METRIC_FREEZE] = {"freeze_seconds",
                       "How long guests' file systems were frozen.",
                       {0},
                       {0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}},
    [METRIC_PUT_BACK] = {"put_back_seconds",
                         "How long the agent took no requests after it had put some back.",
                         {0},
                         {0.05, 0.1, 0.25, 0.5, 1, 5, 10, 60}},
};

static atomic_int_least64_t counted[METRIC_COUNTS][SERIES_MAX];

static struct {
    atomic_uint_least64_t buckets[BUCKETS_MAX + 1]; /* the last: beyond all of them */
    atomic_uint_least64_t sum_ms;
} observed[METRIC_TIMES][VALUES_MAX];

static unsigned values_of(const struct label *label)
{
    unsigned n = 0;
    while (label->name && label->values[n])
        n++;
    return n;
}

unsigned metric_snapshot(const char *method, enum metric_outcome outcome)
{
    const struct label *methods = &counts[METRIC_SNAPSHOTS].labels[0];
    unsigned i = 0;
    while (strcmp(methods->values[i], NO_METHOD) != 0 &&
           strcmp(methods->values[i], method ? method : NO_METHOD) != 0)
        i++;
    return i * METRIC_OUTCOMES + outcome;
}

void metric_add(enum metric_count count, unsigned series, int64_t n)
{
    atomic_fetch_add_explicit(&counted[count][series], n, memory_order_relaxed);
}

void metric_observe(enum metric_time time, unsigned series, uint64_t ms)
{
    const double *le_s = times[time].le_s;
    unsigned bucket = 0;
    while (le_s[bucket] > 0 && (double)ms / 1000 > le_s[bucket])
        bucket++;
    if (!(le_s[bucket] > 0))
        bucket = BUCKETS_MAX;
    atomic_fetch_add_explicit(&observed[time][series].buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&observed[time][series].sum_ms, ms, memory_order_relaxed);
}

void metric_write_head(FILE *out, const char *name, const char *type, const char *help)
{
    (void)fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

void metric_write_value(FILE *out, const char *name, const char *labels, double value)
{
    (void)fprintf(out, PREFIX "%s%s %.15g\n", name, labels, value);
}

static void write_count(enum metric_count id, FILE *out)
{
    const struct count *count = &counts[id];
    const struct label *first = &count->labels[0], *second = &count->labels[1];
    unsigned n_second = second->name ? values_of(second) : 1;
    unsigned n = (first->name ? values_of(first) : 1) * n_second;
    metric_write_head(out, count->name, count->type, count->help);
    for (unsigned i = 0; i < n; i++) {
        char labels[128] = "";
        if (second->name)
            (void)snprintf(labels, sizeof(labels), "{%s=\"%s\",%s=\"%s\"}", first->name,
                           first->values[i / n_second], second->name, second->values[i % n_second]);
        else if (first->name)
            (void)snprintf(labels, sizeof(labels), "{%s=\"%s\"}", first->name, first->values[i]);
        metric_write_value(out, count->name, labels,
                           (double)atomic_load_explicit(&counted[id][i], memory_order_relaxed));
    }
}

/* One of its series; what is observed meanwhile is in all of its lines or will be. */
static void write_series(enum metric_time id, unsigned series, const char *label, FILE *out)
{
    const struct time *time = &times[id];
    uint64_t sum_ms = atomic_load_explicit(&observed[id][series].sum_ms, memory_order_relaxed);
    const char *comma = label[0] != '\0' ? "," : "";
    uint64_t n = 0;
    for (unsigned i = 0; time->le_s[i] > 0; i++) {
        n += atomic_load_explicit(&observed[id][series].buckets[i], memory_order_relaxed);
        (void)fprintf(out, PREFIX "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", time->name, label,
                      comma, time->le_s[i], n);
    }
    n += atomic_load_explicit(&observed[id][series].buckets[BUCKETS_MAX], memory_order_relaxed);
    (void)fprintf(out, PREFIX "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", time->name, label, comma,
                  n);
    const char *open = label[0] != '\0' ? "{" : "", *close = label[0] != '\0' ? "}" : "";
    (void)fprintf(out, PREFIX "%s_sum%s%s%s %.3f\n", time->name, open, label, close,
                  (double)sum_ms / 1000);
    (void)fprintf(out, PREFIX "%s_count%s%s%s %" PRIu64 "\n", time->name, open, label, close, n);
}

static void write_time(enum metric_time id, FILE *out)
{
    const struct label *label = &times[id].label;
    metric_write_head(out, times[id].name, "histogram", times[id].help);
    if (!label->name)
        write_series(id, 0, "", out);
    for (unsigned i = 0; i < values_of(label); i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%s=\"%s\"", label->name, label->values[i]);
        write_series(id, i, text, out);
    }
}

void metric_write_all(FILE *out)
{
    for (unsigned i = 0; i < METRIC_COUNTS; i++)
        write_count(i, out);
    for (unsigned i = 0; i < METRIC_TIMES; i++)
        write_time(i, out);
}
