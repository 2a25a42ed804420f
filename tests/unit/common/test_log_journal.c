/* SPDX-License-Identifier: Apache-2.0 */
/* common/log_journal.c: stderr stands for the journal's stream, a function here for the journal. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_journal.h"

static char entry[8192]; /* a field a line */
static int send_result;
static int access_result;
static int saved_stderr, reader;

int __wrap_sd_journal_sendv(const struct iovec *items, int count);
int __wrap_access(const char *path, int mode);

int __wrap_sd_journal_sendv(const struct iovec *items, int count)
{
    size_t used = 0;
    for (int i = 0; i < count; i++)
        used += (size_t)snprintf(entry + used, sizeof(entry) - used, "%.*s\n",
                                 (int)items[i].iov_len, (const char *)items[i].iov_base);
    errno = EBUSY;
    return send_result;
}

int __wrap_access(const char *path, int mode)
{
    (void)mode;
    assert_string_equal(path, "/run/systemd/journal/socket");
    return access_result;
}

/* With JOURNAL_STREAM set to what stderr is, `inode_off` beside it. */
static void capture_begin(unsigned inode_off)
{
    int ends[2];
    char stream[64];
    struct stat st;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(ends[1]);
    reader = ends[0];
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino + inode_off);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    log_init(LOG_LEVEL_DEBUG);
    entry[0] = '\0';
}

/* What came to stderr. */
static const char *capture_end(void)
{
    static char text[8192];
    ssize_t n = read(reader, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    (void)close(reader);
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    (void)close(saved_stderr);
    return text;
}

static int works(void **state)
{
    (void)state;
    send_result = 0;
    access_result = 0;
    log_set_context(NULL, NULL);
    return 0;
}

static void an_entry_has_fields(void **state)
{
    (void)state;
    const struct log_place place = {"driver/x.c", 7, "f"};
    capture_begin(0);
    log_set_context("req-1", "7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00");
    log_set_image("2b9c5a34-6c1f-4d60-8a35-7d1c4e5f9a01");
    errno = EXDEV;
    log_write(LOG_LEVEL_WARNING, &place, "disk\n%d", 7);
    int errnum = errno;
    assert_string_equal(capture_end(), "");
    assert_int_equal(errnum, EXDEV);
    assert_string_equal(
        entry, "MESSAGE=WARNING [req-1 instance: 7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00] disk 7\n"
               "PRIORITY=4\nCODE_FILE=driver/x.c\nCODE_LINE=7\nCODE_FUNC=f\nREQUEST_ID=req-1\n"
               "INSTANCE_UUID=7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00\n"
               "IMAGE_ID=2b9c5a34-6c1f-4d60-8a35-7d1c4e5f9a01\n");
}

static void a_new_context_has_no_image(void **state)
{
    (void)state;
    capture_begin(0);
    log_set_image("2b9c5a34-6c1f-4d60-8a35-7d1c4e5f9a01");
    log_set_context(NULL, NULL);
    log_info("x");
    assert_string_equal(capture_end(), "");
    assert_non_null(strstr(entry, "MESSAGE=INFO [-] x\nPRIORITY=6\nCODE_FILE=tests/unit/common/"));
    assert_null(strstr(entry, "IMAGE_ID"));
    assert_null(strstr(entry, "REQUEST_ID"));
    assert_null(strstr(entry, "INSTANCE_UUID"));
}

static void what_the_journal_does_not_take_is_text(void **state)
{
    (void)state;
    capture_begin(0);
    send_result = -ENOMEM;
    log_info("x");
    assert_string_equal(capture_end(), "INFO [-] x\n");
}

static void another_stderr_gets_text(void **state)
{
    (void)state;
    capture_begin(1);
    log_info("x");
    assert_string_equal(capture_end(), "<6>INFO [-] x\n");
    assert_string_equal(entry, "");
}

static void without_its_socket_the_stream_gets_text(void **state)
{
    (void)state;
    access_result = -1;
    capture_begin(0);
    log_info("x");
    assert_string_equal(capture_end(), "<6>INFO [-] x\n");
    assert_string_equal(entry, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_entry_has_fields, works),
        cmocka_unit_test_setup(a_new_context_has_no_image, works),
        cmocka_unit_test_setup(what_the_journal_does_not_take_is_text, works),
        cmocka_unit_test_setup(another_stderr_gets_text, works),
        cmocka_unit_test_setup(without_its_socket_the_stream_gets_text, works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
