/* driver/root_disk.c, with real qemu-img files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/process.h"
#include "driver/root_disk.h"
#include "tests/unit/driver/scratch.h"

#define INSTANCE "ff63a4bd-ab90-44ed-aff7-f7630d1f1df8"
#define OTHER "0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11"

static void qemu_img(const char *const *argv)
{
    struct error err = ERROR_INIT;
    const struct process_options options = {.argv = argv, .deadline_ms = 20000};
    if (process_run(&options, NULL, NULL, &err) < 0)
        fail_msg("%s", err.message);
}

/* `base` NULL: no backing file; `base_format` NULL: the header names no format. */
static void make_disk(const char *format, const char *path, const char *base,
                      const char *base_format)
{
    const char *argv[16] = {"qemu-img", "create", "-q", "-f", format};
    size_t count = 5;
    if (base) {
        argv[count++] = "-u"; /* what it names need not exist */
        argv[count++] = "-b";
        argv[count++] = base;
    }
    if (base && base_format) {
        argv[count++] = "-F";
        argv[count++] = base_format;
    }
    argv[count++] = path;
    argv[count++] = "1M";
    qemu_img(argv);
}

static int make_instances(void **state)
{
    return scratch_make(state) || mkdir(scratch_path("_base"), 0755) ||
           mkdir(scratch_path(INSTANCE), 0755) || mkdir(scratch_path(OTHER), 0755);
}

static const char *disk_path(void)
{
    return scratch_path(INSTANCE "/disk");
}

static struct domain_description describe(const char *format)
{
    struct domain_description description = {.source_type = DISK_SOURCE_FILE};
    (void)snprintf(description.disk_path, DRIVER_PATH_MAX, "%s", disk_path());
    (void)snprintf(description.disk_format, DRIVER_FORMAT_MAX, "%s", format);
    return description;
}

static void know_backing(struct domain_description *description, const char *path,
                         const char *format)
{
    description->backing_known = true;
    description->has_backing = path != NULL;
    (void)snprintf(description->backing.path, DRIVER_PATH_MAX, "%s", path ? path : "");
    (void)snprintf(description->backing.format, DRIVER_FORMAT_MAX, "%s", format ? format : "");
}

static int inspect(const struct domain_description *description, bool deep, struct guest_info *info,
                   struct error *err)
{
    const struct root_disk_policy policy = {.instances_path = scratch_directory,
                                            .deep_image_inspection = deep};
    *err = (struct error)ERROR_INIT;
    return root_disk_inspect(description, &policy, info, err);
}

static void assert_good(const struct domain_description *description, struct guest_info *ret_info)
{
    struct error err;
    *ret_info = (struct guest_info){0};
    for (int deep = 1; deep >= 0; deep--)
        if (inspect(description, deep, ret_info, &err) < 0)
            fail_msg("%s", err.message);
}

static void assert_refused(const struct domain_description *description, const char *why)
{
    struct error err;
    struct guest_info info = {0};
    assert_true(inspect(description, true, &info, &err) < 0);
    assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not say \"%s\"", err.message, why);
    assert_true(info.virtual_size_bytes == 0);
}

static void novas_disks_are_good(void **state)
{
    (void)state;
    struct guest_info info;
    const char *base = scratch_path("_base/505e");
    make_disk("raw", base, NULL, NULL);
    make_disk("qcow2", disk_path(), base, "raw");
    struct domain_description description = describe("qcow2");
    assert_good(&description, &info); /* stopped: the chain is not in the definition */
    know_backing(&description, base, "raw");
    assert_good(&description, &info);
    assert_string_equal(info.backing_path, base);
    assert_string_equal(info.backing_format, "raw");
    assert_true(info.virtual_size_bytes == 1 << 20);
    assert_true(info.cluster_size_bytes == 65536);

    make_disk("qcow2", base, NULL, NULL);
    make_disk("qcow2", disk_path(), base, "qcow2");
    know_backing(&description, base, "qcow2");
    assert_good(&description, &info);

    make_disk("qcow2", disk_path(), NULL, NULL);
    know_backing(&description, NULL, NULL);
    assert_good(&description, &info);
    assert_string_equal(info.backing_path, "");

    make_disk("raw", disk_path(), NULL, NULL);
    description = describe("raw");
    know_backing(&description, NULL, NULL);
    assert_good(&description, &info);
    assert_true(info.cluster_size_bytes == 0);
}

