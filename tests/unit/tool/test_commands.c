/* SPDX-License-Identifier: Apache-2.0 */
/* The commands, from the command line to what is printed and the exit status. */
#include "common/findings.h"
#include "common/log.h"
#include "scripted_agent.h"
#include "tool/command_doc.h"
#include "tool/command_line.h"

#define STATUS                                                                                     \
    "{\"version\":\"0.1.0\",\"host\":\"cmp1\",\"attach\":\"shared\",\"state\":\"attached\","       \
    "\"drained\":true,\"fit\":false,\"trouble\":\"no room\",\"nova_compute_version\":66,"          \
    "\"live_snapshot_method\":\"stream\",\"log_level\":\"info\",\"slots\":{\"snapshots\":"         \
    "{\"limit\":5,\"taken\":1,\"waiting\":2},\"disk_operations\":{\"limit\":0,\"taken\":1,"        \
    "\"waiting\":0}},\"running\":0,\"waiting_for_turn\":0,\"frozen_guests\":0,\"limits\":"         \
    "{\"disk_rate_limit\":50,\"disk_rate_limit_host\":0,\"upload_rate_limit\":0,"                  \
    "\"upload_rate_limit_host\":7}}"
#define JOB                                                                                        \
    "{\"id\":3,\"method\":\"snapshot_instance\",\"request\":\"req-1\",\"instance\":"               \
    "\"2e0af6cc-8dab-4d5d-b039-8bb41cec430e\",\"image\":\"e5a20dc3-b3eb-4dcf-b1be-b0cc75cf15ed\"," \
    "\"snapshot_method\":\"stream\",\"phase\":\"upload\",\"phase_seconds\":12.5,\"seconds\":75.1," \
    "\"progress\":{\"bytes\":1073741824,\"total_bytes\":4294967296,\"percent\":25,"                \
    "\"bytes_per_s\":104857600,\"seconds_left\":31}}"
#define REFUSED "{\"error\":{\"code\":409,\"message\":\"it cannot be cancelled\"}}"
#define UNKNOWN "{\"error\":{\"code\":404,\"message\":\"there is no such job\"}}"

static char printed[16384], complained[4096];

static void read_back(FILE *file, int saved, int fd, char *text, size_t size)
{
    (void)fflush(fd == STDOUT_FILENO ? stdout : stderr);
    assert_true(dup2(saved, fd) >= 0);
    (void)close(saved);
    assert_true(fseek(file, 0, SEEK_SET) == 0);
    size_t n = fread(text, 1, size - 1, file);
    text[n] = '\0';
    (void)fclose(file);
}

/* Runs "nova-snapshot <words>"; what it prints is in `printed` and `complained`. */
static int run(const char *words)
{
    char text[256], *argv[16] = {NULL};
    int argc = 0;
    struct invocation invocation;
    enum invocation_exit status = INVOCATION_DONE;
    FILE *out = tmpfile(), *err = tmpfile();
    int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO);
    (void)snprintf(text, sizeof(text), "nova-snapshot %s", words);
    for (char *word = text; *word != '\0';) {
        argv[argc++] = word;
        word += strcspn(word, " ");
        if (*word != '\0')
            *word++ = '\0';
    }
    static char option[] = "--socket";
    if (scripted.path[0] != '\0') {
        argv[argc++] = option;
        argv[argc++] = scripted.path;
    }
    (void)fflush(stdout);
    assert_true(dup2(fileno(out), STDOUT_FILENO) >= 0 && dup2(fileno(err), STDERR_FILENO) >= 0);
    const struct command *command = command_line_parse(argc, argv, &invocation, &status);
    if (command)
        status = command->run(&invocation);
    read_back(out, saved_out, STDOUT_FILENO, printed, sizeof(printed));
    read_back(err, saved_err, STDERR_FILENO, complained, sizeof(complained));
    return (int)status;
}

static int tear_down(void **state)
{
    (void)state;
    if (scripted.path[0] != '\0')
        scripted_end();
    memset(&scripted, 0, sizeof(scripted));
    return 0;
}

#define HAS(text) assert_non_null(strstr(printed, text))
#define ANSWERS(...)                                                                               \
    static const struct scripted_answer answers[] = {__VA_ARGS__, {.request = NULL}};              \
    scripted_start(answers)

