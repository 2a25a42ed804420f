/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/writer.c */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "amqp/writer.h"
#include "common/cleanup.h"

struct piece {
    struct writer_job job;
    char name;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char story[64];  /* "a" = was run, "A" = was discarded */
static bool disk_hangs; /* for the job called 'c' */
static struct writer *writer;
static int wake_fd;

static void add_to_story(char what)
{
    LOCK_SCOPE(&lock);
    story[strlen(story)] = what; /* the rest of it is 0 */
    (void)pthread_cond_broadcast(&changed);
}

static void run_piece(void *arg, struct writer_job *job)
{
    (void)arg;
    char name = ((struct piece *)job)->name;
    add_to_story(name);
    LOCK_SCOPE(&lock);
    while (disk_hangs && name == 'c')
        (void)pthread_cond_wait(&changed, &lock);
}

static void discard_piece(void *arg, struct writer_job *job)
{
    (void)arg;
    add_to_story((char)(((struct piece *)job)->name - 'a' + 'A'));
    free(job);
}

static void set_hangs(bool hangs)
{
    LOCK_SCOPE(&lock);
    disk_hangs = hangs;
    (void)pthread_cond_broadcast(&changed);
}

static void await_story(const char *expected)
{
    LOCK_SCOPE(&lock);
    while (strlen(story) < strlen(expected))
        (void)pthread_cond_wait(&changed, &lock);
    assert_string_equal(story, expected);
}

static int setup(void **state)
{
    (void)state;
    static const struct writer_ops ops = {run_piece, discard_piece};
    memset(story, 0, sizeof(story));
    disk_hangs = false;
    wake_fd = eventfd(0, EFD_CLOEXEC);
    writer = writer_new(&ops, NULL, wake_fd);
    return writer && writer_is_ready(writer) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    set_hangs(false);
    writer_free(writer);
    return close(wake_fd);
}

static struct piece *submit_piece(char name)
{
    struct piece *piece = calloc(1, sizeof(*piece));
    piece->name = name;
    writer_submit(writer, &piece->job);
    return piece;
}

static struct piece *take_piece(void)
{
    struct writer_job *job;
    eventfd_t n;
    while (!(job = writer_next_done(writer)))
        assert_int_equal(eventfd_read(wake_fd, &n), 0); /* until the writer tells */
    return (struct piece *)job;
}

static void jobs_come_back_in_their_order(void **state)
{
    (void)state;
    static const char names[] = "abcde";
    for (size_t i = 0; names[i]; i++)
        (void)submit_piece(names[i]);
    for (size_t i = 0; names[i]; i++) {
        struct piece *piece = take_piece();
        assert_int_equal(piece->name, names[i]);
        free(piece);
    }
    assert_null(writer_next_done(writer));
    await_story(names);
}

static void one_that_is_abandoned_is_discarded_wherever_it_is(void **state)
{
    (void)state;
    struct piece *taken = submit_piece('a');
    assert_ptr_equal(take_piece(), taken);
    struct piece *done = submit_piece('b');
    await_story("ab");
    set_hangs(true);
    struct piece *running = submit_piece('c');
    struct piece *waiting = submit_piece('d');
    await_story("abc");
    writer_abandon(writer, &waiting->job); /* is never run */
    writer_abandon(writer, &running->job);
    writer_abandon(writer, &done->job);
    writer_abandon(writer, &taken->job);
    assert_null(writer_next_done(writer));
    set_hangs(false);
    await_story("abcCDBA");
}

static void the_end_waits_for_what_is_run(void **state)
{
    (void)state;
    set_hangs(true);
    struct piece *running = submit_piece('c');
    await_story("c");
    writer_abandon(writer, &running->job);
    set_hangs(false);
    writer_free(writer);
    writer = NULL;
    await_story("cC");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(jobs_come_back_in_their_order),
        TEST(one_that_is_abandoned_is_discarded_wherever_it_is),
        TEST(the_end_waits_for_what_is_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
