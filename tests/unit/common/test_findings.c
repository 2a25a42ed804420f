/* SPDX-License-Identifier: Apache-2.0 */
/* common/findings.c: what a report says to programs, and to people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/findings.h"

static void assert_status(const json_t *report, const char *status, int code)
{
    assert_string_equal(json_string_value(json_object_get(report, "status")), status);
    assert_int_equal(findings_exit(report), code);
}

static void the_worst_counts(void **state)
{
    (void)state;
    json_t *report = findings_new("cmp1", "0.1.0", NULL);
    assert_status(report, "ok", 0);
    findings_add(report, "Glance", FINDINGS_OK, "answers", "nothing is to be done");
    assert_status(report, "ok", 0);
    findings_add(report, "room", FINDINGS_WARN, "is scarce", "make room");
    assert_status(report, "warn", 0);
    findings_add(report, "Cinder", FINDINGS_FAIL, "does not answer", NULL);
    findings_add(report, "Keystone", FINDINGS_OK, "answers", NULL);
    assert_status(report, "fail", FINDINGS_EXIT_FAIL);
    char *text = json_dumps(report, JSON_COMPACT);
    assert_string_equal(
        text, "{\"host\":\"cmp1\",\"version\":\"0.1.0\",\"instance\":null,\"status\":\"fail\","
              "\"findings\":[{\"check\":\"Glance\",\"status\":\"ok\",\"text\":\"answers\","
              "\"remedy\":null},{\"check\":\"room\",\"status\":\"warn\",\"text\":\"is scarce\","
              "\"remedy\":\"make room\"},{\"check\":\"Cinder\",\"status\":\"fail\",\"text\":"
              "\"does not answer\",\"remedy\":null},{\"check\":\"Keystone\",\"status\":\"ok\","
              "\"text\":\"answers\",\"remedy\":null}]}");
    free(text);
    json_decref(report);
}

static void people_read_lines(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    json_t *report = findings_new("cmp1", "0.1.0", "instance-0000001a");
    findings_add(report, "room", FINDINGS_WARN, "is scarce\nin \xff", "make room");
    findings_add(report, "Cinder", FINDINGS_OK, "answers", NULL);
    findings_write(report, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "warn  room                           is scarce"));
    assert_non_null(strstr(text, "\n                                     -> make room\n"
                                 "ok    Cinder                         answers\n"));
    assert_null(strchr(text, '\xff')); /* what no JSON could hold */
    free(text);
    json_decref(report);
}

/* Of an agent that says something else, or nothing. */
static void what_cannot_be_read_is_not_well(void **state)
{
    (void)state;
    json_t *report = json_object();
    assert_int_equal(findings_exit(report), FINDINGS_EXIT_FAIL);
    (void)json_object_set_new(report, "status", json_string("excellent"));
    assert_int_equal(findings_exit(report), FINDINGS_EXIT_FAIL);
    (void)json_object_set_new(report, "findings", json_pack("[n, {s:i}, s]", "check", 1, "x"));
    FILE *out = tmpfile();
    findings_write(report, out);
    (void)fclose(out);
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_counts),
        cmocka_unit_test(people_read_lines),
        cmocka_unit_test(what_cannot_be_read_is_not_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