static void the_status_is_for_people(void **state)
{
    (void)state;
    ANSWERS({"GET /v1/status", 200, STATUS, 0}, {"GET /v1/jobs", 200, "{\"jobs\":[" JOB "]}", 0});
    assert_int_equal(run("status"), INVOCATION_DONE);
    HAS("nova-snapshot-agent 0.1.0 on host cmp1\n");
    HAS("attached, takes requests (drained)\n");
    HAS("cannot take snapshots: no room\n");
    HAS("service version 66\n");
    HAS("1 running of 5 at most, 2 waiting\n");
    HAS("disk 50 MiB/s (host: none), upload none (host: 7 MiB/s)\n");
    HAS("2e0af6cc-8dab-4d5d-b039-8bb41cec430e");
    HAS("queue         not known at not known\n"); /* of an agent of before */
    HAS("hypervisor    libvirt not known, QEMU not known\n");
    assert_string_equal(complained, "");
}

static void the_status_tells_what_is_around_the_agent(void **state)
{
    (void)state;
    ANSWERS(
        {"GET /v1/status", 200,
         "{\"state\":\"detached\",\"fit\":false,\"trouble\":\"no "
         "room\",\"troubles\":[{\"check\":\"room for snapshots\","
         "\"text\":\"no room\"},{\"check\":\"Glance\",\"text\":\"it is away\"}],\"queue\":"
         "\"compute.cmp1\",\"broker\":\"rabbit1:5672\",\"libvirt\":\"9.0.0\",\"qemu\":\"7.2.22\"}",
         0},
        {"GET /v1/jobs", 200, "{\"jobs\":[]}", 0});
    assert_int_equal(run("status"), INVOCATION_DONE);
    HAS("host          cannot take snapshots: no room\n"
        "              also Glance: it is away\n");
    HAS("queue         compute.cmp1 at rabbit1:5672\n");
    HAS("hypervisor    libvirt 9.0.0, QEMU 7.2.22\n");
}

static void json_is_what_the_agent_said(void **state)
{
    (void)state;
    ANSWERS({"GET /v1/status", 200, "{\"host\":\"cmp1\",\"new\":[1]}", 0},
            {"GET /v1/jobs", 200, "{\"jobs\":[7]}", 1}, {"GET /v1/jobs", 200, "{}", 0});
    assert_int_equal(run("status --json"), INVOCATION_DONE);
    assert_string_equal(printed, "{\n  \"host\": \"cmp1\",\n  \"new\": [\n    1\n  ],\n  "
                                 "\"jobs\": [\n    7\n  ]\n}\n");
    assert_int_equal(run("status --json"), INVOCATION_FAILED);
    HAS("cmp1");
}

static void a_status_of_nothing_known_fails(void **state)
{
    (void)state;
    ANSWERS({"GET /v1/status", 200, "{\"new\":[1]}", 0}, {"GET /v1/jobs", 200, "{\"jobs\":[]}", 0});
    assert_int_equal(run("status"), INVOCATION_FAILED);
    assert_string_equal(printed, "");
    assert_non_null(strstr(complained, "has no 'state'"));
}

static void jobs_are_a_table(void **state)
{
    (void)state;
    ANSWERS({"GET /v1/jobs", 200, "{\"jobs\":[" JOB "]}", 1},
            {"GET /v1/jobs", 200, "{\"jobs\":[]}", 0});
    assert_int_equal(run("jobs"), INVOCATION_DONE);
    HAS("ID   SERVER");
    HAS("3    2e0af6cc-8dab-4d5d-b039-8bb41cec430e  upload       stream                1.0 GiB    "
        "25 %  "
        "100.0 MiB/s      31 s      1:15\n");
    assert_int_equal(run("jobs"), INVOCATION_DONE);
    assert_string_equal(printed, "no requests are under way\n");
}