static void raw_disk_is_never_probed(void **state)
{
    (void)state;
    struct guest_info info;
    /* The guest has written a qcow2 header with somebody's file into its raw disk. */
    make_disk("qcow2", disk_path(), "/etc/passwd", "raw");
    struct domain_description description = describe("raw");
    assert_good(&description, &info);
    assert_string_equal(info.backing_path, "");
}

static void wrong_format_is_refused(void **state)
{
    (void)state;
    make_disk("raw", disk_path(), NULL, NULL);
    struct domain_description description = describe("qcow2");
    assert_refused(&description, "not in qcow2 format");
    description = describe("");
    assert_refused(&description, "names no format");
    description = describe("no-such-format");
    assert_refused(&description, "no-such-format");
}

static void missing_disk_is_not_found(void **state)
{
    (void)state;
    struct error err;
    struct guest_info info = {0};
    (void)unlink(disk_path());
    struct domain_description description = describe("qcow2");
    assert_int_equal(inspect(&description, true, &info, &err), -ENOENT);
    assert_string_equal(err.exc, EXC_DISK_NOT_FOUND);
}

static void forged_backing_names_are_refused(void **state)
{
    (void)state;
    make_disk("raw", scratch_path(OTHER "/disk"), NULL, NULL);
    make_disk("raw", scratch_path("loose"), NULL, NULL);
    char dotted[256], lookalike[256];
    (void)snprintf(dotted, sizeof(dotted), "%s/_base/../%s/disk", scratch_directory, OTHER);
    (void)snprintf(lookalike, sizeof(lookalike), "%s2/_base/x", scratch_directory);
    const char *const names[] = {
        "/etc/passwd",
        scratch_path(OTHER "/disk"), /* another tenant's */
        scratch_path("loose"),
        dotted,
        lookalike,
        "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/etc/passwd\"}}",
        "nbd://127.0.0.1:1/x",
        "file:/etc/passwd",
        "rbd:pool/image",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        make_disk("qcow2", disk_path(), names[i], "raw");
        struct domain_description description = describe("qcow2");
        assert_refused(&description, "not a base image below instances_path");
        know_backing(&description, names[i], "raw"); /* libvirt believed it */
        assert_refused(&description, "not a base image below instances_path");
    }
}

static void chain_of_the_guest_counts(void **state)
{
    (void)state;
    const char *base = scratch_path("_base/a");
    const char *other = scratch_path("_base/b");
    make_disk("raw", base, NULL, NULL);
    make_disk("raw", other, NULL, NULL);
    make_disk("qcow2", disk_path(), base, "raw");
    struct domain_description description = describe("qcow2");
    know_backing(&description, other, "raw");
    assert_refused(&description, "not the one of the running guest");
    know_backing(&description, base, "qcow2");
    assert_refused(&description, "format is not that of the running guest");
    know_backing(&description, NULL, NULL);
    assert_refused(&description, "backing file that the running guest does not have");
    make_disk("qcow2", disk_path(), NULL, NULL);
    know_backing(&description, base, "raw");
    assert_refused(&description, "lacks the backing file");
}

static void base_must_stand_alone(void **state)
{
    (void)state;
    const char *root = scratch_path("_base/root");
    const char *base = scratch_path("_base/chained");
    make_disk("raw", root, NULL, NULL);
    make_disk("qcow2", base, root, "raw");
    make_disk("qcow2", disk_path(), base, "qcow2");
    struct domain_description description = describe("qcow2");
    assert_refused(&description, "may not have a backing file");

    /* As raw it is harmless to us, but nova looks deeper and refuses it. */
    struct guest_info info;
    struct error err;
    make_disk("qcow2", disk_path(), base, "raw");
    assert_refused(&description, "may not have a backing file");
    assert_int_equal(inspect(&description, false, &info, &err), 0);
}

