/* SPDX-License-Identifier: Apache-2.0 */
/* driver/image/staging.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "driver/image/staging.h"
#include "tests/unit/driver/temp_folder.h"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

/* Folders of another user, as /var/lib/nova is nova's: others than root can only look on. */
static uid_t owner_above;
static char given[256];

int __wrap_stat(const char *path, struct stat *st);
int __real_stat(const char *path, struct stat *st);
int __wrap_fchown(int fd, uid_t uid, gid_t gid);

int __wrap_stat(const char *path, struct stat *st)
{
    int r = __real_stat(path, st);
    if (r == 0 && owner_above > 0) {
        st->st_uid = owner_above;
        st->st_gid = owner_above + 1;
    }
    return r;
}

int __wrap_fchown(int fd, uid_t uid, gid_t gid)
{
    char path[64], target[256];
    size_t used = strlen(given);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    target[n > 0 ? n : 0] = '\0';
    (void)snprintf(given + used, sizeof(given) - used, "%s:%u:%u ", strrchr(target, '/'), uid, gid);
    return 0;
}

static void directory_of(const struct staging *staging, char *ret_path, size_t size)
{
    (void)snprintf(ret_path, size, "%s", staging_image_path(staging));
    *strrchr(ret_path, '/') = '\0';
}

static void directory_is_private(void **state)
{
    (void)state;
    static const mode_t modes[] = {[STAGING_PRIVATE] = 0700, [STAGING_TRAVERSABLE] = 0701};
    for (int access_kind = STAGING_PRIVATE; access_kind <= STAGING_TRAVERSABLE; access_kind++) {
        struct staging *staging = NULL;
        struct error err = ERROR_INIT;
        struct stat st;
        char directory[256];
        assert_int_equal(staging_new(temp_path("a/b/c"), "", &staging, &err), 0);
        directory_of(staging, directory, sizeof(directory));
        if (access_kind == STAGING_PRIVATE)
            assert_int_equal(access(temp_path("a"), F_OK), -1); /* named, not made */
        assert_string_equal(directory, staging_directory(staging));
        assert_int_equal(staging_make(staging, (enum staging_access)access_kind, &err), 0);
        assert_int_equal(stat(directory, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[access_kind]);
        assert_string_not_equal(staging_image_path(staging), staging_delta_path(staging));
        write_file(staging_image_path(staging), "x");
        write_file(staging_delta_path(staging), "y");
        assert_int_equal(staging_remove_delta(staging, &err), 0);
        assert_int_equal(access(staging_delta_path(staging), F_OK), -1);
        assert_int_equal(staging_remove_delta(staging, &err), 0);
        staging_free(staging);
        assert_int_equal(access(directory, F_OK), -1);
    }
    staging_free(NULL);
}

/* nova-compute, which is not root, takes the snapshots when there is no agent. */
static void folders_belong_to_whose_the_one_above_is(void **state)
{
    struct error err = ERROR_INIT;
    (void)state;
    given[0] = '\0';
    assert_int_equal(staging_check(temp_path("mine/snapshots"), &err), 0);
    assert_string_equal(given, "");
    owner_above = geteuid() + 7;
    assert_int_equal(staging_check(temp_path("theirs/snapshots"), &err), 0);
    assert_int_equal(staging_check(temp_path("theirs/snapshots"), &err), 0);
    char wanted[sizeof(given)];
    (void)snprintf(wanted, sizeof(wanted), "/theirs:%u:%u /snapshots:%u:%u ", owner_above,
                   owner_above + 1, owner_above, owner_above + 1);
    owner_above = 0;
    assert_string_equal(given, wanted);
}

static void folder_is_checked(void **state)
{
    struct error err = ERROR_INIT;
    (void)state;
    assert_int_equal(staging_check(temp_path("checked/snapshots"), &err), 0);
    assert_int_equal(rmdir(temp_path("checked/snapshots")), 0); /* nothing is in it */
    write_file(temp_path("occupied"), "x");
    assert_int_equal(staging_check(temp_path("occupied/snapshots"), &err), -ENOTDIR);
    assert_non_null(strstr(err.message, "snapshots_directory cannot be used"));
    assert_non_null(strstr(err.message, temp_path("occupied")));
}

static void image_owns_the_directory(void **state)
{
    (void)state;
    struct staging *staging = NULL;
    struct image_source *image = NULL;
    struct error err = ERROR_INIT;
    char directory[256], text[16];
    assert_int_equal(staging_new(temp_path("d"), "", &staging, &err), 0);
    assert_int_equal(staging_make(staging, STAGING_PRIVATE, &err), 0);
    assert_true(staging_open_image(staging, &image, &err) < 0); /* not made yet: stays ours */
    write_file(staging_image_path(staging), "image");
    directory_of(staging, directory, sizeof(directory));
    assert_int_equal(staging_open_image(staging, &image, &err), 0);
    assert_true(image->size_bytes == 5);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(image->ops->read(image, text, sizeof(text), &err), 5);
        assert_memory_equal(text, "image", 5);
        assert_int_equal(image->ops->read(image, text, sizeof(text), &err), 0);
        assert_int_equal(image->ops->rewind(image, &err), 0);
    }
    image_source_close(image);
    assert_int_equal(access(directory, F_OK), -1);
}

