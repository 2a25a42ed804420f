/* SPDX-License-Identifier: Apache-2.0 */
/* tool/job.c, tool/units.c: what people read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tool/job.h"
#include "tool/units.h"

static void numbers_have_units(void **state)
{
    (void)state;
    assert_string_equal(units_bytes(0).text, "0 B");
    assert_string_equal(units_bytes(1023).text, "1023 B");
    assert_string_equal(units_bytes(1024).text, "1.0 KiB");
    assert_string_equal(units_bytes((1 << 20) - 1).text, "1.0 MiB");
    assert_string_equal(units_bytes(UINT64_C(3) << 29).text, "1.5 GiB");
    assert_string_equal(units_bytes(UINT64_MAX).text, "16777216.0 TiB");
    assert_string_equal(units_rate(1536).text, "1.5 KiB/s");
    assert_string_equal(units_limit(0).text, "none");
    assert_string_equal(units_limit(50).text, "50 MiB/s");
    assert_string_equal(units_time(0).text, "0 s");
    assert_string_equal(units_time(59.9).text, "59 s");
    assert_string_equal(units_time(61).text, "1:01");
    assert_string_equal(units_time(7325).text, "2:02:05");
    assert_string_equal(units_time(-1).text, "-");
    assert_string_equal(units_time(1e12).text, "-");
}

/* Owned by the test until the next one. */
static const char *bar(const char *json, unsigned columns)
{
    static char text[2048];
    json_t *job = json_loads(json, 0, NULL);
    assert_non_null(job);
    FILE *out = fmemopen(text, sizeof(text), "w");
    job_write_bar(job, columns, out);
    (void)fclose(out);
    json_decref(job);
    return text;
}

#define UPLOAD(percent)                                                                            \
    "{\"id\":1,\"instance\":\"2e0af6cc-8dab\",\"phase\":\"upload\",\"progress\":{\"bytes\":1,"     \
    "\"total_bytes\":4,\"bytes_per_s\":1,\"seconds_left\":null,\"percent\":" percent "}}"

static void a_bar_fits_the_terminal(void **state)
{
    (void)state;
    const char *line = bar(UPLOAD("50"), 80);
    assert_int_equal(strlen(line), 80 + 1); /* with its end */
    const char *half = strchr(line, '[');
    assert_non_null(half);
    size_t full = strspn(half + 1, "#"), empty = strspn(half + 1 + full, ".");
    assert_in_range(empty - full, 0, 1);
    assert_non_null(strstr(line, "- left\n"));
    assert_null(strchr(bar(UPLOAD("0"), 80), '#'));
    assert_null(strstr(bar(UPLOAD("100"), 80), ".."));
    assert_null(strstr(bar(UPLOAD("7000"), 80), ".."));
    assert_non_null(strstr(bar(UPLOAD("50"), 60), "[#####.....]"));
    assert_int_equal(strlen(bar(UPLOAD("50"), 60)), 60 + 1);
    assert_int_equal(strlen(bar(UPLOAD("50"), 20)), 20 + 1); /* and is cut there */
    assert_non_null(strstr(bar(UPLOAD("50"), 100000), "####"));
}

static void without_bytes_there_is_no_bar(void **state)
{
    (void)state;
    assert_string_equal(
        bar("{\"id\":2,\"instance\":\"2e0af6cc-8dab\",\"phase\":\"slot\",\"method\":"
            "\"snapshot_instance\",\"seconds\":7,\"progress\":null}",
            80),
        "2   2e0af6cc slot        snapshot_instance, 7 s\n");
    assert_string_equal(bar("{\"id\":2,\"instance\":\"2e0af6cc-8dab\",\"phase\":\"slot\"}", 16),
                        "2   2e0af6cc slo\n");
}

/* What tenants can write comes here too. */
static void nothing_commands_the_terminal(void **state)
{
    (void)state;
    char text[2048] = "";
    json_t *job = json_loads("{\"id\":-7,\"request\":\"req-\\u001b[2J\\n\xc3\xa4\",\"method\":17,"
                             "\"instance\":null,\"phase\":\"x\"}",
                             0, NULL);
    assert_non_null(job);
    const struct job_view view = job_read(job);
    assert_string_equal(view.request, "req-?[2J???");
    FILE *out = fmemopen(text, sizeof(text), "w");
    job_write_one(job, out);
    (void)fclose(out);
    assert_null(strchr(text, '\033'));
    json_decref(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_units),
        cmocka_unit_test(a_bar_fits_the_terminal),
        cmocka_unit_test(without_bytes_there_is_no_bar),
        cmocka_unit_test(nothing_commands_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
