/* SPDX-License-Identifier: Apache-2.0 */
/* agent/summary.c: the one line that tells what a snapshot came to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/summary.h"
#include "common/clock.h"

static void tells_all_there_is(void **state)
{
    (void)state;
    char text[1024];
    const struct summary summary = {
        .method = "blockcopy",
        .wanted_method = "stream",
        .method_reason = "the guest has an iothread",
        .quiesce = SUMMARY_QUIESCE_YES,
        .image_bytes = (uint64_t)3 << 30,
        .spent_ms = {[SUMMARY_TURN] = 1500,
                     [SUMMARY_PREPARE] = 240,
                     [SUMMARY_COPY] = 61000,
                     [SUMMARY_UPLOAD] = 6000,
                     [SUMMARY_FINISH] = 100},
    };
    summary_write(&summary, "4711", "is active", text, sizeof(text));
    assert_string_equal(text, "Snapshot image 4711 is active; by blockcopy, not stream: the guest "
                              "has an iothread; quiesced; 3221225472 bytes at 512.0 MiB/s; turn "
                              "1.5 s, preparation 0.2 s, copy 61.0 s, upload 6.0 s, finish 0.1 s");
}

static void leaves_out_what_is_not_known(void **state)
{
    (void)state;
    char text[1024];
    struct summary summary = {.method_reason = "", .quiesce_reason = ""};
    summary_write(&summary, "4711", "failed: ImageNotFound", text, sizeof(text));
    assert_string_equal(text, "Snapshot image 4711 failed: ImageNotFound");
    summary.method = "cold";
    summary.quiesce = SUMMARY_QUIESCE_NO;
    summary.image_bytes = 7; /* that have not been sent */
    summary_write(&summary, "4711", "failed", text, sizeof(text));
    assert_string_equal(text, "Snapshot image 4711 failed; by cold; not quiesced; 7 bytes");
    summary.quiesce_reason = "the guest does not run";
    summary_write(&summary, "4711", "failed", text, sizeof(text));
    assert_string_equal(text, "Snapshot image 4711 failed; by cold; not quiesced: the guest does "
                              "not run; 7 bytes");
    summary = (struct summary){.method = "direct", .quiesce = SUMMARY_QUIESCE_ASKED};
    summary_write(&summary, "4711", "is active", text, sizeof(text));
    assert_string_equal(text, "Snapshot image 4711 is active; by direct; quiescing was asked for");
}

static void a_line_that_is_too_long_is_cut(void **state)
{
    (void)state;
    char text[20];
    const struct summary summary = {.method = "stream"};
    summary_write(&summary, "4711", "is active", text, sizeof(text));
    assert_string_equal(text, "Snapshot image 4711");
}

static void each_phase_has_its_time(void **state)
{
    (void)state;
    struct summary summary = {.since_ms = 0};
    summary_enter(&summary, SUMMARY_SLOT);
    assert_true(summary.since_ms > 0);
    summary.since_ms -= 1000; /* later */
    summary_enter(&summary, SUMMARY_COPY);
    summary_enter(&summary, SUMMARY_SLOT);
    summary.since_ms -= 2000;
    summary_enter(&summary, SUMMARY_FINISH);
    assert_int_equal(summary.spent_ms[SUMMARY_TURN], 0);
    assert_in_range(summary.spent_ms[SUMMARY_SLOT], 3000, 10000);
    assert_in_range(summary.spent_ms[SUMMARY_COPY], 0, 5000);
    assert_string_equal(summary_phase_name(summary.phase), "finish");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_all_there_is),
        cmocka_unit_test(leaves_out_what_is_not_known),
        cmocka_unit_test(a_line_that_is_too_long_is_cut),
        cmocka_unit_test(each_phase_has_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
