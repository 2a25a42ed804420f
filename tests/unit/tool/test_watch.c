/* SPDX-License-Identifier: Apache-2.0 */
/* tool/watch.c on a terminal: what it writes there, and how it goes back over it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "common/log.h"
#include "scripted_agent.h"
#include "tool/watch.h"

#define IMAGE "e5a20dc3-b3eb-4dcf-b1be-b0cc75cf15ed"
#define GO_BACK "\033["

static char bodies[2][16384];
static char seen[65536]; /* by who sits before it */

/* That many, all of one image: a watch of it ends with them. */
static void write_jobs(char *body, size_t size, unsigned n_jobs)
{
    size_t used = (size_t)snprintf(body, size, "{\"jobs\":[");
    for (unsigned i = 0; i < n_jobs; i++)
        used += (size_t)snprintf(
            body + used, size - used,
            "%s{\"id\":%u,\"instance\":\"2e0af6cc-8dab\",\"image\":\"" IMAGE
            "\",\"phase\":\"upload\",\"progress\":{\"bytes\":1073741824,\"total_bytes\":4294967296,"
            "\"percent\":25,\"bytes_per_s\":104857600,\"seconds_left\":31}}",
            i > 0 ? "," : "", i + 1);
    (void)snprintf(body + used, size - used, "]}");
}

static void *read_terminal(void *arg)
{
    const int *master = arg;
    size_t used = 0;
    ssize_t n;
    while ((n = read(*master, seen + used, sizeof(seen) - 1 - used)) > 0)
        used += (size_t)n;
    seen[used] = '\0';
    return NULL;
}

static int open_terminal(int master, unsigned rows, unsigned columns)
{
    const struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    struct termios raw;
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(slave >= 0);
    assert_int_equal(tcgetattr(slave, &raw), 0);
    raw.c_oflag &= ~(tcflag_t)OPOST;
    assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
    return slave;
}

static enum invocation_exit watch_answers(const struct scripted_answer *answers, const char *job,
                                          const char *term, unsigned rows, unsigned columns)
{
    struct invocation invocation = {.argument = job};
    pthread_t reader;
    scripted_start(answers);
    invocation.values[INVOCATION_SOCKET] = scripted.path;
    assert_int_equal(term ? setenv("TERM", term, 1) : unsetenv("TERM"), 0);
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    int slave = open_terminal(master, rows, columns);
    assert_int_equal(pthread_create(&reader, NULL, read_terminal, &master), 0);
    (void)fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    assert_true(dup2(slave, STDOUT_FILENO) >= 0);
    (void)close(slave);
    enum invocation_exit status = watch_jobs(&invocation);
    (void)fflush(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    (void)close(saved);
    (void)pthread_join(reader, NULL); /* the last one who had it open is gone */
    (void)close(master);
    scripted_end();
    return status;
}

/* Of `n_jobs`, two looks; then they have ended. */
static void watch_on(const char *term, unsigned rows, unsigned columns, unsigned n_jobs)
{
    static const struct scripted_answer answers[] = {{"GET /v1/jobs", 200, bodies[0], 2},
                                                     {"GET /v1/jobs", 200, bodies[1], 0},
                                                     {.request = NULL}};
    write_jobs(bodies[0], sizeof(bodies[0]), n_jobs);
    write_jobs(bodies[1], sizeof(bodies[1]), 0);
    assert_int_equal(watch_answers(answers, IMAGE, term, rows, columns), INVOCATION_DONE);
}

/* How many lines of at most `columns` there are before `end`. */
static unsigned count_lines(const char *text, const char *end, unsigned columns)
{
    unsigned n = 0;
    for (; text < end; text++, n++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        assert_non_null(stop);
        assert_true(stop - text <= (ptrdiff_t)columns);
        text = stop;
    }
    return n;
}

/* Each list is where the one before was. */
static void assert_goes_back(unsigned rows, unsigned columns)
{
    const char *list = seen;
    unsigned n_lists = 1, up = 0, n_lines;
    for (const char *next; (next = strstr(list, GO_BACK)); n_lists++) {
        n_lines = count_lines(list, next, columns);
        assert_true(n_lines < rows);
        assert_int_equal(sscanf(next, GO_BACK "%uA", &up), 1);
        assert_int_equal(up, n_lines);
        list = strstr(next, GO_BACK "J");
        assert_non_null(list);
        list += strlen(GO_BACK "J");
    }
    assert_int_equal(n_lists, 3);
}

static void as_many_jobs_as_there_are_rows(void **state)
{
    (void)state;
    watch_on("xterm", 10, 100, 30);
    assert_goes_back(10, 100);
    assert_non_null(strstr(seen, "\n8   2e0af6cc"));
    assert_null(strstr(seen, "\n9   2e0af6cc"));
    assert_non_null(strstr(seen, "\nand 22 more\n"));
    watch_on("xterm", 10, 100, 9); /* which just fit */
    assert_goes_back(10, 100);
    assert_non_null(strstr(seen, "\n9   2e0af6cc"));
    assert_null(strstr(seen, "more"));
}

static void no_line_is_longer_than_the_terminal_is_wide(void **state)
{
    (void)state;
    watch_on("xterm", 24, 20, 3);
    assert_goes_back(24, 20);
    watch_on("xterm", 2, 8, 3);
    assert_goes_back(2, 8);
}

/* It has no way back: as where there is no terminal. */
static void on_a_dumb_terminal_list_follows_list(void **state)
{
    (void)state;
    static const char *const terms[] = {"dumb", "", NULL};
    for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
        watch_on(terms[i], 3, 100, 5);
        assert_null(strchr(seen, '\033'));
        assert_int_equal(count_lines(seen, seen + strlen(seen), 100), 10);
    }
}