static void base_without_recorded_format(void **state)
{
    (void)state;
    struct guest_info info;
    const char *base = scratch_path("_base/unnamed");
    make_disk("qcow2", base, NULL, NULL);
    make_disk("qcow2", disk_path(), base, "raw");
    /* qemu-img makes no header without a format any more; take the extension away by hand. */
    FILE *file = fopen(disk_path(), "r+e");
    static const unsigned char extension[] = {0xe2, 0x79, 0x2a, 0xca};
    unsigned char header[512];
    assert_non_null(file);
    assert_int_equal(fread(header, 1, sizeof(header), file), sizeof(header));
    unsigned char *found = memmem(header, sizeof(header), extension, sizeof(extension));
    assert_non_null(found);
    assert_int_equal(fseek(file, found - header, SEEK_SET), 0);
    assert_int_equal(fwrite("\x12\x34\x56\x78", 1, 4, file), 4); /* unknown: to be ignored */
    fclose(file);
    struct domain_description description = describe("qcow2");
    assert_good(&description, &info);
    assert_string_equal(info.backing_format, "qcow2"); /* as nova: what qemu-img takes it for */
    know_backing(&description, base, "raw");
    assert_good(&description, &info);
    assert_string_equal(info.backing_format, "raw"); /* what libvirt takes it for */
}

static void data_in_another_file_is_refused(void **state)
{
    (void)state;
    char option[512];
    (void)snprintf(option, sizeof(option), "data_file=%s", scratch_path("data"));
    const char *const argv[] = {"qemu-img", "create", "-q",        "-f", "qcow2",
                                "-o",       option,   disk_path(), "1M", NULL};
    qemu_img(argv);
    struct domain_description description = describe("qcow2");
    assert_refused(&description, "its data is in another file");

    const char *base = scratch_path("_base/data");
    const char *const base_argv[] = {"qemu-img", "create", "-q", "-f", "qcow2",
                                     "-o",       option,   base, "1M", NULL};
    qemu_img(base_argv);
    make_disk("qcow2", disk_path(), base, "qcow2");
    assert_refused(&description, "its data is in another file");
}

static void only_raw_and_plain_names_on_rbd_and_lvm(void **state)
{
    (void)state;
    struct guest_info info;
    struct domain_description description = describe("raw");
    description.source_type = DISK_SOURCE_RBD;
    (void)strcpy(description.disk_path, "rbd:vms/u_disk");
    assert_good(&description, &info);
    assert_true(info.virtual_size_bytes == 0);
    (void)strcpy(description.disk_path, "rbd:vms/u_disk:conf=/etc/shadow");
    assert_refused(&description, "not the plain name of an RBD image");
    (void)strcpy(description.disk_path, "rbd:vms/u_disk");
    (void)strcpy(description.disk_format, "qcow2");
    assert_refused(&description, "a block device or RBD image is raw");
    description.source_type = DISK_SOURCE_LVM;
    (void)strcpy(description.disk_path, "/dev/vg/u_disk");
    assert_refused(&description, "a block device or RBD image is raw");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(novas_disks_are_good),
        cmocka_unit_test(only_raw_and_plain_names_on_rbd_and_lvm),
        cmocka_unit_test(raw_disk_is_never_probed),
        cmocka_unit_test(wrong_format_is_refused),
        cmocka_unit_test(missing_disk_is_not_found),
        cmocka_unit_test(forged_backing_names_are_refused),
        cmocka_unit_test(chain_of_the_guest_counts),
        cmocka_unit_test(base_must_stand_alone),
        cmocka_unit_test(base_without_recorded_format),
        cmocka_unit_test(data_in_another_file_is_refused),
    };
    return cmocka_run_group_tests(tests, make_instances, scratch_remove);
}
