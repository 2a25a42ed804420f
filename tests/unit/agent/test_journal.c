/* agent/journal.c and journal_read.c: what outlives the agent, and what is made of it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/journal.h"
#include "state_dir.h"

static struct error err;

static int setup(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    state_dir_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(state_dir_remove(), 0);
    return 0;
}

static struct {
    unsigned n;
    struct rpc_request *request;
    struct journal_record *record;
} found;

static void keep(void *arg, struct rpc_request *request, struct journal_record *record)
{
    (void)arg;
    found.n++;
    found.request = request;
    found.record = record;
}

static void take_over(void)
{
    memset(&found, 0, sizeof(found));
    assert_int_equal(journal_take_over(state_dir.journal, keep, NULL, &err), 0);
}

static void forget(void)
{
    rpc_request_free(found.request);
    journal_end(found.record);
}

/* The one file there is. */
static void find_file(char path[static 400])
{
    char folder[128];
    (void)snprintf(folder, sizeof(folder), "%s/" STATE_HOST ".journal", state_dir.path);
    DIR *dir = opendir(folder);
    path[0] = '\0';
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            (void)snprintf(path, 400, "%s/%s", folder, entry->d_name);
    (void)closedir(dir);
    assert_string_not_equal(path, "");
}

static struct journal_record *begin(void)
{
    struct journal_record *record = NULL;
    struct rpc_request *request = fixture_request();
    assert_int_equal(journal_begin(state_dir.journal, request, &record, &err), 0);
    rpc_request_free(request);
    return record;
}

static void the_request_comes_back_as_it_was(void **state)
{
    (void)state;
    struct rpc_request *request = fixture_request();
    struct journal_record *record = begin();
    assert_int_equal(journal_note(record, "driver", json_pack("{s:i}", "a", 1), &err), 0);
    journal_mark(record, "task_state", json_null());
    assert_int_equal(journal_note(record, "driver", json_pack("{s:i}", "a", 2), &err), 0);
    assert_int_equal(json_array_size(journal_all(record, "driver")), 2);
    journal_leave(record);
    take_over();
    assert_int_equal(found.n, 1);
    assert_string_equal(found.request->method, request->method);
    assert_string_equal(found.request->version, request->version);
    assert_string_equal(found.request->unique_id, request->unique_id);
    assert_null(found.request->namespace);
    assert_json_equal(found.request->args, request->args);
    assert_json_equal(found.request->context->values, request->context->values);
    assert_string_equal(found.request->context->auth_token, request->context->auth_token);
    json_t *expected = json_pack("[{s:i}, {s:i}]", "a", 1, "a", 2);
    assert_json_equal(journal_all(found.record, "driver"), expected);
    json_decref(expected);
    assert_true(json_is_null(journal_last(found.record, "task_state")));
    assert_null(journal_last(found.record, "failure"));
    assert_false(journal_host_rebooted(found.record));
    rpc_request_free(request);
    forget();
    take_over();
    assert_int_equal(found.n, 0);
}

static void its_secrets_are_for_root_alone(void **state)
{
    (void)state;
    char path[400];
    struct stat st;
    struct journal_record *record = begin();
    find_file(path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    *strrchr(path, '/') = '\0';
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    journal_end(record);
}

static void overwrite(const char *path, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, text, length), length);
    assert_int_equal(close(fd), 0);
}

static size_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (size_t)st.st_size;
}

/* At whatever byte the agent died, what was noted before is there, and more can be noted. */
static void every_torn_end_is_survived(void **state)
{
    (void)state;
    char path[400];
    struct journal_record *record = begin();
    find_file(path);
    size_t noted = size_of(path);
    journal_mark(record, "task_state", json_string("image_snapshot"));
    journal_leave(record);
    size_t whole = size_of(path);
    char *text = malloc(whole);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, text, whole), whole);
    (void)close(fd);
    for (size_t size = noted; size <= whole; size++) {
        overwrite(path, text, size);
        take_over();
        assert_int_equal(found.n, 1);
        assert_int_equal(journal_last(found.record, "task_state") != NULL, size == whole);
        journal_mark(found.record, "acked", json_true());
        rpc_request_free(found.request);
        journal_leave(found.record);
        take_over();
        assert_non_null(journal_last(found.record, "acked"));
        rpc_request_free(found.request);
        journal_leave(found.record);
    }
    overwrite(path, text, noted - 1);
    free(text);
    take_over();
    assert_int_equal(found.n, 0); /* its request was never acked: nothing to tell of */
}

static void what_cannot_be_read_is_set_aside(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}\n",
        "no json\n",
        "[1]\n",
        "{\"journal\": 2, \"method\": \"m\", \"args\": {}, \"context\": {}}\n",
        "{\"journal\": 1, \"args\": {}, \"context\": {}}\n",
        "{\"journal\": 1, \"method\": \"m\", \"args\": [], \"context\": {}}\n",
        "{\"journal\": 1, \"method\": \"m\", \"args\": {}, \"context\": 7}\n",
        "{\"journal\": 1, \"method\": \"m\", \"args\": {}, \"context\": "
        "{\"auth_token\": \"a\\nb\"}}\n",
        "{\"journal\": 1, \"method\": \"m\", \"args\": {}, \"context\": {}}\nx\n{}\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char path[400], aside[420];
        journal_leave(begin());
        find_file(path);
        overwrite(path, bad[i], strlen(bad[i]));
        take_over();
        assert_int_equal(found.n, 0);
        (void)snprintf(aside, sizeof(aside), "%s.unreadable", path);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(unlink(aside), 0);
    }
}

static void another_boot_is_noticed(void **state)
{
    (void)state;
    char path[400];
    journal_leave(begin());
    find_file(path);
    const char *text = "{\"journal\": 1, \"boot_id\": \"7\", \"method\": \"m\", \"args\": {}, "
                       "\"context\": {}}\n";
    overwrite(path, text, strlen(text));
    take_over();
    assert_int_equal(found.n, 1);
    assert_true(journal_host_rebooted(found.record));
    forget();
}

static void nothing_begins_that_cannot_be_written(void **state)
{
    (void)state;
    struct journal_record *record = NULL;
    struct rpc_request *request = fixture_request();
    assert_int_equal(state_dir_clear("journal"), 0);
    assert_int_equal(journal_begin(state_dir.journal, request, &record, &err), -ENOENT);
    assert_null(record);
    assert_non_null(strstr(err.message, "cannot make "));
    rpc_request_free(request);
    state_dir_make_folder("journal");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_request_comes_back_as_it_was), TEST(its_secrets_are_for_root_alone),
        TEST(every_torn_end_is_survived),       TEST(what_cannot_be_read_is_set_aside),
        TEST(another_boot_is_noticed),          TEST(nothing_begins_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
