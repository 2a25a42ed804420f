/* SPDX-License-Identifier: Apache-2.0 */
/* common/metric.c: counters, histograms and how they are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/metric.h"

#define P "nova_snapshot_agent_"

static char *text;

static const char *written(void)
{
    size_t size = 0;
    free(text);
    text = NULL;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    metric_write_all(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* A whole line. */
static void assert_line(const char *line)
{
    char wanted[256];
    (void)snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    if (!strstr(written(), wanted))
        fail_msg("'%s' is not in:\n%s", line, text);
}

static void all_series_are_there_from_the_start(void **state)
{
    (void)state;
    static const char *const methods[] = {"stream", "blockcopy", "blockrebase", "cold",
                                          "direct", "volumes",   "none"};
    static const char *const outcomes[] = {"active", "failed", "unwanted", "interrupted",
                                           "postponed"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        for (size_t j = 0; j < sizeof(outcomes) / sizeof(outcomes[0]); j++) {
            char line[128];
            (void)snprintf(line, sizeof(line), P "snapshots_total{method=\"%s\",outcome=\"%s\"} 0",
                           methods[i], outcomes[j]);
            assert_line(line);
        }
    assert_line("# TYPE " P "snapshots_total counter");
    assert_line(P "sent_bytes_total 0");
    assert_line(P "connections_total{service=\"libvirt\"} 0");
    assert_line(P "phase_seconds_count{phase=\"finish\"} 0");
    assert_line(P "freeze_seconds_sum 0.000");
}

static void each_series_counts_its_own(void **state)
{
    (void)state;
    metric_add(METRIC_SNAPSHOTS, metric_snapshot("cold", METRIC_FAILED), 1);
    metric_add(METRIC_SNAPSHOTS, metric_snapshot("cold", METRIC_FAILED), 1);
    metric_add(METRIC_SNAPSHOTS, metric_snapshot(NULL, METRIC_UNWANTED), 1);
    metric_add(METRIC_SNAPSHOTS, metric_snapshot("of a later version", METRIC_UNWANTED), 1);
    metric_add(METRIC_CONNECTIONS, METRIC_LIBVIRT, 3);
    metric_add(METRIC_SENT_BYTES, 0, (int64_t)1 << 42);
    metric_add(METRIC_JOURNAL_RECORDS, 0, 2);
    metric_add(METRIC_JOURNAL_RECORDS, 0, -1);
    assert_line(P "snapshots_total{method=\"cold\",outcome=\"failed\"} 2");
    assert_line(P "snapshots_total{method=\"cold\",outcome=\"active\"} 0");
    assert_line(P "snapshots_total{method=\"none\",outcome=\"unwanted\"} 2");
    assert_line(P "connections_total{service=\"libvirt\"} 3");
    assert_line(P "connections_total{service=\"rabbitmq\"} 0");
    assert_line(P "sent_bytes_total 4398046511104");
    assert_line("# TYPE " P "journal_records gauge");
    assert_line(P "journal_records 1");
}

/* A bucket holds all that is below it, the bound included. */
static void times_are_in_buckets(void **state)
{
    (void)state;
    metric_observe(METRIC_PHASE, 4, 500);
    metric_observe(METRIC_PHASE, 4, 501);
    metric_observe(METRIC_PHASE, 4, 7200000);
    metric_observe(METRIC_FREEZE, 0, 70000);
    assert_line("# TYPE " P "phase_seconds histogram");
    assert_line(P "phase_seconds_bucket{phase=\"upload\",le=\"0.1\"} 0");
    assert_line(P "phase_seconds_bucket{phase=\"upload\",le=\"0.5\"} 1");
    assert_line(P "phase_seconds_bucket{phase=\"upload\",le=\"1\"} 2");
    assert_line(P "phase_seconds_bucket{phase=\"upload\",le=\"3600\"} 2");
    assert_line(P "phase_seconds_bucket{phase=\"upload\",le=\"+Inf\"} 3");
    assert_line(P "phase_seconds_sum{phase=\"upload\"} 7201.001");
    assert_line(P "phase_seconds_count{phase=\"upload\"} 3");
    assert_line(P "phase_seconds_count{phase=\"copy\"} 0");
    assert_line(P "freeze_seconds_bucket{le=\"60\"} 0");
    assert_line(P "freeze_seconds_bucket{le=\"+Inf\"} 1");
    assert_line(P "freeze_seconds_count 1");
}

static int forget_text(void **state)
{
    (void)state;
    free(text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_series_are_there_from_the_start),
        cmocka_unit_test(each_series_counts_its_own),
        cmocka_unit_test(times_are_in_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, forget_text);
}