/* For a later process, which finds it by its names. */
static void a_left_image_keeps_its_files(void **state)
{
    (void)state;
    struct image_source *image = NULL;
    struct staging *staging = NULL;
    struct error err = ERROR_INIT;
    char directory[256], file[64];
    assert_int_equal(staging_new(temp_path("d"), "", &staging, &err), 0);
    assert_int_equal(staging_make(staging, STAGING_PRIVATE, &err), 0);
    write_file(staging_image_path(staging), "image");
    directory_of(staging, directory, sizeof(directory));
    (void)snprintf(file, sizeof(file), "%s", staging_file(staging));
    assert_int_equal(staging_open_image(staging, &image, &err), 0);
    image_source_leave(image);
    assert_int_equal(staging_named(directory, file, &staging, &err), 0);
    assert_true(staging_claim(staging, temp_path("d")));
    assert_int_equal(staging_open_image(staging, &image, &err), 0);
    assert_true(image->size_bytes == 5);
    image_source_close(image);
    assert_int_equal(access(directory, F_OK), -1);
    image_source_leave(NULL);
}

static void unusable_places_are_told(void **state)
{
    (void)state;
    static char longname[5000];
    struct staging *staging = NULL;
    struct error err = ERROR_INIT;
    write_file(temp_path("file"), "");
    assert_int_equal(staging_new("relative", "", &staging, &err), -EINVAL);
    memset(longname, 'x', sizeof(longname) - 1);
    longname[0] = '/';
    assert_int_equal(staging_new(longname, "", &staging, &err), -EINVAL);
    assert_null(staging);
    assert_int_equal(staging_new(temp_path("file/x"), "", &staging, &err), 0);
    assert_int_equal(staging_make(staging, STAGING_PRIVATE, &err), -ENOTDIR);
    staging_free(staging);
}

/* A name that somebody else has taken is not ours to remove. */
static void taken_name_is_left_alone(void **state)
{
    (void)state;
    struct staging *staging = NULL;
    struct error err = ERROR_INIT;
    char directory[256];
    assert_int_equal(staging_new(temp_path("e"), "", &staging, &err), 0);
    directory_of(staging, directory, sizeof(directory));
    assert_int_equal(mkdir(temp_path("e"), 0755), 0);
    assert_int_equal(mkdir(directory, 0755), 0);
    assert_int_equal(staging_make(staging, STAGING_PRIVATE, &err), -EEXIST);
    staging_free(staging);
    assert_int_equal(access(directory, F_OK), 0);
}

/* What an earlier process made is found by its names and goes where its folder is ours; what it did
 * not make is no error. */
static void names_lead_back(void **state)
{
    (void)state;
    for (int made = 0; made <= 1; made++) {
        for (int ours = 0; ours <= 1; ours++) {
            struct staging *staging = NULL, *named = NULL;
            struct error err = ERROR_INIT;
            char directory[256];
            assert_int_equal(staging_new(temp_path("f"), "", &staging, &err), 0);
            directory_of(staging, directory, sizeof(directory));
            if (made) {
                assert_int_equal(staging_make(staging, STAGING_PRIVATE, &err), 0);
                write_file(staging_image_path(staging), "x");
                write_file(staging_delta_path(staging), "y");
            }
            assert_int_equal(
                staging_named(staging_directory(staging), staging_file(staging), &named, &err), 0);
            assert_string_equal(staging_image_path(named), staging_image_path(staging));
            assert_string_equal(staging_delta_path(named), staging_delta_path(staging));
            assert_int_equal(staging_claim(named, temp_path(ours ? "f" : "missing")),
                             ours || !made);
            staging_free(named);
            assert_int_equal(access(directory, F_OK) == 0, made && !ours);
            if (made && !ours)
                staging_free(staging);
            else
                staging_leave(staging);
        }
    }
}

