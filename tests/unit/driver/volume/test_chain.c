/* SPDX-License-Identifier: Apache-2.0 */
/* driver/volume/chain.c: the names Cinder uses against the files there are. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "driver/volume/chain.h"
#include "tests/unit/driver/volume_files.h"

static struct error err;

/* A volume whose first layer is `name` in the temporary folder; the chain is not known. */
static struct volume_disk *disk_of(const char *name, const char *format)
{
    struct volume_disk *disk = calloc(1, sizeof(*disk));
    assert_non_null(disk);
    disk->layers = calloc(VOLUME_LAYERS_MAX, sizeof(*disk->layers));
    assert_non_null(disk->layers);
    (void)snprintf(disk->target, sizeof(disk->target), "vdb");
    assert_int_equal(volume_disk_add_layer(disk, temp_path(name), format, -1, &err), 0);
    return disk;
}

static struct volume_disk *chain_of(size_t count, const char *const *names)
{
    struct volume_disk *disk = disk_of(names[0], "qcow2");
    for (size_t i = 1; i < count; i++)
        assert_int_equal(volume_disk_add_layer(disk, temp_path(names[i]), "qcow2", -1, &err), 0);
    disk->chain_known = true;
    return disk;
}

static void assert_says(const char *text)
{
    if (!strstr(err.message, text))
        fail_msg("\"%s\" does not say \"%s\"", err.message, text);
}

static void only_file_names_are_joined(void **state)
{
    (void)state;
    static const char *const good[] = {"volume-1.a", "-b", "a b&<>'\"", "..a", "v\xc3\xa4"};
    static const char *const bad[] = {"",     ".",    "..",       "../vol", "/etc/passwd", "a/b",
                                      "a\nb", "\x7f", "nbd:host", "v\xff",  "json:{}"};
    char longest[NAME_MAX + 2];
    struct volume_disk *disk = disk_of("vol", "raw");
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        cleanup_free char *path = NULL;
        assert_int_equal(volume_chain_join(disk, good[i], &path, &err), 0);
        assert_string_equal(path, temp_path(good[i]));
    }
    memset(longest, 'a', sizeof(longest));
    longest[NAME_MAX + 1] = '\0';
    for (size_t i = 0; i <= ARRAY_SIZE(bad); i++) {
        char *path = NULL;
        const char *name = i < ARRAY_SIZE(bad) ? bad[i] : longest;
        assert_int_equal(volume_chain_join(disk, name, &path, &err), -EINVAL);
        assert_null(path);
        assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
    }
    volume_disk_free(disk);
}

static void headers_tell_the_chain(void **state)
{
    (void)state;
    make_volume();
    struct volume_disk *disk = disk_of("vol.c", "qcow2");
    assert_int_equal(volume_disk_add_layer(disk, "/what/libvirt/remembers", "raw", -1, &err), 0);
    assert_int_equal(volume_chain_read_headers(disk, &err), 0);
    assert_true(disk->chain_known);
    assert_int_equal(disk->layer_count, 4);
    assert_string_equal(disk->layers[1].path, temp_path("vol.b"));
    assert_string_equal(disk->layers[1].format, "qcow2");
    assert_string_equal(disk->layers[3].path, temp_path("vol"));
    assert_string_equal(disk->layers[3].format, "raw");
    volume_disk_free(disk);

    disk = disk_of("vol", "raw");
    assert_int_equal(volume_chain_read_headers(disk, &err), 0);
    assert_int_equal(disk->layer_count, 1);
    volume_disk_free(disk);
}