static void one_job_is_shown(void **state)
{
    (void)state;
    ANSWERS({"GET /v1/jobs/3", 200, JOB, 0}, {"GET /v1/jobs/4", 404, UNKNOWN, 0},
            {"GET /v1/jobs/5", 200,
             "{\"id\":5,\"limits\":{\"disk_rate_limit\":20,\"upload_rate_limit\":0}}", 0});
    assert_int_equal(run("show 5"), INVOCATION_DONE);
    HAS("limits   disk 20 MiB/s, upload none\n");
    assert_int_equal(run("show 3"), INVOCATION_DONE);
    assert_null(strstr(printed, "limits")); /* of an agent of before */
    HAS("image    e5a20dc3-b3eb-4dcf-b1be-b0cc75cf15ed\n");
    HAS("phase    upload for 12 s, 1:15 in all\n");
    HAS("done     1.0 GiB of 4.0 GiB, 25 %, 100.0 MiB/s, 31 s left\n");
    assert_int_equal(run("show 4"), INVOCATION_NO_JOB);
    assert_string_equal(complained, "nova-snapshot: 404: there is no such job\n");
    assert_int_equal(run("show ../status"), INVOCATION_NO_JOB);
    assert_null(strstr(scripted.asked, "status"));
}

static void a_job_is_cancelled(void **state)
{
    (void)state;
    ANSWERS({"DELETE /v1/jobs/3", 202, "{\"cancelled\":\"3\"}", 0},
            {"DELETE /v1/jobs/4", 409, REFUSED, 0});
    assert_int_equal(run("cancel 3"), INVOCATION_DONE);
    assert_string_equal(printed, "job 3 is being cancelled\n");
    assert_int_equal(run("cancel 4"), INVOCATION_FAILED);
    assert_string_equal(complained, "nova-snapshot: 409: it cannot be cancelled\n");
}

static void a_drain_waits_for_the_end(void **state)
{
    (void)state;
    ANSWERS({"POST /v1/drain", 202, "{\"drained\":true}", 0},
            {"GET /v1/status", 200, "{\"drained\":false,\"running\":0}", 1},
            {"GET /v1/status", 200, "{\"drained\":true,\"state\":\"starting\",\"running\":0}", 1},
            {"GET /v1/status", 200, "{\"drained\":true,\"running\":1}", 1},
            {"GET /v1/status", 200, "{\"drained\":true,\"state\":\"attached\",\"running\":0}", 1},
            {"GET /v1/status", 200, "{\"drained\":true,\"state\":\"detached\",\"running\":0}", 0},
            {"POST /v1/resume", 202, "{\"drained\":false}", 0});
    assert_int_equal(run("drain"), INVOCATION_DONE);
    assert_string_equal(scripted.asked, "POST /v1/drain\n");
    assert_int_equal(run("drain --wait 30"), INVOCATION_DONE);
    assert_int_equal(scripted.given[5], 1);
    assert_int_equal(run("drain --wait 0"), INVOCATION_USAGE);
    assert_int_equal(run("resume"), INVOCATION_DONE);
}

static void a_drain_waits_no_longer_than_it_may(void **state)
{
    (void)state;
    ANSWERS({"POST /v1/drain", 202, "{\"drained\":true}", 0},
            {"GET /v1/status", 200, "{\"drained\":true,\"running\":1}", 0});
    assert_int_equal(run("drain --wait 1"), INVOCATION_FAILED);
    assert_string_equal(complained, "nova-snapshot: requests are under way after 1 s\n");
}

#define LEFT(kind, verdict, more)                                                                  \
    "{\"kind\":\"" kind "\",\"what\":\"W\",\"instance\":null,\"disk\":null,\"bytes\":2048,"        \
    "\"verdict\":\"" verdict "\",\"why\":\"because\"" more "}"
#define RUN(running, found, troubles)                                                              \
    "{\"run\":7,\"apply\":false,\"running\":" running ",\"found\":[" found "],"                    \
    "\"troubles\":[" troubles "]}"

static void what_is_left_is_shown(void **state)
{
    (void)state;
    ANSWERS({"POST /v1/clean", 202, "{\"run\":7}", 0},
            {"GET /v1/clean", 200, "{\"run\":7,\"apply\":false,\"running\":true}", 1},
            {"GET /v1/clean", 200,
             RUN("false",
                 LEFT("folder", "nobodys", "") "," LEFT("task_state", "left",
                                                        "") "," LEFT("job", "nobodys", ""),
                 ""),
             0});
    assert_int_equal(run("clean"), INVOCATION_DONE);
    HAS("folder      would remove it  W (2.0 KiB)\n");
    HAS("task state  left alone       W\n");
    HAS("job         would end it     W\n");
    HAS("because\n");
    HAS("2 to be removed: nova-snapshot clean --yes looks again, and does it\n");
    assert_string_equal(scripted.asked, "POST /v1/clean {\"apply\":false}\nGET /v1/clean\n"
                                        "GET /v1/clean\n");
}

