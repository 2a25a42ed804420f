/* SPDX-License-Identifier: Apache-2.0 */
/* agent/journal.c and journal_read.c: what outlives the agent, and what is made of it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/journal.h"
#include "state_dir.h"

static struct error err;
static bool cutting_fails;
static bool is_other_user;

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);

uid_t __wrap_geteuid(void)
{
    return __real_geteuid() + (is_other_user ? 1 : 0);
}

int __real_ftruncate(int fd, off_t length);
int __wrap_ftruncate(int fd, off_t length);

int __wrap_ftruncate(int fd, off_t length)
{
    if (!cutting_fails)
        return __real_ftruncate(fd, length);
    errno = EIO;
    return -1;
}

static bool reading_fails;

struct dirent *__real_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);

struct dirent *__wrap_readdir(DIR *folder)
{
    if (!reading_fails)
        return __real_readdir(folder);
    errno = EIO;
    return NULL;
}

static unsigned n_opens_fail;
static int open_errnum;

int __real_private_file_open(int folder_fd, const char *folder, const char *name, int flags,
                             int *ret_fd, struct error *failure);
int __wrap_private_file_open(int folder_fd, const char *folder, const char *name, int flags,
                             int *ret_fd, struct error *failure);

int __wrap_private_file_open(int folder_fd, const char *folder, const char *name, int flags,
                             int *ret_fd, struct error *failure)
{
    if (n_opens_fail == 0)
        return __real_private_file_open(folder_fd, folder, name, flags, ret_fd, failure);
    n_opens_fail--;
    return error_errno(failure, open_errnum, "cannot open %s", name);
}

static int setup(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    cutting_fails = false;
    reading_fails = false;
    n_opens_fail = 0;
    (void)signal(SIGXFSZ, SIG_IGN);
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
    assert_int_equal(journal_read_all(state_dir.journal, keep, NULL, &err), 0);
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

/* A disk that takes no more than this, as a full one does. */
static void limit_files(size_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size > 0 ? size : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static json_t *numbered(int number)
{
    return json_pack("{s:i}", "number", number);
}

/* Of a note as many bytes are written as the disk has room for: those after it are not spoiled. */
static void check_full_disk(size_t room)
{
    char path[400];
    struct journal_record *record = begin();
    find_file(path);
    assert_int_equal(journal_note(record, "driver", numbered(1), &err), 0);
    limit_files(size_of(path) + room);
    assert_true(journal_note(record, "driver", numbered(2), &err) < 0);
    assert_non_null(strstr(err.message, path));
    journal_mark(record, "task_state", json_null());
    limit_files(0);
    assert_int_equal(json_array_size(journal_all(record, "driver")), 1);
    assert_int_equal(journal_note(record, "driver", numbered(3), &err), 0);
    journal_leave(record);
    take_over();
    assert_int_equal(found.n, 1);
    json_t *expected = json_pack("[{s:i}, {s:i}]", "number", 1, "number", 3);
    assert_json_equal(journal_all(found.record, "driver"), expected);
    json_decref(expected);
    forget();
}

static void a_full_disk_costs_no_other_note(void **state)
{
    (void)state;
    size_t length = strlen("{\"driver\":{\"number\":2}}\n");
    for (size_t room = 0; room < length; room++) {
        cutting_fails = false;
        check_full_disk(room);
        cutting_fails = room + 1 < length; /* what lacks only its end is whole with another's */
        check_full_disk(room);
    }
}

static void a_torn_end_that_stays_spoils_nothing(void **state)
{
    (void)state;
    char path[400];
    journal_leave(begin());
    find_file(path);
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "{\"dri\0er", 8), 8);
    (void)close(fd);
    cutting_fails = true;
    take_over();
    assert_int_equal(found.n, 1);
    assert_int_equal(journal_note(found.record, "driver", numbered(1), &err), 0);
    rpc_request_free(found.request);
    journal_leave(found.record);
    take_over();
    assert_int_equal(found.n, 1);
    assert_int_equal(json_array_size(journal_all(found.record, "driver")), 1);
    forget();
}