static atomic_uint passed_s; /* while the watch has paused */

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    if (fds)
        return __real_poll(fds, n, timeout_ms);
    (void)atomic_fetch_add(&passed_s, 12);
    return 0;
}

int __real_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int r = __real_clock_gettime(clock, ret_time);
    ret_time->tv_sec += atomic_load(&passed_s);
    return r;
}

/* Its first restart takes 24 s, its second one does not end. */
static void a_watch_survives_a_restart_of_the_agent(void **state)
{
    static const struct scripted_answer answers[] = {{"GET /v1/jobs", 200, bodies[0], 1},
                                                     {"GET /v1/jobs", 0, "", 2},
                                                     {"GET /v1/jobs", 200, bodies[0], 1},
                                                     {"GET /v1/jobs", 0, "", 0},
                                                     {.request = NULL}};
    (void)state;
    write_jobs(bodies[0], sizeof(bodies[0]), 1);
    assert_int_equal(watch_answers(answers, NULL, "xterm", 24, 100), INVOCATION_UNREACHABLE);
    assert_int_equal(scripted.given[2], 1);
    assert_non_null(strstr(seen, "\n" GO_BACK "1A" GO_BACK "Jno agent answers for 12 s, looking "));
    assert_int_equal(scripted.given[3], 4); /* until it is 30 s */
    assert_int_equal(watch_answers(answers, IMAGE, "xterm", 24, 100), INVOCATION_UNREACHABLE);
    assert_int_equal(scripted.given[1], 1);
}

static void a_watch_of_nobody_ends_at_once(void **state)
{
    static const struct scripted_answer answers[] = {{"GET /v1/jobs", 0, "", 0}, {.request = NULL}};
    (void)state;
    assert_int_equal(watch_answers(answers, NULL, "xterm", 24, 100), INVOCATION_UNREACHABLE);
    assert_int_equal(scripted.given[0], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_jobs_as_there_are_rows),
        cmocka_unit_test(no_line_is_longer_than_the_terminal_is_wide),
        cmocka_unit_test(on_a_dumb_terminal_list_follows_list),
        cmocka_unit_test(a_watch_survives_a_restart_of_the_agent),
        cmocka_unit_test(a_watch_of_nobody_ends_at_once),
    };
    log_init(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
