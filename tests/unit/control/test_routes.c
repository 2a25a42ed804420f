/* SPDX-License-Identifier: Apache-2.0 */
/* control/routes.c: who answers which request, and how. */
#include "control/routes.h"

#include "ops.h"

static int set_up(void **state)
{
    (void)state;
    memset(&asked, 0, sizeof(asked));
    return 0;
}

/* "<status> <text>"; kept until the next one. */
static const char *answer(const char *method, const char *path, const char *body)
{
    static char text[1024];
    const struct routes_request request = {
        .method = method, .path = path, .body = body, .body_bytes = strlen(body)};
    struct routes_answer answer = routes_answer(&ops, NULL, &request);
    (void)snprintf(text, sizeof(text), "%u %s", answer.status, answer.text ? answer.text : "-");
    routes_answer_done(&answer);
    return text;
}

static void what_is_asked_is_answered(void **state)
{
    (void)state;
    asked.healthy = true;
    assert_string_equal(answer("GET", "/healthz", ""), "200 {\"healthy\":true}");
    assert_string_equal(answer("GET", "/v1/status", ""), "200 {\"host\":\"cmp1\"}");
    assert_string_equal(answer("GET", "/v1/jobs", ""), "200 {\"jobs\":[{\"id\":7}]}");
    assert_string_equal(answer("GET", "/v1/jobs/7", ""), "200 {\"id\":7}");
    assert_string_equal(answer("GET", "/metrics", ""), "200 a_metric 1\n");
    assert_string_equal(answer("GET", "/v1/doctor", ""), "200 {\"status\":\"ok\"}");
    assert_string_equal(asked.story, "doctor -");
    (void)answer("GET", "/v1/doctor/instance-0000001a", "");
    assert_string_equal(asked.story, "doctor instance-0000001a");
    asked.errnum = EBUSY; /* one look at a time */
    assert_memory_equal(answer("GET", "/v1/doctor", ""), "409 ", 4);
    asked.errnum = 0;
    asked.healthy = false;
    assert_string_equal(answer("GET", "/healthz", ""), "503 {\"healthy\":false}");
    asked.no_memory = true;
    assert_string_equal(answer("GET", "/healthz", ""), "503 -");
}

static void what_there_is_not_is_told(void **state)
{
    (void)state;
    assert_non_null(strstr(answer("GET", "/v1/jobs/8", ""),
                           "404 {\"error\":{\"code\":404,\"message\":\"there is no such job\"}}"));
    static const char *const paths[] = {
        "/",           "/v1",        "/v1/",        "/v1/jobs/", "/v1/drai",
        "/v1/drain/x", "/v2/status", "//v1/status", "/healthz/", ""};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_memory_equal(answer("GET", paths[i], ""), "404 ", 4);
    assert_memory_equal(answer("POST", "/v1/status", ""), "405 ", 4);
    assert_memory_equal(answer("GET", "/v1/drain", ""), "405 ", 4);
    assert_memory_equal(answer("PUT", "/v1/jobs/7", ""), "405 ", 4);
    assert_string_equal(asked.story, "");
}

static void what_is_to_be_done_is_done(void **state)
{
    (void)state;
    assert_string_equal(answer("DELETE", "/v1/jobs/7", ""), "202 {\"cancelled\":\"7\"}");
    assert_string_equal(asked.story, "cancel 7");
    assert_string_equal(answer("POST", "/v1/drain", ""), "202 {\"drained\":true}");
    assert_string_equal(asked.story, "drain 1");
    assert_string_equal(answer("POST", "/v1/resume", ""), "202 {\"drained\":false}");
    assert_string_equal(asked.story, "drain 0");
}

static void a_clean_removes_only_when_it_is_told_to(void **state)
{
    (void)state;
    assert_string_equal(answer("POST", "/v1/clean", ""), "202 {\"run\":4}");
    assert_string_equal(asked.story, "clean 0");
    (void)answer("POST", "/v1/clean", "{\"apply\": true}");
    assert_string_equal(asked.story, "clean 1");
    static const char *const others[] = {"{}", "{\"apply\": false}", "{\"apply\": \"yes\"}"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        (void)answer("POST", "/v1/clean", others[i]);
        assert_string_equal(asked.story, "clean 0");
    }
    asked.story[0] = '\0';
    assert_memory_equal(answer("POST", "/v1/clean", "apply"), "400 ", 4);
    assert_string_equal(answer("GET", "/v1/clean", ""), "200 {\"run\":4}");
    assert_string_equal(asked.story, "");
    asked.errnum = EBUSY;
    assert_memory_equal(answer("POST", "/v1/clean", ""), "409 ", 4);
}

