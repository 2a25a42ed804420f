/* SPDX-License-Identifier: Apache-2.0 */
/* domain/image_check.c: a chain is whole, or the layer that is not is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "domain/image_check.h"
#include "tests/unit/driver/marked_image.h"
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
    assert_int_equal(chain.layers[0].base, IMAGE_BASE_UNKNOWN); /* by qemu-img, without marks */
    assert_int_equal(chain.layers[2].base, IMAGE_BASE_NONE);
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

static void make_image(const char *name, const char *mark, const char *base, const char *base_mark)
{
    const struct qcow2_backing backing = {base, "qcow2", base_mark};
    marked_image_make(temp_path(name), 4 << 20, mark, backing);
}

/* Monday, and Tuesday and Wednesday on it. */
static void make_week(void)
{
    make_image("monday", "1.vda", NULL, NULL);
    make_image("tuesday", "2.vda", "monday", "1.vda");
    make_image("wednesday", NULL, "tuesday", "2.vda");
}

static void assert_chain(const char *name, size_t count, enum image_base base)
{
    err = (struct error)ERROR_INIT;
    if (image_check_chain(temp_path(name), &chain, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(chain.count, count);
    for (size_t i = 0; i + 1 < count; i++)
        assert_int_equal(chain.layers[i].base, i == 0 ? base : IMAGE_BASE_KNOWN);
    assert_int_equal(chain.layers[count - 1].base, IMAGE_BASE_NONE);
    image_check_chain_done(&chain);
}

static void assert_stands_on_another(const char *name, const char *layer, const char *base)
{
    err = (struct error)ERROR_INIT;
    assert_int_equal(image_check_chain(temp_path(name), &chain, &err), -EINVAL);
    image_check_chain_done(&chain);
    assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
    if (!strstr(err.message, "another image than the one it was made on") ||
        !strstr(err.message, temp_path(layer)) || !strstr(err.message, temp_path(base)))
        fail_msg("%s", err.message);
}

static void a_base_is_the_one_it_was_made_on(void **state)
{
    (void)state;
    make_week();
    assert_chain("wednesday", 3, IMAGE_BASE_KNOWN);
    make_image("wednesday", "3.vda", "tuesday", NULL); /* as an older version makes it */
    assert_chain("wednesday", 3, IMAGE_BASE_UNKNOWN);
    run("qemu-img convert -O qcow2 -B monday -F qcow2 tuesday wednesday");
    assert_chain("wednesday", 2, IMAGE_BASE_UNKNOWN);
    run("qemu-img create -q -f qcow2 -b tuesday -F qcow2 wednesday");
    assert_chain("wednesday", 3, IMAGE_BASE_UNKNOWN);
}

static void another_base_under_its_name(void **state)
{
    (void)state;
    make_week();
    make_image("monday", "4.vda", NULL, NULL);
    assert_stands_on_another("tuesday", "tuesday", "monday");
    assert_stands_on_another("wednesday", "tuesday", "monday");
    make_week();
    make_image("tuesday", "5.vda", "monday", "1.vda");
    assert_stands_on_another("wednesday", "wednesday", "tuesday");
    make_week();
    make_image("monday", "1.vdb", NULL, NULL);
    assert_stands_on_another("tuesday", "tuesday", "monday");
}

static void a_base_that_has_no_mark_any_more(void **state)
{
    (void)state;
    make_week();
    run("qemu-img convert -O qcow2 monday copy && mv copy monday");
    assert_stands_on_another("wednesday", "tuesday", "monday");
    make_week();
    run("qemu-img create -q -f raw plain 4M && qemu-img rebase -u -f qcow2 -b plain -F raw "
        "tuesday");
    assert_stands_on_another("tuesday", "tuesday", "plain");
}

/* It is whole without the image it was made on. */
static void an_increment_that_stands_alone_now(void **state)
{
    (void)state;
    make_week();
    run("rm monday && qemu-img rebase -u -f qcow2 -b '' tuesday");
    assert_chain("tuesday", 1, IMAGE_BASE_NONE);
}

static void versions_without_marks(void **state)
{
    (void)state;
    run("qemu-img create -q -f qcow2 -o compat=0.10 base 4M && "
        "qemu-img create -q -f qcow2 -o compat=0.10 -b base -F qcow2 top");
    assert_chain("top", 2, IMAGE_BASE_UNKNOWN);
    make_week();
    run("qemu-img amend -f qcow2 -o compat=0.10 tuesday && "
        "qemu-img amend -f qcow2 -o compat=0.10 monday");
    assert_chain("wednesday", 3, IMAGE_BASE_KNOWN);
}

/* What is behind `at`, as printf takes it. */
static void harm(const char *name, unsigned at, const char *bytes)
{
    char command[256];
    make_week();
    (void)snprintf(command, sizeof(command),
                   "printf '%s' | dd of=%s bs=1 seek=%u conv=notrunc status=none", bytes, name, at);
    run(command);
}

static void assert_refused(const char *name)
{
    err = (struct error)ERROR_INIT;
    assert_true(image_check_chain(temp_path("wednesday"), &chain, &err) < 0);
    image_check_chain_done(&chain);
    if (!strstr(err.message, temp_path(name)))
        fail_msg("%s", err.message);
}

static void a_header_that_was_made_to_harm(void **state)
{
    (void)state;
    static const char *const lengths[] = {"\\000\\000\\000\\120", "\\377\\377\\377\\377",
                                          "\\177\\377\\377\\377", "\\000\\001\\000\\000"};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        harm("monday", 108, lengths[i]);
        assert_refused("monday");
        harm("tuesday", 124, lengths[i]);
        assert_refused("tuesday");
        harm("tuesday", 140, lengths[i]);
        assert_refused("tuesday");
    }
    make_week();
    run("truncate -s 112 tuesday");
    assert_refused("tuesday");
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
        TEST(a_base_is_the_one_it_was_made_on),
        TEST(another_base_under_its_name),
        TEST(a_base_that_has_no_mark_any_more),
        TEST(an_increment_that_stands_alone_now),
        TEST(versions_without_marks),
        TEST(a_header_that_was_made_to_harm),
        TEST(a_check_that_cannot_be_made),
        TEST(only_some_formats_have_a_check),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