static void what_is_left_is_removed(void **state)
{
    (void)state;
    ANSWERS(
        {"POST /v1/clean", 202, "{\"run\":7}", 0},
        {"GET /v1/clean", 200,
         RUN("false",
             LEFT("folder", "done", "") "," LEFT("image", "failed", ",\"failure\":\"no way\""), ""),
         1},
        {"GET /v1/clean", 200, RUN("false", LEFT("image", "done", ""), ""), 1},
        {"GET /v1/clean", 200, RUN("false", "", "\"no answer\""), 1},
        {"GET /v1/clean", 200, RUN("false", "", ""), 1},
        {"GET /v1/clean", 200, "{\"run\":8,\"running\":false}", 0});
    assert_int_equal(run("clean --yes"), INVOCATION_FAILED);
    HAS("folder      removed          W (2.0 KiB)\n");
    HAS("image       FAILED           W\n");
    HAS("no way\n");
    HAS("1 removed, 1 failed, 0 left alone\n");
    assert_string_equal(scripted.asked, "POST /v1/clean {\"apply\":true}\nGET /v1/clean\n");
    assert_int_equal(run("clean --yes --json"), INVOCATION_DONE);
    HAS("\"verdict\": \"done\"");
    assert_int_equal(run("clean"), INVOCATION_FAILED); /* not all could be looked at */
    assert_string_equal(complained, "nova-snapshot: no answer\n");
    assert_string_equal(printed, "nothing was found, but not all could be looked at\n");
    assert_int_equal(run("clean"), INVOCATION_DONE);
    assert_string_equal(printed, "nothing is left of snapshots\n");
    assert_int_equal(run("clean"), INVOCATION_FAILED);
    assert_string_equal(complained, "nova-snapshot: somebody else has begun another clean since\n");
}