/* What is logged meanwhile. */
static void take_over_with_log(char log[static 4096])
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    take_over();
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    (void)close(saved);
    ssize_t n = pread(fileno(file), log, 4095, 0);
    assert_true(n >= 0);
    log[n] = '\0';
    (void)fclose(file);
}

static void a_bad_line_is_left_out(void **state)
{
    (void)state;
    static const char bad[] = "no json\n[1]\n\0\0\0\n{\"driver\":7\n{\"driver\":8}{}\n\n";
    char path[400], log[4096];
    struct journal_record *record = begin();
    assert_int_equal(journal_note(record, "driver", numbered(1), &err), 0);
    find_file(path);
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, bad, sizeof(bad) - 1), sizeof(bad) - 1);
    (void)close(fd);
    assert_int_equal(journal_note(record, "driver", numbered(2), &err), 0);
    journal_leave(record);
    take_over_with_log(log);
    assert_int_equal(found.n, 1);
    json_t *expected = json_pack("[{s:i}, {s:i}]", "number", 1, "number", 2);
    assert_json_equal(journal_all(found.record, "driver"), expected);
    json_decref(expected);
    assert_non_null(strstr(log, path));
    assert_non_null(strstr(log, "5 lines"));
    assert_non_null(strstr(log, "the first is line 3"));
    forget();
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
        ("{\"journal\": 1, \"method\": \"m\", \"args\": {}, \"context\": "
         "{\"auth_token\": \"a\\nb\"}}\n"),
        "\n{\"journal\": 1, \"method\": \"m\", \"args\": {}, \"context\": {}}\n",
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

/* A disk that stumbles, or a host short of something, is no reason to forget a guest. */
static void what_cannot_be_read_now_is_read_again(void **state)
{
    (void)state;
    static const int passing[] = {EIO, EMFILE, ENOMEM, EINTR};
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        char path[400], same[400];
        journal_leave(begin());
        find_file(path);
        open_errnum = passing[i];
        n_opens_fail = 2;
        take_over();
        assert_int_equal(found.n, 1);
        journal_leave(found.record);
        rpc_request_free(found.request);
        n_opens_fail = 1000;
        take_over();
        assert_int_equal(found.n, 0);
        n_opens_fail = 0;
        find_file(same); /* for the next start */
        assert_string_equal(same, path);
        assert_int_equal(unlink(path), 0);
    }
}

static void make_readable(const char *path)
{
    assert_int_equal(chmod(path, 0640), 0);
}

static void make_writable(const char *path)
{
    assert_int_equal(chmod(path, 0602), 0);
}

static void move_behind_link(const char *path)
{
    char other[200];
    (void)snprintf(other, sizeof(other), "%s/elsewhere", state_dir.path);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
}

static void give_second_name(const char *path)
{
    char other[200];
    (void)snprintf(other, sizeof(other), "%s/elsewhere", state_dir.path);
    assert_int_equal(link(path, other), 0);
}

static void become_somebody_else(const char *path)
{
    (void)path;
    is_other_user = true;
}

/* Others than the agent may have written it: it may tell of an image to be deleted. */
static void a_planted_record_is_not_obeyed(void **state)
{
    (void)state;
    static void (*const plant[])(const char *path) = {
        make_readable, make_writable, move_behind_link, give_second_name, become_somebody_else};
    for (size_t i = 0; i < sizeof(plant) / sizeof(plant[0]); i++) {
        char path[400], aside[420], other[200];
        journal_leave(begin());
        find_file(path);
        plant[i](path);
        take_over();
        is_other_user = false;
        assert_int_equal(found.n, 0);
        (void)snprintf(aside, sizeof(aside), "%s.unreadable", path);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(unlink(aside), 0);
        (void)snprintf(other, sizeof(other), "%s/elsewhere", state_dir.path);
        (void)unlink(other);
    }
}