/* The share is mounted in two places, or the state path is a link: names in headers stay. */
static void directory_is_known_by_any_name(void **state)
{
    (void)state;
    char link_path[256], name[512];
    const struct volume_merge merge = {.file_to_merge = "vol.a", .merge_target_file = "vol"};
    struct volume_merge_plan plan = {0};
    make_volume();
    (void)snprintf(link_path, sizeof(link_path), "%s.link", temp_folder);
    assert_int_equal(symlink(temp_folder, link_path), 0);
    (void)snprintf(name, sizeof(name), "%s/vol.a", link_path);
    make_overlay("vol.b", name, "qcow2", "1M");
    struct volume_disk *disk = disk_of("vol.b", "qcow2");
    assert_int_equal(volume_chain_read_headers(disk, &err), 0);
    assert_int_equal(disk->layer_count, 3);
    assert_string_equal(disk->layers[1].path, name);
    assert_int_equal(volume_chain_plan(disk, &merge, &plan, &err), 0);
    assert_true(plan.commit && plan.first == 1 && plan.end == 2);
    static const char *const names[] = {"vol.b", "vol.a", "vol"};
    struct volume_disk *same = chain_of(3, names);
    const struct volume_merge_plan nothing = {.first = 1, .end = 1};
    assert_true(volume_chain_is_merged(disk, &nothing, same));
    volume_disk_free(same);
    volume_disk_free(disk);
    assert_int_equal(unlink(link_path), 0);
}

static void assert_headers_refused(const char *top, const char *format, int r, const char *text)
{
    struct volume_disk *disk = disk_of(top, format);
    err = (struct error)ERROR_INIT;
    assert_int_equal(volume_chain_read_headers(disk, &err), r);
    assert_false(disk->chain_known);
    assert_says(text);
    volume_disk_free(disk);
}

static void forged_headers_are_refused(void **state)
{
    (void)state;
    make_volume();
    make_overlay("f", "/etc/passwd", "raw", "1M");
    assert_headers_refused("f", "qcow2", -EINVAL, "outside of the volume's directory");
    make_overlay("f", "../../etc/passwd", "raw", "1M");
    assert_headers_refused("f", "qcow2", -EINVAL, "outside of the volume's directory");
    make_overlay("f", "nbd://127.0.0.1/x", "raw", "1M");
    assert_headers_refused("f", "qcow2", -EINVAL, "outside of the volume's directory");
    make_overlay("f", "vol", "raw", "1M");
    forget_format("f");
    assert_headers_refused("f", "qcow2", -EINVAL, "names no format");
    make_overlay("f", "vol", "qcow2", "1M"); /* a raw file taken for qcow2, which it is not */
    assert_headers_refused("f", "qcow2", -ECANCELED, "not in qcow2 format");
    make_overlay("f", "nowhere", "raw", "1M");
    assert_headers_refused("f", "qcow2", -ENOENT, "No disk at");
    assert_int_equal(symlink("/etc/passwd", temp_path("link")), 0);
    make_overlay("f", "link", "raw", "1M");
    assert_headers_refused("f", "qcow2", -EINVAL, "no regular file");
    assert_headers_refused("vol.a", "", -EINVAL, "names no format");
    char option[512];
    (void)snprintf(option, sizeof(option), "data_file=%s", temp_path("data"));
    const char *const data_file[] = {"qemu-img", "create", "-q",           "-f", "qcow2",
                                     "-o",       option,   temp_path("f"), "1M", NULL};
    qemu_img(data_file);
    assert_headers_refused("f", "qcow2", -EINVAL, "data is in another file");
    /* What the guest wrote into a raw volume is not looked at. */
    make_overlay("vol", "/etc/passwd", "raw", "1M");
    struct volume_disk *disk = disk_of("vol.a", "qcow2");
    assert_int_equal(volume_chain_read_headers(disk, &err), 0);
    assert_int_equal(disk->layer_count, 2);
    volume_disk_free(disk);
}

static void header_that_names_itself_ends(void **state)
{
    (void)state;
    make_overlay("loop", "loop", "qcow2", "1M");
    assert_headers_refused("loop", "qcow2", -E2BIG, "more than 200 layers");
}