static void limits_are_sent_as_they_are_given(void **state)
{
    (void)state;
    ANSWERS({"PUT /v1/throttle", 200, STATUS, 0}, {"GET /v1/status", 200, STATUS, 0});
    assert_int_equal(run("throttle --disk 50 --upload-host=7"), INVOCATION_DONE);
    assert_string_equal(scripted.asked,
                        "PUT /v1/throttle {\"disk_rate_limit\":50,\"upload_rate_limit_host\":7}\n");
    HAS("limits        disk 50 MiB/s (host: none), upload none (host: 7 MiB/s)\n");
    assert_int_equal(run("throttle"), INVOCATION_DONE);
    assert_non_null(strstr(scripted.asked, "\nGET /v1/status\n"));
    assert_int_equal(run("throttle 3 --upload 5"), INVOCATION_DONE);
    assert_non_null(
        strstr(scripted.asked, "\nPUT /v1/throttle {\"job\":\"3\",\"upload_rate_limit\":5}\n"));
    static const char *const bad[] = {"throttle --disk -1", "throttle --disk 1.5",
                                      "throttle --disk x", "throttle --disk 1048577"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(run(bad[i]), INVOCATION_USAGE);
    assert_string_equal(complained, "nova-snapshot: --disk is a number from 0 to 1048576\n");
}

static void the_log_level_is_sent(void **state)
{
    (void)state;
    ANSWERS({"PUT /v1/log-level", 200, STATUS, 0}, {"GET /v1/status", 200, STATUS, 0});
    assert_int_equal(run("log-level debug --modules driver,,amqp"), INVOCATION_DONE);
    assert_string_equal(
        scripted.asked,
        "PUT /v1/log-level {\"level\":\"debug\",\"modules\":[\"driver\",\"amqp\"]}\n");
    assert_string_equal(printed, "log level info\n");
    assert_int_equal(run("log-level"), INVOCATION_DONE);
    assert_string_equal(printed, "log level info\n");
}

static void the_limits_of_one_job_are_shown(void **state)
{
    (void)state;
    ANSWERS({"GET /v1/jobs/3", 200,
             "{\"id\":3,\"limits\":{\"disk_rate_limit\":50,\"upload_rate_limit\":0}}", 1},
            {"GET /v1/jobs/3", 200,
             "{\"id\":3,\"limits\":{\"disk_rate_limit\":null,\"upload_rate_limit\":9}}", 1},
            {"GET /v1/jobs/3", 200, "{\"id\":3}", 0}, {"GET /v1/jobs/4", 404, UNKNOWN, 0});
    assert_int_equal(run("throttle 3"), INVOCATION_DONE);
    assert_string_equal(printed, "limits   disk 50 MiB/s, upload none\n");
    assert_int_equal(run("throttle 3"), INVOCATION_DONE);
    assert_string_equal(printed, "limits   disk not read yet, upload 9 MiB/s\n");
    assert_int_equal(run("throttle 3"), INVOCATION_FAILED);
    assert_non_null(strstr(complained, "has no 'limits'"));
    assert_int_equal(run("throttle 4"), INVOCATION_NO_JOB);
    assert_int_equal(run("throttle ../status"), INVOCATION_NO_JOB);
    assert_string_equal(scripted.asked, "GET /v1/jobs/3\nGET /v1/jobs/3\nGET /v1/jobs/3\n"
                                        "GET /v1/jobs/4\n");
}

/* As another version of it may answer. */
static void an_odd_answer_is_told(void **state)
{
    static const struct {
        const char *words, *member;
    } cases[] = {
        {"log-level", "log_level"},
        {"throttle", "limits"},
        {"jobs", "jobs"},
        {"watch", "jobs"},
        {"show 3", "id"},
        {"doctor", "findings"},
        {"doctor --json", "findings"},
        {"clean", "run"},
    };
    (void)state;
    ANSWERS({"GET /v1/status", 200, "{}", 0}, {"GET /v1/jobs", 200, "{}", 0},
            {"GET /v1/jobs/3", 200, "{}", 0}, {"GET /v1/doctor", 200, "{}", 0},
            {"POST /v1/clean", 202, "{}", 1}, {"POST /v1/clean", 202, "{\"run\":7}", 0},
            {"GET /v1/clean", 200, "{\"run\":7}", 1},
            {"GET /v1/clean", 200, RUN("false", "", "7"), 0});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char complaint[128];
        (void)snprintf(complaint, sizeof(complaint),
                       "nova-snapshot: the agent's answer has no '%s': is it of another version?\n",
                       cases[i].member);
        assert_int_equal(run(cases[i].words), INVOCATION_FAILED);
        assert_string_equal(complained, complaint);
    }
    assert_int_equal(run("clean"), INVOCATION_FAILED);
    assert_non_null(strstr(complained, "has no 'running'"));
    assert_int_equal(run("clean"), INVOCATION_FAILED);
    assert_null(strstr(complained, "null"));
}

#define NOTHING "{\"error\":{\"code\":404,\"message\":\"there is nothing here\"}}"
#define NOT_ALLOWED "{\"error\":{\"code\":405,\"message\":\"this cannot be done with it\"}}"

/* Only what is asked of a job can lack a job. */
static void an_older_agent_is_told_apart_from_a_job_that_is_gone(void **state)
{
    (void)state;
    ANSWERS({"GET /v1/doctor", 404, NOTHING, 0}, {"POST /v1/clean", 405, NOT_ALLOWED, 0},
            {"PUT /v1/throttle", 404, UNKNOWN, 1}, {"PUT /v1/throttle", 404, NOTHING, 0},
            {"DELETE /v1/jobs/4", 404, UNKNOWN, 0});
    assert_int_equal(run("doctor"), INVOCATION_FAILED);
    assert_string_equal(complained, "nova-snapshot: the agent is older than this tool: it does not "
                                    "know GET /v1/doctor\n");
    assert_int_equal(run("clean"), INVOCATION_FAILED);
    assert_non_null(strstr(complained, "older than this tool: it does not know POST /v1/clean\n"));
    assert_int_equal(run("throttle 4 --upload 1"), INVOCATION_NO_JOB);
    assert_string_equal(complained, "nova-snapshot: 404: there is no such job\n");
    assert_int_equal(run("throttle --upload 1"), INVOCATION_FAILED);
    assert_int_equal(run("cancel 4"), INVOCATION_NO_JOB);
}

