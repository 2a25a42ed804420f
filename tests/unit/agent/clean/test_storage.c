/* SPDX-License-Identifier: Apache-2.0 */
/* agent/clean/storage.c: whether a folder is this host's alone, as Nova and the kernel tell. */
#include "agent/clean/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static int fd;
static struct error err;

static const char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    (void)strcpy(folder, "/tmp/nsa-storage.XXXXXX");
    assert_non_null(mkdtemp(folder));
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(fd);
    (void)unlink(path_of("compute_nodes"));
    (void)unlink(path_of("etab"));
    return rmdir(folder);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int check_users(const char *text)
{
    err = (struct error)ERROR_INIT;
    write_file("compute_nodes", text);
    return clean_storage_check_users(fd, folder, "cmp1", &err);
}

static void nova_names_who_uses_the_share(void **state)
{
    (void)state;
    assert_int_equal(check_users("{\"cmp1\": 1764360000.0}"), 0);
    assert_int_equal(check_users("{\"cmp1\": 1764360000.0, \"cmp2\": 1.0}"), -EREMOTE);
    assert_non_null(strstr(err.message, "cmp2"));
    assert_int_equal(check_users("{}"), -EREMOTE);
    assert_int_equal(check_users("[\"cmp1\"]"), -EREMOTE);
    assert_int_equal(check_users("{\"cmp1\": 17643"), -EREMOTE); /* it writes it at the moment */
}

static void without_the_list_nobody_knows(void **state)
{
    (void)state;
    assert_int_equal(clean_storage_check_users(fd, folder, "cmp1", &err), -EREMOTE);
    assert_non_null(strstr(err.message, "compute_nodes"));
}

static void the_list_holds_for_one_file_system(void **state)
{
    (void)state;
    int other = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    write_file("compute_nodes", "{\"cmp1\": 1.0}");
    assert_int_equal(clean_storage_check_users(other, folder, "cmp1", &err), -EREMOTE);
    assert_non_null(strstr(err.message, "another file system"));
    (void)close(other);
}

static void what_is_exported_others_may_use(void **state)
{
    (void)state;
    assert_int_equal(clean_storage_check_exports(path_of("etab"), &err), 0);
    write_file("etab", "# Version 1.1\n# Path Client(Flags) # IPs\n\n");
    assert_int_equal(clean_storage_check_exports(path_of("etab"), &err), 0);
    write_file("etab", "# Version 1.1\n/srv\t*(rw,sync)\n");
    assert_int_equal(clean_storage_check_exports(path_of("etab"), &err), -EREMOTE);
    err = (struct error)ERROR_INIT;
    assert_true(clean_storage_check_exports(folder, &err) < 0); /* it cannot be read */
}

static void a_file_system_that_is_not_known_may_be_a_share(void **state)
{
    (void)state;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(clean_storage_check_local(proc, &err), -EREMOTE);
    assert_non_null(strstr(err.message, "type 0x9fa0"));
    (void)close(proc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nova_names_who_uses_the_share),
        TEST(without_the_list_nobody_knows),
        TEST(the_list_holds_for_one_file_system),
        TEST(what_is_exported_others_may_use),
        TEST(a_file_system_that_is_not_known_may_be_a_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