static void plans_follow_cinders_names(void **state)
{
    (void)state;
    static const char *const names[] = {"vol.b", "vol.a", "vol"};
    struct volume_disk *disk = chain_of(3, names);
    static const struct {
        const char *file_to_merge, *merge_target_file;
        struct volume_merge_plan plan;
    } cases[] = {
        {"vol", NULL, {false, 1, 2}},   /* vol.a is pulled */
        {NULL, NULL, {false, 1, 3}},    /* everything is */
        {"vol.a", NULL, {false, 1, 1}}, /* it is so already */
        {"vol.a", "vol", {true, 1, 2}}, /* vol.a is committed */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct volume_merge merge = {.file_to_merge = cases[i].file_to_merge,
                                           .merge_target_file = cases[i].merge_target_file};
        struct volume_merge_plan plan = {0};
        assert_int_equal(volume_chain_plan(disk, &merge, &plan, &err), 0);
        assert_int_equal(plan.commit, cases[i].plan.commit);
        assert_int_equal(plan.first, cases[i].plan.first);
        assert_int_equal(plan.end, cases[i].plan.end);
    }
    volume_disk_free(disk);
}

static void other_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"vol.c", "vol.b", "vol.a", "vol"};
    struct volume_disk *disk = chain_of(4, names);
    static const struct {
        const char *file_to_merge, *merge_target_file, *text;
    } cases[] = {
        {"other", NULL, "file other is no layer of disk vdb"},
        {"../vol", NULL, "no file name"},
        {"/etc/passwd", NULL, "no file name"},
        {"vdb[1]", NULL, "file vdb[1] is no layer"},
        {"", NULL, "no file name"},
        {"vol.c", NULL, "what the guest writes to"},
        {"vol", NULL, "more than one layer of disk vdb lies above file vol"},
        {"vol.c", "vol.b", "cannot be merged into vol.b"},
        {"vol.b", "vol", "not right below"},
        {"vol.a", "vol.b", "not right below"},
        {"vol.a", "vol.a", "not right below"},
        {"vol.a", "other", "is no layer"},
        {"other", "vol.c", "is no layer"},
        {"vol.a", "../vol", "no file name"},
        {"vol.a", "", "no file name"},
        {NULL, "vol", "no file to merge"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct volume_merge merge = {.file_to_merge = cases[i].file_to_merge,
                                           .merge_target_file = cases[i].merge_target_file};
        struct volume_merge_plan plan = {.first = 77};
        err = (struct error)ERROR_INIT;
        assert_true(volume_chain_plan(disk, &merge, &plan, &err) < 0);
        assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
        assert_says(cases[i].text);
        assert_int_equal(plan.first, 77);
    }
    volume_disk_free(disk);
}

static void merged_chain_is_exactly_that(void **state)
{
    (void)state;
    static const char *const before_names[] = {"vol.b", "vol.a", "vol"};
    static const struct {
        size_t count;
        const char *names[3];
        bool known, merged;
    } cases[] = {
        {2, {"vol.b", "vol"}, true, true},           {2, {"vol.b", "vol"}, false, false},
        {2, {"vol.b", "vol.a"}, true, false},        {2, {"vol.a", "vol"}, true, false},
        {3, {"vol.b", "vol.a", "vol"}, true, false}, {1, {"vol.b"}, true, false},
    };
    const struct volume_merge_plan plan = {.first = 1, .end = 2};
    struct volume_disk *before = chain_of(3, before_names);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct volume_disk *now = chain_of(cases[i].count, cases[i].names);
        now->chain_known = cases[i].known;
        assert_int_equal(volume_chain_is_merged(before, &plan, now), cases[i].merged);
        volume_disk_free(now);
    }
    volume_disk_free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_file_names_are_joined),
        cmocka_unit_test(headers_tell_the_chain),
        cmocka_unit_test(directory_is_known_by_any_name),
        cmocka_unit_test(forged_headers_are_refused),
        cmocka_unit_test(header_that_names_itself_ends),
        cmocka_unit_test(plans_follow_cinders_names),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(merged_chain_is_exactly_that),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
