/* SPDX-License-Identifier: Apache-2.0 */
/* tool/domain_verify.c: all images of a folder, each with what it stands on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/driver/temp_folder.h"
#include "tool/domain_verify.h"

static char text[4096];

static void run(const char *command)
{
    char line[1024];
    (void)snprintf(line, sizeof(line), "cd %s && %s", temp_folder, command);
    assert_int_equal(system(line), 0); /* NOLINT(concurrency-mt-unsafe,cert-env33-c) */
}

static enum invocation_exit verify(const char *output, bool all_disks, bool json)
{
    const struct invocation invocation = {.argument = "gone",
                                          .values = {[INVOCATION_OUTPUT] = output,
                                                     [INVOCATION_ALL_DISKS] = all_disks ? "" : NULL,
                                                     [INVOCATION_JSON] = json ? "" : NULL,
                                                     [INVOCATION_CHAIN_VERIFY] = ""}};
    memset(text, 0, sizeof(text));
    FILE *out = fmemopen(text, sizeof(text), "w");
    assert_non_null(out);
    enum invocation_exit status = domain_verify(&invocation, out);
    (void)fclose(out);
    return status;
}

static int make_images(void **state)
{
    (void)state;
    if (temp_folder_make(state) < 0)
        return -1;
    run("mkdir set empty && cd set && qemu-img create -q -f raw vdb.raw 1M && echo text "
        ">.hidden.raw "
        "&& echo text >notes && qemu-img create -q -f qcow2 -b vdb.raw -F raw vda.qcow2");
    return 0;
}

static void one_file(void **state)
{
    (void)state;
    assert_int_equal(verify(temp_path("set/vda.qcow2"), false, false), INVOCATION_DONE);
    assert_non_null(strstr(text, "2 layers, each where the one above names it\n"));
    assert_int_equal(verify(temp_path("set"), false, false), INVOCATION_FAILED);
    assert_int_equal(verify(temp_path("none"), false, false), INVOCATION_FAILED);
}

static void a_folder(void **state)
{
    (void)state;
    assert_int_equal(verify(temp_path("set"), true, false), INVOCATION_DONE);
    const char *first = strstr(text, "/set/vda.qcow2  qcow2"), *second = strstr(text, "1 layers");
    assert_true(first && second && first < second);
    assert_null(strstr(text, "hidden"));
    assert_null(strstr(text, "notes"));
    assert_int_equal(verify(temp_path("empty"), true, false), INVOCATION_FAILED);
    assert_int_equal(verify(temp_path("set/vda.qcow2"), true, false), INVOCATION_FAILED);
}

static void a_folder_for_programs(void **state)
{
    (void)state;
    assert_int_equal(verify(temp_path("set"), true, true), INVOCATION_DONE);
    json_t *root = json_loads(text, 0, NULL);
    const json_t *images = json_object_get(root, "images");
    assert_int_equal(json_array_size(images), 2);
    assert_int_equal(json_array_size(json_object_get(json_array_get(images, 0), "layers")), 2);
    json_decref(root);
}

/* What is damaged keeps no other from being looked at. */
static void one_of_a_folder_is_damaged(void **state)
{
    (void)state;
    run("mkdir torn && cp set/vdb.raw torn && qemu-img create -q -f qcow2 torn/vda.qcow2 1M && "
        "truncate -s 100k torn/vda.qcow2 && qemu-img create -q -f qcow2 -b /nowhere -F raw "
        "torn/vdc.qcow2 -u 1M");
    assert_int_equal(verify(temp_path("torn"), true, false), INVOCATION_FAILED);
    assert_non_null(strstr(text, "torn/vdb.raw  raw"));
    assert_null(strstr(text, "vdc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_file),
        cmocka_unit_test(a_folder),
        cmocka_unit_test(a_folder_for_programs),
        cmocka_unit_test(one_of_a_folder_is_damaged),
    };
    return cmocka_run_group_tests(tests, make_images, temp_folder_remove);
}