/* ESC, and CSI as one character (U+009B). */
#define COMMANDS "\\u001b[2J\\u009b2Jc\xc3\xa4t"

static bool commands_a_terminal(const char *text)
{
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < ' ' && *text != '\n') || *text == 0x7f ||
            ((unsigned char)*text == 0xc2 && (unsigned char)text[1] < 0xa0))
            return true;
    return false;
}

/* Paths and others' messages are in what the agent says. */
static void no_answer_commands_the_terminal(void **state)
{
    static const char *const words[] = {"status", "doctor", "clean", "cancel 4", "log-level"};
    static const char *const in_json[] = {"status --json", "doctor --json", "watch --json 3"};
    (void)state;
    ANSWERS({"GET /v1/status", 200,
             "{\"host\":\"" COMMANDS "\",\"state\":\"" COMMANDS
             "\",\"fit\":false,\"trouble\":\"" COMMANDS "\",\"log_level\":\"" COMMANDS "\"}",
             0},
            {"GET /v1/jobs", 200, "{\"jobs\":[{\"id\":3,\"phase\":\"" COMMANDS "\"}]}", 2},
            {"GET /v1/jobs", 200, "{\"jobs\":[]}", 0},
            {"GET /v1/doctor", 200,
             "{\"status\":\"ok\",\"findings\":[{\"check\":\"" COMMANDS
             "\",\"status\":\"ok\",\"text\":\"" COMMANDS "\"}]}",
             0},
            {"POST /v1/clean", 202, "{\"run\":7}", 0},
            {"GET /v1/clean", 200,
             "{\"run\":7,\"running\":false,\"found\":[{\"kind\":\"folder\",\"verdict\":\"left\","
             "\"what\":"
             "\"" COMMANDS "\",\"why\":\"" COMMANDS "\"}],\"troubles\":[\"" COMMANDS "\"]}",
             0},
            {"DELETE /v1/jobs/4", 409, "{\"error\":{\"message\":\"" COMMANDS "\"}}", 0});
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        (void)run(words[i]);
        assert_false(commands_a_terminal(printed));
        assert_false(commands_a_terminal(complained));
        if (i < 3)
            HAS("c\xc3\xa4t");
    }
    for (size_t i = 0; i < sizeof(in_json) / sizeof(in_json[0]); i++) {
        (void)run(in_json[i]);
        assert_false(commands_a_terminal(printed));
    }
}

static void a_watch_ends_with_its_job(void **state)
{
    (void)state;
    ANSWERS({"GET /v1/jobs", 200, "{\"jobs\":[" JOB "]}", 2},
            {"GET /v1/jobs", 200, "{\"jobs\":[]}", 0});
    assert_int_equal(run("watch 3"), INVOCATION_DONE);
    HAS("3   2e0af6cc upload      [####");
    HAS("]  25 %  1.0 GiB  100.0 MiB/s  31 s left\n");
    assert_int_equal(scripted.given[0], 2);
    assert_int_equal(run("watch 3"), INVOCATION_NO_JOB);
    assert_int_equal(run("watch --interval 0"), INVOCATION_USAGE);
}

#define REPORT(status)                                                                             \
    "{\"host\":\"cmp1\",\"status\":\"" status                                                      \
    "\",\"findings\":[{\"check\":\"Glance\",\"status\":\"" status                                  \
    "\",\"text\":\"it is how it is\",\"remedy\":\"start it\"}]}"

