/* SPDX-License-Identifier: Apache-2.0 */
/* See summary.h. */
#include "agent/summary.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/clock.h"

#define MIB (1024.0 * 1024.0)

const char *summary_phase_name(enum summary_phase phase)
{
    static const char *const names[SUMMARY_PHASE_MAX] = {
        [SUMMARY_TURN] = "turn", [SUMMARY_SLOT] = "slot",     [SUMMARY_PREPARE] = "preparation",
        [SUMMARY_COPY] = "copy", [SUMMARY_UPLOAD] = "upload", [SUMMARY_FINISH] = "finish",
    };
    return names[phase];
}

void summary_enter(struct summary *summary, enum summary_phase phase)
{
    uint64_t now_ms = clock_now_ms();
    if (summary->since_ms != 0)
        summary->spent_ms[summary->phase] += now_ms - summary->since_ms;
    summary->phase = phase;
    summary->since_ms = now_ms;
}

static bool is_told(const char *reason)
{
    return reason && reason[0] != '\0';
}

static void write_method(const struct summary *summary, FILE *out)
{
    if (!summary->method)
        return;
    (void)fprintf(out, "; by %s", summary->method);
    if (is_told(summary->method_reason))
        (void)fprintf(out, ", not %s: %s", summary->wanted_method, summary->method_reason);
}

static void write_quiesce(const struct summary *summary, FILE *out)
{
    switch (summary->quiesce) {
    case SUMMARY_QUIESCE_NONE:
        return;
    case SUMMARY_QUIESCE_YES:
        (void)fputs("; quiesced", out);
        return;
    case SUMMARY_QUIESCE_ASKED:
        (void)fputs("; quiescing was asked for", out);
        return;
    case SUMMARY_QUIESCE_NO:
        (void)fputs("; not quiesced", out);
        if (is_told(summary->quiesce_reason))
            (void)fprintf(out, ": %s", summary->quiesce_reason);
        return;
    }
}

static void write_phases(const struct summary *summary, FILE *out)
{
    const char *before = "; ";
    for (unsigned i = 0; i < SUMMARY_PHASE_MAX; i++) {
        if (summary->spent_ms[i] == 0)
            continue;
        (void)fprintf(out, "%s%s %.1f s", before, summary_phase_name(i),
                      (double)summary->spent_ms[i] / 1000);
        before = ", ";
    }
}

static void write_bytes(const struct summary *summary, FILE *out)
{
    uint64_t upload_ms = summary->spent_ms[SUMMARY_UPLOAD];
    if (summary->image_bytes == 0)
        return;
    (void)fprintf(out, "; %" PRIu64 " bytes", summary->image_bytes);
    if (upload_ms > 0)
        (void)fprintf(out, " at %.1f MiB/s",
                      (double)summary->image_bytes / MIB * 1000 / (double)upload_ms);
}

void summary_write(const struct summary *summary, const char *image_id, const char *outcome,
                   char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");
    text[0] = '\0';
    if (!out)
        return;
    (void)fprintf(out, "Snapshot image %s %s", image_id, outcome);
    write_method(summary, out);
    write_quiesce(summary, out);
    write_bytes(summary, out);
    write_phases(summary, out);
    (void)fclose(out);
    text[size - 1] = '\0';
}