static void the_journal_is_the_agents_alone(void **state)
{
    (void)state;
    struct journal *again = NULL;
    char folder[128];
    (void)snprintf(folder, sizeof(folder), "%s/" STATE_HOST ".journal", state_dir.path);
    assert_int_equal(chmod(folder, 0770), 0);
    assert_int_equal(journal_open(state_dir.path, STATE_HOST, &again, &err), -EPERM);
    assert_non_null(strstr(err.message, folder));
    assert_non_null(strstr(err.message, "0770"));
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(chmod(state_dir.path, 0777), 0); /* somebody may rename it */
    assert_int_equal(journal_open(state_dir.path, STATE_HOST, &again, &err), -EPERM);
    assert_int_equal(chmod(state_dir.path, 0700), 0);
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
    assert_non_null(strstr(err.message, "cannot open "));
    rpc_request_free(request);
    state_dir_make_folder("journal");
}

static bool is_mentioned(const char *text)
{
    bool mentioned = true;
    assert_int_equal(journal_mentions(state_dir.journal, text, &mentioned, &err), 0);
    return mentioned;
}

static void what_a_record_mentions_is_found(void **state)
{
    (void)state;
    static char padding[70000];
    struct journal_record *record = NULL;
    struct rpc_request *request = fixture_request();
    assert_false(is_mentioned(FIXTURE_IMAGE));
    assert_int_equal(journal_begin(state_dir.journal, request, &record, &err), 0);
    assert_true(is_mentioned(FIXTURE_IMAGE));
    assert_true(is_mentioned(FIXTURE_INSTANCE));
    assert_false(is_mentioned("nova-snapshot-0123"));
    memset(padding, 'x', sizeof(padding) - 1);
    for (unsigned i = 0; i < 300; i++) { /* wherever in the file it is */
        char name[32];
        (void)snprintf(name, sizeof(name), "nova-snapshot-%04u", i);
        padding[sizeof(padding) - 2 - (size_t)i * 31 % 1000] = '\0';
        assert_int_equal(journal_note(record, "driver", json_sprintf("%s%s", padding, name), &err),
                         0);
        assert_true(is_mentioned(name));
        memset(padding, 'x', sizeof(padding) - 1);
        i += i < 290 ? 10 : 0;
    }
    journal_set_aside(record, &(struct error){.message = "for people"});
    assert_true(is_mentioned("nova-snapshot-0000"));
    bool mentioned = true;
    assert_int_equal(journal_mentions(state_dir.journal, "", &mentioned, &err), -EINVAL);
    (void)state_dir_clear("journal");
    state_dir_make_folder("journal");
    rpc_request_free(request);
}

static void a_journal_that_cannot_be_read_mentions_nothing(void **state)
{
    (void)state;
    bool mentioned = true;
    reading_fails = true;
    int r = journal_mentions(state_dir.journal, FIXTURE_IMAGE, &mentioned, &err);
    reading_fails = false;
    assert_int_equal(r, -EIO);
}

/* What is under way goes on without its record; "not mentioned" would have it removed. */
static void a_journal_that_was_replaced_mentions_nothing(void **state)
{
    (void)state;
    bool mentioned = true;
    (void)state_dir_clear("journal");
    assert_int_equal(journal_mentions(state_dir.journal, FIXTURE_IMAGE, &mentioned, &err), -ENOENT);
    err = (struct error)ERROR_INIT;
    state_dir_make_folder("journal");
    assert_int_equal(journal_mentions(state_dir.journal, FIXTURE_IMAGE, &mentioned, &err), -ESTALE);
    assert_non_null(strstr(err.message, "cannot be read"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_request_comes_back_as_it_was),
        TEST(its_secrets_are_for_root_alone),
        TEST(every_torn_end_is_survived),
        TEST(what_cannot_be_read_is_set_aside),
        TEST(what_cannot_be_read_now_is_read_again),
        TEST(a_full_disk_costs_no_other_note),
        TEST(a_torn_end_that_stays_spoils_nothing),
        TEST(a_bad_line_is_left_out),
        TEST(a_planted_record_is_not_obeyed),
        TEST(the_journal_is_the_agents_alone),
        TEST(another_boot_is_noticed),
        TEST(nothing_begins_that_cannot_be_written),
        TEST(what_a_record_mentions_is_found),
        TEST(a_journal_that_cannot_be_read_mentions_nothing),
        TEST(a_journal_that_was_replaced_mentions_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