static void a_doctor_says_how_it_is(void **state)
{
    (void)state;
    ANSWERS({"GET /v1/doctor", 200, REPORT("warn"), 1}, {"GET /v1/doctor", 200, REPORT("fail"), 0},
            {"GET /v1/doctor/instance-0000001a", 200, REPORT("ok"), 0});
    assert_int_equal(run("doctor"), INVOCATION_DONE);
    HAS("warn  Glance                         it is how it is\n");
    HAS("-> start it\n");
    assert_int_equal(run("doctor"), INVOCATION_NOT_WELL);
    assert_int_equal(run("doctor --json"), INVOCATION_NOT_WELL);
    HAS("  \"status\": \"fail\"");
    assert_int_equal(run("doctor instance-0000001a"), INVOCATION_DONE);
    assert_int_equal(run("doctor ../status"), INVOCATION_USAGE);
    assert_null(strstr(scripted.asked, "status"));
    assert_int_equal(INVOCATION_NOT_WELL, FINDINGS_EXIT_FAIL);
}

/* There is none beside this test. */
static void a_doctor_without_an_agent_needs_its_program(void **state)
{
    (void)state;
    assert_int_equal(run("doctor --socket /nowhere/control"), INVOCATION_UNREACHABLE);
    assert_string_equal(complained, "nova-snapshot: no agent can be asked at /nowhere/control: No "
                                    "such file or directory\nnova-snapshot: nova-snapshot-agent is "
                                    "not to be found, which would look without an agent that "
                                    "runs\n");
}

/* Beside an agent that is there none looks itself. */
static void a_doctor_waits_for_its_agent(void **state)
{
    (void)state;
    ANSWERS({"GET /v1/doctor", 409, "{\"error\":{\"message\":\"another look is under way\"}}", 1});
    assert_int_equal(run("doctor"), INVOCATION_FAILED);
    assert_non_null(strstr(complained, "another look is under way"));
    assert_int_equal(run("doctor"), INVOCATION_UNREACHABLE); /* the connection ends */
    assert_null(strstr(complained, "nova-snapshot-agent is not to be found"));
}

/* A killed agent leaves its socket; libcurl would tell of a host "agent" and a port 80. */
static void a_socket_that_nobody_listens_on_is_told(void **state)
{
    char folder[] = "/tmp/test-tool-XXXXXX", path[64], words[128], wanted[256];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/control", folder);
    (void)strcpy(address.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);
    (void)snprintf(words, sizeof(words), "status --socket %s", path);
    assert_int_equal(run(words), INVOCATION_UNREACHABLE);
    (void)snprintf(wanted, sizeof(wanted),
                   "nova-snapshot: no agent can be asked at %s: nobody listens there, an agent "
                   "that died has left it: systemctl status nova-snapshot-agent\n",
                   path);
    assert_string_equal(complained, wanted);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(run("status --socket /dev/null"), INVOCATION_UNREACHABLE);
    assert_string_equal(complained,
                        "nova-snapshot: no agent can be asked at /dev/null: it is no socket\n");
}

static void nobody_answers(void **state)
{
    (void)state;
    assert_int_equal(run("status --socket /nowhere/control"), INVOCATION_UNREACHABLE);
    assert_string_equal(complained, "nova-snapshot: no agent can be asked at /nowhere/control: No "
                                    "such file or directory\n");
    ANSWERS({"GET /v1/jobs", 200, "no json", 0});
    assert_int_equal(run("status"), INVOCATION_UNREACHABLE); /* the connection ends */
    assert_int_equal(run("jobs"), INVOCATION_FAILED);
}

static void what_was_left_of_domains_is_undone(void **state)
{
    (void)state;
    assert_int_equal(run("domain recover --all --state-dir /nowhere --json"), INVOCATION_DONE);
    HAS("\"domains\": []");
    assert_int_equal(run("domain recover --all --state-dir /dev/null"), INVOCATION_FAILED);
    assert_non_null(strstr(complained, "/dev/null/records"));
}