static void a_failure_has_its_status(void **state)
{
    (void)state;
    static const struct {
        int errnum;
        const char *status;
    } cases[] = {{EINVAL, "400 "}, {ENOENT, "404 "}, {EBUSY, "409 "}, {ENOMEM, "500 "}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        asked.errnum = cases[i].errnum;
        assert_memory_equal(answer("DELETE", "/v1/jobs/7", ""), cases[i].status, 4);
        assert_memory_equal(answer("POST", "/v1/drain", ""), cases[i].status, 4);
        assert_memory_equal(answer("PUT", "/v1/throttle", "{}"), cases[i].status, 4);
    }
    assert_non_null(strstr(answer("POST", "/v1/drain", ""), "\"message\":\"it is told to fail\""));
}

static void only_what_is_given_is_changed(void **state)
{
    (void)state;
    assert_string_equal(answer("PUT", "/v1/throttle", "{\"disk_rate_limit\": 30}"),
                        "200 {\"host\":\"cmp1\"}");
    assert_string_equal(asked.story, "rates 30 -1 -1 -1");
    (void)answer("PUT", "/v1/throttle",
                 "{\"disk_rate_limit_host\": 1, \"upload_rate_limit\": 0, "
                 "\"upload_rate_limit_host\": 1048576}");
    assert_string_equal(asked.story, "rates -1 1 0 1048576");
    (void)answer("PUT", "/v1/throttle", "{\"job\": \"3 \", \"upload_rate_limit\": 5}");
    assert_string_equal(asked.story, "rates 3 -1 -1 5 -1");
    (void)answer("PUT", "/v1/throttle",
                 "{\"job\": \"3 \", \"upload_rate_limit\": 1, \"disk_rate_limit\": 2}");
    assert_string_equal(asked.story, "rates 3 2 -1 1 -1");
    (void)answer("PUT", "/v1/log-level", "{\"level\": \"debug\"}");
    assert_string_equal(asked.story, "log debug -");
    (void)answer("PUT", "/v1/log-level", "{\"modules\": [\"driver\", \"amqp\"]}");
    assert_string_equal(asked.story, "log - driver");
    (void)answer("PUT", "/v1/log-level", "{\"level\": \"info\", \"modules\": []}");
    assert_string_equal(asked.story, "log info all");
}

static void what_makes_no_sense_changes_nothing(void **state)
{
    (void)state;
    static const char hosts_of_a_job[] =
        "{\"job\": \"3\", \"upload_rate_limit\": 1, \"disk_rate_limit_host\": 1}";
    static const char *const throttles[] = {"",
                                            "{",
                                            "[]",
                                            "7",
                                            "{\"disk_rate_limit\": -1}",
                                            "{\"disk_rate_limit\": 1048577}",
                                            "{\"disk_rate_limit\": 1.5}",
                                            "{\"disk_rate_limit\": \"1\"}",
                                            "{\"disk_rate_limit\": null}",
                                            "{\"upload_rate_limit\": 1, \"rate\": 1}",
                                            "{\"job\": \"3\"}",
                                            "{\"job\": 3, \"upload_rate_limit\": 1}",
                                            "{\"job\": \"3\", \"upload_rate_limit_host\": 1}",
                                            hosts_of_a_job};
    static const char *const levels[] = {"",
                                         "{}",
                                         "[]",
                                         "{\"level\": 1}",
                                         "{\"modules\": \"amqp\"}",
                                         "{\"modules\": [1]}",
                                         "{\"level\": \"info\", \"modules\": {}}"};
    for (size_t i = 0; i < sizeof(throttles) / sizeof(throttles[0]); i++)
        assert_memory_equal(answer("PUT", "/v1/throttle", throttles[i]), "400 ", 4);
    assert_non_null(
        strstr(answer("PUT", "/v1/throttle", hosts_of_a_job), "and no limit of the host"));
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        assert_memory_equal(answer("PUT", "/v1/log-level", levels[i]), "400 ", 4);
    assert_string_equal(asked.story, "");
}

static void many_modules_are_refused(void **state)
{
    (void)state;
    char body[1024] = "{\"modules\": [\"a\"";
    for (int i = 0; i < 40; i++)
        (void)strncat(body, ", \"a\"", sizeof(body) - strlen(body) - 1);
    (void)strncat(body, "]}", sizeof(body) - strlen(body) - 1);
    assert_memory_equal(answer("PUT", "/v1/log-level", body), "400 ", 4);
    assert_string_equal(asked.story, "");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(what_is_asked_is_answered),     TEST(what_there_is_not_is_told),
        TEST(what_is_to_be_done_is_done),    TEST(a_failure_has_its_status),
        TEST(only_what_is_given_is_changed), TEST(what_makes_no_sense_changes_nothing),
        TEST(many_modules_are_refused),      TEST(a_clean_removes_only_when_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
