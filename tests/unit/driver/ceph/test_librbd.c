/* SPDX-License-Identifier: Apache-2.0 */
/* driver/ceph/librbd.c: hosts without Ceph, and with too old a one. */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "driver/ceph/librbd.h"

static const char *missing_library, *missing_function;
static char library;

void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags)
{
    if (strncmp(name, "librados", 8) != 0 && strncmp(name, "librbd", 6) != 0)
        return __real_dlopen(name, flags);
    assert_int_equal(flags, RTLD_NOW | RTLD_LOCAL);
    return missing_library && strcmp(name, missing_library) == 0 ? NULL : &library;
}

void *__real_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name)
{
    if (handle != &library)
        return __real_dlsym(handle, name);
    return missing_function && strcmp(name, missing_function) == 0 ? NULL : &library;
}

static void assert_missing(void)
{
    const struct librbd *librbd = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(librbd_load(&librbd, &err), -ENOTSUP);
    assert_string_equal(err.exc, EXC_IMAGE_UNACCEPTABLE);
    assert_non_null(strstr(err.message, "Ceph's libraries cannot be used"));
    assert_null(librbd);
}

static void each_library_and_function_is_needed(void **state)
{
    static const char *const functions[] = {"rados_create", "rados_ioctx_destroy", "rbd_open",
                                            "rbd_remove"};
    const struct librbd *librbd = NULL;
    struct error err = ERROR_INIT;
    (void)state;
    missing_library = "librados.so.2";
    assert_missing();
    missing_library = "librbd.so.1";
    assert_missing();
    missing_library = NULL;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        missing_function = functions[i];
        assert_missing();
    }
    missing_function = NULL;
    assert_int_equal(librbd_load(&librbd, &err), 0);
    assert_non_null(librbd->rados_create);
    assert_non_null(librbd->rbd_remove);
    missing_library = "librbd.so.1"; /* once loaded it stays */
    assert_int_equal(librbd_load(&librbd, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_library_and_function_is_needed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