static void what_makes_no_sense_is_told(void **state)
{
    static const struct {
        const char *words, *complaint;
    } cases[] = {
        {"", "no command is given"},
        {"explode", "there is no command explode"},
        {"show", "show needs a JOB"},
        {"status 3", "unexpected argument '3'"},
        {"show 3 4", "unexpected argument '4'"},
        {"status --wait 3", "status takes no --wait"},
        {"resume --disk 3", "resume takes no --disk"},
        {"drain --wait", "--wait"},
        {"status --loud", "loud"},
        {"domain", "there is no command domain"},
        {"domain explode", "there is no command domain"},
        {"domain image", "domain image needs a DOMAIN"},
        {"domain image a b", "unexpected argument 'b'"},
        {"domain image a", "an image needs an --output"},
        {"domain image a --wait 3", "domain image takes no --wait"},
        {"domain image a --socket /b", "domain image takes no --socket"},
        {"domain recover", "either a DOMAIN or --all"},
        {"domain recover a --all", "either a DOMAIN or --all"},
        {"domain image a -o", "requires an argument"},
        {"domain image a -o /nowhere --format ova", "raw, qcow2, vmdk or vdi"},
        {"domain image a -o /nowhere --method magic", "stream, blockcopy, blockrebase or cold"},
        {"domain image a -o /nowhere --disk vda --all-disks", "either one disk or all"},
        {"domain image a --chain-verify", "needs the --output"},
        {"domain image a --chain-verify -o -", "needs the --output"},
        {"domain image a -o /nowhere --chain-verify --disk vda", "makes no image"},
        {"domain image a -o /nowhere --chain-verify --compress", "makes no image"},
        {"domain image a -o /nowhere --chain-verify --incremental-since b", "makes no image"},
        {"domain image a -o /nowhere --disk vda --disk vdb", "--disk is given twice"},
        {"domain image a -o /nowhere --output /other", "--output is given twice"},
        {"throttle --disk 3 --disk 4", "--disk is given twice"},
        {"domain save a", "either an --output or --managed"},
        {"domain save a -o /nowhere --managed", "either an --output or --managed"},
        {"domain save a -o -", "memory goes to a file"},
        {"domain save a --managed --running --paused", "either --running or --paused"},
        {"domain restore a --running --paused", "either --running or --paused"},
        {"status -o file", "status takes no --output"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(run(cases[i].words), INVOCATION_USAGE);
        assert_non_null(strstr(complained, cases[i].complaint));
        assert_string_equal(printed, "");
    }
    assert_int_equal(run("--version"), INVOCATION_DONE);
    assert_string_equal(printed, "nova-snapshot " VERSION "\n");
    assert_int_equal(run("status --help"), INVOCATION_DONE);
    assert_memory_equal(printed, "usage: nova-snapshot ", 21);
}

static void all_commands_are_documented(void **state)
{
    static void (*const writers[])(FILE *) = {command_doc_help, command_doc_man,
                                              command_doc_completion};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char text[32768] = "", line[64];
        FILE *out = fmemopen(text, sizeof(text), "w");
        writers[i](out);
        (void)fclose(out);
        for (const struct command *command = command_table; command->name; command++) {
            size_t length = i == 1 ? strlen(strcpy(line, ".SS ")) : 0;
            for (const char *c = command->name; *c; c++) {
                if (i == 1 && *c == '-')
                    line[length++] = '\\';
                line[length++] = *c;
            }
            line[length] = '\0';
            assert_non_null(strstr(text, line));
        }
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_status_is_for_people),
        TEST(the_status_tells_what_is_around_the_agent),
        TEST(json_is_what_the_agent_said),
        TEST(a_status_of_nothing_known_fails),
        TEST(jobs_are_a_table),
        TEST(one_job_is_shown),
        TEST(a_job_is_cancelled),
        TEST(a_drain_waits_for_the_end),
        TEST(a_drain_waits_no_longer_than_it_may),
        TEST(what_is_left_is_shown),
        TEST(what_is_left_is_removed),
        TEST(limits_are_sent_as_they_are_given),
        TEST(the_limits_of_one_job_are_shown),
        TEST(the_log_level_is_sent),
        TEST(an_odd_answer_is_told),
        TEST(an_older_agent_is_told_apart_from_a_job_that_is_gone),
        TEST(no_answer_commands_the_terminal),
        TEST(a_watch_ends_with_its_job),
        TEST(a_doctor_says_how_it_is),
        TEST(a_doctor_without_an_agent_needs_its_program),
        TEST(a_doctor_waits_for_its_agent),
        TEST(a_socket_that_nobody_listens_on_is_told),
        TEST(nobody_answers),
        TEST(what_was_left_of_domains_is_undone),
        TEST(what_makes_no_sense_is_told),
        TEST(all_commands_are_documented),
    };
    log_init(LOG_LEVEL_ERROR); /* as the tool does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