/* A link in its place is nothing that a snapshot makes. */
static void link_is_not_claimed(void **state)
{
    (void)state;
    struct staging *staging = NULL, *named = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(staging_new(temp_path("g"), "", &staging, &err), 0);
    assert_int_equal(mkdir(temp_path("g"), 0755), 0);
    assert_int_equal(symlink("/etc", staging_directory(staging)), 0);
    assert_int_equal(staging_named(staging_directory(staging), staging_file(staging), &named, &err),
                     0);
    assert_false(staging_claim(named, temp_path("g")));
    assert_int_equal(unlink(staging_directory(staging)), 0);
    staging_leave(staging);
    staging_free(named);

    /* Nor is what cannot be looked at. */
    char directory[256];
    write_file(temp_path("h"), "no folder");
    (void)snprintf(directory, sizeof(directory), "%s/nova-snapshot-%s", temp_path("h"),
                   "0123456789abcdef0123456789abcdef");
    assert_int_equal(staging_named(directory, "0123456789abcdef0123456789abcdef", &named, &err), 0);
    assert_false(staging_claim(named, temp_path("h")));
    staging_free(named);
}

static void other_names_are_not_taken(void **state)
{
    (void)state;
#define ID "0123456789abcdef0123456789abcdef"
    static const struct {
        const char *directory, *file;
    } cases[] = {
        {"/etc", ID},
        {"/s/nova-snapshot-", ID},
        {"/s/nova-snapshot-" ID "/x", ID},
        {"s/nova-snapshot-" ID, ID},
        {"nova-snapshot-" ID, ID},
        {"/s/nova-snapshot-../0123456789abcdef012345678", ID},
        {"/snova-snapshot-" ID, ID},
        {"/s/nova-snapshot-" ID, "../" ID},
        {"/s/nova-snapshot-" ID, ""},
        {"/s/nova-snapshot-" ID, "0123456789abcdef0123456789abcdeF"},
        {"", ID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct staging *staging = NULL;
        struct error err = ERROR_INIT;
        assert_int_equal(staging_named(cases[i].directory, cases[i].file, &staging, &err), -EINVAL);
        assert_null(staging);
    }
}

/* Half of the name is the mark, half is still nobody's to guess. */
static void a_mark_is_in_the_name(void **state)
{
    (void)state;
    static const char mark[] = "00112233445566778899aabbccddeeff", other[] = "0011223344556678";
    struct staging *staging = NULL, *next = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(staging_new(temp_path("m"), mark, &staging, &err), 0);
    assert_int_equal(staging_new(temp_path("m"), mark, &next, &err), 0);
    const char *name = strrchr(staging_directory(staging), '/') + 1;
    assert_true(staging_is_name(name));
    assert_true(staging_has_mark(name, mark));
    assert_false(staging_has_mark(name, other));
    assert_false(staging_has_mark(name, ""));
    assert_string_not_equal(staging_directory(staging), staging_directory(next));
    staging_free(staging);
    staging_free(next);
    assert_int_equal(staging_new(temp_path("m"), "", &staging, &err), 0);
    assert_false(staging_has_mark(strrchr(staging_directory(staging), '/') + 1, mark));
    staging_free(staging);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directory_is_private),
        cmocka_unit_test(folders_belong_to_whose_the_one_above_is),
        cmocka_unit_test(folder_is_checked),
        cmocka_unit_test(image_owns_the_directory),
        cmocka_unit_test(unusable_places_are_told),
        cmocka_unit_test(taken_name_is_left_alone),
        cmocka_unit_test(names_lead_back),
        cmocka_unit_test(link_is_not_claimed),
        cmocka_unit_test(other_names_are_not_taken),
        cmocka_unit_test(a_left_image_keeps_its_files),
        cmocka_unit_test(a_mark_is_in_the_name),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
