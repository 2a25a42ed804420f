/* SPDX-License-Identifier: Apache-2.0 */
/* domain/image_check.c: a chain is whole, or the layer that is not is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "domain/image_check.h"
#include "tests/unit/driver/temp_folder.h"

static struct error err;
static struct image_chain chain;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    image_check_chain_done(&chain);
    return 0;
}

static void run(const char *command)
{
    char text[1024];
    (void)snprintf(text, sizeof(text), "cd %s && %s", temp_folder, command);
    assert_int_equal(system(text), 0); /* NOLINT(concurrency-mt-unsafe,cert-env33-c) */
}

static void a_whole_chain(void **state)
{
    (void)state;
    run("qemu-img create -q -f raw base 4M && qemu-img create -q -f qcow2 -b base -F raw middle && "
        "qemu-img create -q -f qcow2 -b middle -F qcow2 top");
    if (image_check_chain(temp_path("top"), &chain, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(chain.count, 3);
    assert_string_equal(chain.layers[0].path, temp_path("top"));
    assert_string_equal(chain.layers[1].path, temp_path("middle"));
    assert_string_equal(chain.layers[2].format, "raw");
    assert_true(chain.layers[1].is_checked && !chain.layers[2].is_checked);
    assert_int_equal(chain.layers[2].virtual_size_bytes, 4 << 20);
}

static void a_colon_in_a_name(void **state)
{
    (void)state;
    run("qemu-img create -q -f qcow2 ./nbd:base 4M && qemu-img create -q -f qcow2 -u "
        "-b ./nbd:base -F qcow2 ./top:layer 4M");
    if (image_check_chain(temp_path("top:layer"), &chain, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(chain.count, 2);
}

static void damaged(const char *command, const char *reason)
{
    run(command);
    err = (struct error)ERROR_INIT;
    assert_true(image_check_chain(temp_path("top"), &chain, &err) < 0);
    if (!strstr(err.message, reason))
        fail_msg("%s", err.message);
    image_check_chain_done(&chain);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    run("qemu-img create -q -f raw base 4M && qemu-img create -q -f qcow2 -b base -F raw middle && "
        "qemu-img create -q -f qcow2 -b middle -F qcow2 top && cp middle kept && cp top kept-top");
    damaged("qemu-io -f raw -c 'write -q -P 255 64k 4k' middle", "middle cannot be checked: ");
    damaged("cp kept middle && qemu-io -f raw -c 'write -q -P 3 131073 1' middle",
            "middle is damaged: "); /* a refcount */
    damaged("rm middle", "middle");
    damaged("cp kept middle && rm base && mkdir base", "base: it is no plain file");
    damaged("rmdir base && qemu-img create -q -f raw base 4M && rm -f middle && "
            "qemu-img create -q -f qcow2 middle 4M && "
            "qemu-img rebase -u -f qcow2 -b top -F qcow2 middle",
            "top");
    damaged("cp kept middle && cp kept-top top && qemu-img rebase -u -f qcow2 -b '' top && "
            "qemu-img create -q -f qcow2 -o data_file=data top 4M",
            "its data is in another file");
}

/* What cannot be opened is not said to be damaged. */
static void a_check_that_cannot_be_made(void **state)
{
    (void)state;
    assert_int_equal(image_check_run(temp_path("nowhere"), "qcow2", &err), -EINVAL);
    assert_non_null(strstr(err.message, "nowhere cannot be checked: "));
}

static void only_some_formats_have_a_check(void **state)
{
    (void)state;
    assert_true(image_check_can("qcow2"));
    assert_false(image_check_can("raw"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_whole_chain),
        TEST(a_colon_in_a_name),
        TEST(what_is_wrong_is_named),
        TEST(a_check_that_cannot_be_made),
        TEST(only_some_formats_have_a_check),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
