/* SPDX-License-Identifier: Apache-2.0 */
/* driver/definition/root_disk.c, with real qemu-img files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/process.h"
#include "driver/definition/root_disk.h"
#include "tests/unit/driver/temp_folder.h"

#define INSTANCE "ff63a4bd-ab90-44ed-aff7-f7630d1f1df8"
#define OTHER "0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11"

static const char *instances_path = temp_folder;

static int try_qemu_img(const char *const *argv, struct error *err)
{
    const struct process_options options = {.argv = argv, .deadline_ms = 20000};
    *err = (struct error)ERROR_INIT;
    return process_run(&options, NULL, NULL, err);
}

static void qemu_img(const char *const *argv)
{
    struct error err;
    if (try_qemu_img(argv, &err) < 0)
        fail_msg("%s", err.message);
}

/* `base` NULL: no backing file; `base_format` NULL: the header names no format. */
static void make_disk(const char *format, const char *path, const char *base,
                      const char *base_format)
{
    const char *argv[16] = {"qemu-img", "create", "-q", "-f", format};
    (void)unlink(path);
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
    return temp_folder_make(state) || mkdir(temp_path("_base"), 0755) ||
           mkdir(temp_path(INSTANCE), 0755) || mkdir(temp_path("snapshots"), 0755) ||
           mkdir(temp_path(OTHER "_resize"), 0755) || mkdir(temp_path(OTHER), 0755);
}

static const char *disk_path(void)
{
    return temp_path(INSTANCE "/disk");
}

/* What the domain definition says of the disk; for one test at a time. */
static struct disk_layer layers[DISK_LAYERS_MAX];
static struct domain_disk disk;

static void add_layer(const char *path, const char *format)
{
    struct disk_layer *layer = &layers[disk.layer_count++];
    layer->path = strdup(path);
    (void)snprintf(layer->format, DRIVER_FORMAT_MAX, "%s", format);
}

static int forget(void **state)
{
    (void)state;
    for (size_t i = 0; i < DISK_LAYERS_MAX; i++)
        free(layers[i].path);
    memset(layers, 0, sizeof(layers));
    disk = (struct domain_disk){.layers = layers};
    return 0;
}

static void describe_at(const char *path, const char *format)
{
    (void)forget(NULL);
    add_layer(path, format);
}

static void describe(const char *format)
{
    describe_at(disk_path(), format);
}

/* libvirt has opened this as the only layer below; NULL: nothing. */
static void know_backing(const char *path, const char *format)
{
    char *own_format = strdup(layers[0].format), *own_path = strdup(layers[0].path);
    describe_at(own_path, own_format);
    free(own_format);
    free(own_path);
    disk.chain_known = true;
    if (path)
        add_layer(path, format);
}

static int inspect(bool deep, struct guest_info *info, struct error *err)
{
    const struct root_disk_policy policy = {.instances_path = instances_path,
                                            .snapshots_directory = temp_path("snapshots"),
                                            .deep_image_inspection = deep};
    *err = (struct error)ERROR_INIT;
    return root_disk_inspect(&disk, INSTANCE, &policy, info, err);
}

static void assert_good(struct guest_info *ret_info)
{
    struct error err;
    *ret_info = (struct guest_info){0};
    for (int deep = 1; deep >= 0; deep--)
        if (inspect(deep, ret_info, &err) < 0)
            fail_msg("%s", err.message);
}

static void assert_refused(const char *why)
{
    struct error err;
    struct guest_info info = {0};
    assert_true(inspect(true, &info, &err) < 0);
    assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not say \"%s\"", err.message, why);
    assert_true(info.virtual_size_bytes == 0);
}

static void novas_disks_are_good(void **state)
{
    (void)state;
    struct guest_info info;
    const char *base = temp_path("_base/505e");
    make_disk("raw", base, NULL, NULL);
    make_disk("qcow2", disk_path(), base, "raw");
    describe("qcow2");
    assert_good(&info); /* stopped: the chain is not in the definition */
    know_backing(base, "raw");
    assert_good(&info);
    assert_string_equal(info.backing_path, base);
    assert_string_equal(info.backing_format, "raw");
    assert_true(info.virtual_size_bytes == 1 << 20);
    assert_true(info.cluster_size_bytes == 65536);

    make_disk("qcow2", base, NULL, NULL);
    make_disk("qcow2", disk_path(), base, "qcow2");
    know_backing(base, "qcow2");
    assert_good(&info);

    make_disk("qcow2", disk_path(), NULL, NULL);
    know_backing(NULL, NULL);
    assert_good(&info);
    assert_string_equal(info.backing_path, "");

    make_disk("raw", disk_path(), NULL, NULL);
    describe("raw");
    know_backing(NULL, NULL);
    assert_good(&info);
    assert_true(info.cluster_size_bytes == 0);
}

/* CVE-2015-7548. */
static void raw_disk_is_never_probed(void **state)
{
    (void)state;
    struct guest_info info;
    /* The guest has written a qcow2 header with somebody's file into its raw disk. */
    make_disk("qcow2", disk_path(), "/etc/passwd", "raw");
    describe("raw");
    assert_good(&info);
    assert_string_equal(info.backing_path, "");
}

static void wrong_format_is_refused(void **state)
{
    (void)state;
    make_disk("raw", disk_path(), NULL, NULL);
    describe("qcow2");
    assert_refused("not in qcow2 format");
    describe("");
    assert_refused("names no format");
    describe("no-such-format");
    assert_refused("no-such-format");
}

static void missing_disk_is_not_found(void **state)
{
    (void)state;
    struct error err;
    struct guest_info info = {0};
    make_disk("qcow2", disk_path(), temp_path("_base/gone"), "raw");
    for (int i = 0; i < 2; i++) {
        describe("qcow2");
        assert_int_equal(inspect(true, &info, &err), -ENOENT);
        assert_string_equal(err.exc, EXC_DISK_NOT_FOUND);
        (void)unlink(disk_path());
    }
}

/* CVE-2015-5163, of Glance: what a header names as the backing file would be in the image. */
static void forged_backing_names_are_refused(void **state)
{
    (void)state;
    make_disk("raw", temp_path(OTHER "/disk"), NULL, NULL);
    make_disk("raw", temp_path(OTHER "_resize/disk"), NULL, NULL);
    make_disk("raw", temp_path("loose"), NULL, NULL);
    char dotted[256], lookalike[256];
    (void)snprintf(dotted, sizeof(dotted), "%s/_base/../%s/disk", temp_folder, OTHER);
    (void)snprintf(lookalike, sizeof(lookalike), "%s.base", temp_folder);
    make_disk("raw", lookalike, NULL, NULL);
    const char *const names[] = {
        "/etc/passwd",
        temp_path(OTHER "/disk"), /* another tenant's */
        temp_path(OTHER "_resize/disk"),
        temp_path("loose"),
        dotted,
        lookalike,
        "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/etc/passwd\"}}",
        "nbd://127.0.0.1:1/x",
        "file:/etc/passwd",
        "rbd:pool/image",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        make_disk("qcow2", disk_path(), names[i], "raw");
        describe("qcow2");
        assert_refused("a base image below instances_path");
        know_backing(names[i], "raw"); /* libvirt believed it */
        assert_refused("a base image below instances_path");
    }
    (void)unlink(lookalike);
}

static void chain_of_the_guest_counts(void **state)
{
    (void)state;
    const char *base = temp_path("_base/a");
    const char *other = temp_path("_base/b");
    make_disk("raw", base, NULL, NULL);
    make_disk("raw", other, NULL, NULL);
    make_disk("qcow2", disk_path(), base, "raw");
    describe("qcow2");
    know_backing(other, "raw");
    assert_refused("not the one of the running guest");
    know_backing(base, "qcow2");
    assert_refused("format is not that of the running guest");
    know_backing(NULL, NULL);
    assert_refused("backing file that the running guest does not have");
    make_disk("qcow2", disk_path(), NULL, NULL);
    know_backing(base, "raw");
    assert_refused("lacks the backing file");
}

static void base_must_stand_alone(void **state)
{
    (void)state;
    const char *root = temp_path("_base/root");
    const char *base = temp_path("_base/chained");
    make_disk("raw", root, NULL, NULL);
    make_disk("qcow2", base, root, "raw");
    make_disk("qcow2", disk_path(), base, "qcow2");
    describe("qcow2");
    assert_refused("may not have a backing file");

    /* As raw it is harmless to us, but nova looks deeper and refuses it. */
    struct guest_info info;
    struct error err;
    make_disk("qcow2", disk_path(), base, "raw");
    assert_refused("may not have a backing file");
    assert_int_equal(inspect(false, &info, &err), 0);
}

static void base_without_recorded_format(void **state)
{
    (void)state;
    struct guest_info info;
    const char *base = temp_path("_base/unnamed");
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
    describe("qcow2");
    assert_good(&info);
    assert_string_equal(info.backing_format, "qcow2"); /* as nova: what qemu-img takes it for */
    know_backing(base, "raw");
    assert_good(&info);
    assert_string_equal(info.backing_format, "raw"); /* what libvirt takes it for */
}

static void data_in_another_file_is_refused(void **state)
{
    (void)state;
    char option[512];
    (void)snprintf(option, sizeof(option), "data_file=%s", temp_path("data"));
    const char *const argv[] = {"qemu-img", "create", "-q",        "-f", "qcow2",
                                "-o",       option,   disk_path(), "1M", NULL};
    qemu_img(argv);
    describe("qcow2");
    assert_refused("its data is in another file");

    const char *base = temp_path("_base/data");
    const char *const base_argv[] = {"qemu-img", "create", "-q", "-f", "qcow2",
                                     "-o",       option,   base, "1M", NULL};
    qemu_img(base_argv);
    make_disk("qcow2", disk_path(), base, "qcow2");
    assert_refused("its data is in another file");
}

/* A description of other files, which a base image that nobody names the format of may be. */
static void extents_in_other_files_are_refused(void **state)
{
    (void)state;
    const char *base = temp_path("_base/described");
    static const char description[] = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\n"
                                      "parentCID=ffffffff\ncreateType=\"monolithicFlat\"\n"
                                      "RW 2048 FLAT \"secret\" 0\n";
    make_disk("raw", temp_path("_base/secret"), NULL, NULL);
    FILE *file = fopen(base, "we");
    assert_non_null(file);
    assert_true(fputs(description, file) >= 0);
    (void)fclose(file);
    make_disk("qcow2", disk_path(), base, "vmdk");
    describe("qcow2");
    assert_refused("its data is in another file");

    make_disk("vmdk", base, NULL, NULL);
    struct guest_info info;
    assert_good(&info); /* nova keeps such base images where force_raw_images is off */
}

/* Writes bytes into the header of a file. */
static void forge(const char *path, long at, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    (void)fclose(file);
}

/* Not files at all, under the names of the instance's own layers and of base images. */
static void backing_files_are_plain_files(void **state)
{
    (void)state;
    const char *const names[] = {temp_path(INSTANCE "/fifo"), temp_path(INSTANCE "/folder"),
                                 temp_path(INSTANCE "/zero"), temp_path("_base/fifo"),
                                 temp_path("_base/zero")};
    assert_int_equal(mkfifo(names[0], 0600) | mkdir(names[1], 0700) | mkfifo(names[3], 0600), 0);
    assert_int_equal(symlink("/dev/zero", names[2]) | symlink("/dev/zero", names[4]), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        make_disk("qcow2", disk_path(), names[i], "raw");
        describe("qcow2");
        assert_refused("a base image below instances_path");
        know_backing(names[i], "raw");
        assert_refused("a base image below instances_path");
    }
}

/* What QEMU would need very much memory or time for, or read beyond the end of. */
static void forged_headers_are_refused(void **state)
{
    (void)state;
    static const unsigned char much[] = {0x7f, 0xff, 0xff, 0xff};
    static const unsigned char none[] = {0, 0, 0, 0}, tiny[] = {0, 0, 0, 8},
                               large[] = {0, 0, 0, 22};
    static const unsigned char crypto[] = {0x05, 0x37, 0xbe, 0x77, 0,    0,    0, 16,
                                           0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
                                           0,    0,    0,    0,    0,    0x10, 0, 0};
    static const unsigned char long_format[] = {0xe2, 0x79, 0x2a, 0xca, 0, 0, 0, 200};
    static const unsigned char bitmaps[] = {0x23, 0x85, 0x28, 0x75, 0, 0, 0, 7};
    static const unsigned char long_name[] = {0, 0, 0, 0, 0, 0, 2, 0, 0x7f, 0xff, 0xff, 0xff};
    static const struct {
        const char *what;
        long at;
        const unsigned char *bytes;
        size_t size;
    } forgeries[] = {
        {"length of the backing file's name", 8, long_name, sizeof(long_name)},
        {"size of a cluster", 20, much, sizeof(much)},
        {"clusters of one byte", 20, none, sizeof(none)},
        {"clusters smaller than a sector", 20, tiny, sizeof(tiny)},
        {"clusters larger than any", 20, large, sizeof(large)},
        {"length of the L1 table", 36, much, sizeof(much)},
        {"length of the refcounts", 56, much, sizeof(much)},
        {"number of snapshots", 60, much, sizeof(much)},
        {"a feature nobody knows", 72, much, sizeof(much)},
        {"length of the header", 100, much, sizeof(much)},
        {"length of an extension", 116, much, sizeof(much)},
        {"an extension for encryption without any", 112, crypto, sizeof(crypto)},
        {"name of a format of 200 bytes", 112, long_format, sizeof(long_format)},
        {"bitmaps of another length", 112, bitmaps, sizeof(bitmaps)},
    };
    for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
        make_disk("qcow2", disk_path(), NULL, NULL);
        describe("qcow2");
        forge(disk_path(), forgeries[i].at, forgeries[i].bytes, forgeries[i].size);
        print_message("# %s\n", forgeries[i].what);
        assert_refused("Disk info file is invalid");
    }
    (void)unlink(disk_path());
}

static void only_raw_and_plain_names_on_rbd_and_lvm(void **state)
{
    (void)state;
    struct guest_info info;
    describe_at("rbd:vms/u_disk", "raw");
    assert_good(&info);
    assert_true(info.virtual_size_bytes == 0);
    describe_at("rbd:vms/u_disk:conf=/etc/shadow", "raw");
    assert_refused("not the plain name of an RBD image");
    describe_at("rbd:vms/u_disk", "qcow2");
    assert_refused("a block device or RBD image is raw");
    describe_at("/dev/vg/u_disk", "qcow2");
    assert_refused("a block device or RBD image is raw");
}

/* A backup tool's overlays beside the disk. */
static void own_layers_are_good(void **state)
{
    (void)state;
    struct guest_info info;
    const char *base = temp_path("_base/chain");
    const char *monday = temp_path(INSTANCE "/disk.monday");
    const char *tuesday = temp_path(INSTANCE "/disk.tuesday");
    make_disk("raw", base, NULL, NULL);
    make_disk("qcow2", disk_path(), base, "raw");
    make_disk("qcow2", monday, "disk", "qcow2"); /* as libvirt calls it when it merges */
    make_disk("qcow2", tuesday, monday, "qcow2");
    describe_at(tuesday, "qcow2");
    assert_good(&info);
    disk.chain_known = true;
    assert_refused("the running guest does not have");
    add_layer(monday, "qcow2");
    add_layer(disk_path(), "qcow2");
    disk.chain_known = false; /* as a stopped guest's is, where libvirt has made the layers */
    assert_good(&info);
    disk.chain_known = true;
    assert_refused("the running guest does not have");
    add_layer(base, "raw");
    assert_good(&info);
    assert_string_equal(info.backing_path, monday);
    assert_string_equal(info.backing_format, "qcow2");
    add_layer(base, "raw");
    assert_refused("lacks the backing file");
    disk.layer_count--;
    (void)strcpy(layers[2].format, "raw");
    assert_refused("format is not that of the running guest");

    make_disk("raw", disk_path(), NULL, NULL); /* without a base image */
    describe_at(monday, "qcow2");
    make_disk("qcow2", monday, disk_path(), "raw");
    assert_good(&info);
    disk.chain_known = true;
    add_layer(disk_path(), "raw");
    assert_good(&info);
    add_layer(base, "raw");
    assert_refused("lacks the backing file");
    (void)unlink(monday);
    (void)unlink(tuesday);
}

/* Each layer is looked at as the first one is. */
static void every_layer_is_checked(void **state)
{
    (void)state;
    char data_file[512];
    const char *over = temp_path(INSTANCE "/over");
    const char *const names[] = {
        "/etc/passwd",         temp_path(OTHER "/disk"),    temp_path("snapshots/delta"),
        "nbd://127.0.0.1:1/x", "json:{\"driver\":\"raw\"}",
    };
    make_disk("raw", temp_path(OTHER "/disk"), NULL, NULL);
    make_disk("raw", temp_path("snapshots/delta"), NULL, NULL);
    make_disk("qcow2", over, disk_path(), "qcow2");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        make_disk("qcow2", disk_path(), names[i], "raw");
        describe_at(over, "qcow2");
        assert_refused("a base image below instances_path");
    }
    make_disk("raw", disk_path(), NULL, NULL);
    assert_refused("not in qcow2 format");
    (void)snprintf(data_file, sizeof(data_file), "data_file=%s", temp_path("data"));
    const char *const argv[] = {"qemu-img", "create",  "-q",        "-f", "qcow2",
                                "-o",       data_file, disk_path(), "1M", NULL};
    qemu_img(argv);
    assert_refused("its data is in another file");
    make_disk("qcow2", disk_path(), over, "qcow2");
    assert_refused("it is below itself");
    make_disk("qcow2", over, temp_path(INSTANCE "/./over"), "qcow2");
    assert_refused("it is below itself");
    (void)unlink(over);
}

/* A copy of a small file, in which the bytes `from` become `to`, of the same length. */
static void copy_with(const char *source, const char *target, const void *from, const void *to,
                      size_t length)
{
    static char content[1 << 20];
    FILE *file = fopen(source, "re");
    assert_non_null(file);
    size_t size = fread(content, 1, sizeof(content), file);
    assert_true(size > 0 && size < sizeof(content));
    (void)fclose(file);
    char *found = memmem(content, size, from, length);
    assert_non_null(found);
    memcpy(found, to, length);
    file = fopen(target, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    (void)fclose(file);
}

static void layers_are_not_without_end(void **state)
{
    (void)state;
    static const char first[] = "layer00";
    const char *path = temp_path(INSTANCE "/layer00");
    make_disk("qcow2", path, first, "qcow2"); /* the form of all others */
    for (int i = 1; i <= DISK_LAYERS_MAX; i++) {
        char name[64], below[32];
        (void)snprintf(name, sizeof(name), INSTANCE "/layer%02d", i);
        (void)snprintf(below, sizeof(below), "layer%02d", i - 1);
        path = temp_path(name);
        copy_with(temp_path(INSTANCE "/layer00"), path, first, below, sizeof(first) - 1);
    }
    describe_at(path, "qcow2");
    assert_refused("too many layers");
}

/* instances_path under another name, then and now. */
static void folders_are_what_they_are(void **state)
{
    (void)state;
    struct guest_info info;
    static char link_path[256], linked_base[512], linked_disk[512];
    const char *base = temp_path("_base/linked");
    const char *over = temp_path(INSTANCE "/over");
    (void)snprintf(link_path, sizeof(link_path), "%s.link", temp_folder);
    assert_int_equal(symlink(temp_folder, link_path), 0);
    (void)snprintf(linked_base, sizeof(linked_base), "%s/_base/linked", link_path);
    (void)snprintf(linked_disk, sizeof(linked_disk), "%s/%s/disk", link_path, INSTANCE);
    make_disk("raw", base, NULL, NULL);
    const char *const paths[] = {temp_folder, link_path};
    for (int i = 0; i < 2; i++) {
        instances_path = paths[i];
        make_disk("qcow2", disk_path(), linked_base, "raw");
        make_disk("qcow2", over, linked_disk, "qcow2");
        describe_at(over, "qcow2");
        assert_good(&info);
        disk.chain_known = true;
        add_layer(disk_path(), "qcow2"); /* libvirt may spell them in another way */
        add_layer(base, "raw");
        assert_good(&info);
        make_disk("qcow2", disk_path(), base, "raw");
        assert_good(&info);
        (void)snprintf(linked_base, sizeof(linked_base), "%s/%s/disk", link_path, OTHER);
        make_disk("qcow2", disk_path(), linked_base, "raw");
        assert_refused("a base image below instances_path");
        (void)snprintf(linked_base, sizeof(linked_base), "%s/_base/linked", link_path);
    }
    instances_path = temp_folder;
    (void)unlink(link_path);
    (void)unlink(over);
}

/* The folder of base images may be on another file system; what links lead to is what counts. */
static void links_below_instances_path(void **state)
{
    (void)state;
    struct guest_info info;
    static char instances[256];
    const char *cache = temp_path("cache"), *stray = temp_path("cache/stray");
    const char *own = temp_path("i/" INSTANCE), *other = temp_path("i/" OTHER);
    (void)snprintf(instances, sizeof(instances), "%s", temp_path("i"));
    instances_path = instances;
    assert_int_equal(mkdir(instances, 0755) | mkdir(cache, 0755) | mkdir(own, 0755), 0);
    assert_int_equal(symlink(temp_path(OTHER), other), 0);
    assert_int_equal(symlink(cache, temp_path("i/_base")), 0);
    make_disk("raw", stray, NULL, NULL);
    make_disk("raw", temp_path(OTHER "/disk"), NULL, NULL);
    make_disk("qcow2", temp_path("i/" INSTANCE "/disk"), temp_path("i/_base/stray"), "raw");
    describe_at(temp_path("i/" INSTANCE "/disk"), "qcow2");
    assert_good(&info);
    const char *const names[] = {
        stray, /* no name of instances_path */
        temp_path("i/" OTHER "/disk"),
        temp_path(OTHER "/disk"),
        temp_path("i/" INSTANCE "/foreign"),
    };
    assert_int_equal(symlink(temp_path(OTHER "/disk"), names[3]), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        make_disk("qcow2", temp_path("i/" INSTANCE "/disk"), names[i], "raw");
        assert_refused("a base image below instances_path");
    }
    instances_path = temp_folder;
}

static void make_luks(const char *path)
{
    const char *const argv[] = {"qemu-img",
                                "create",
                                "-q",
                                "--object",
                                "secret,id=s,data=x",
                                "-f",
                                "luks",
                                "-o",
                                "key-secret=s,iter-time=10",
                                path,
                                "1M",
                                NULL};
    /* qemu-img measures how fast this machine is, and gives up where the clock is too coarse. */
    struct error err;
    for (int i = 0; i < 50; i++)
        if (try_qemu_img(argv, &err) == 0)
            return;
    fail_msg("%s", err.message);
}

static void encrypted_disks_are_refused(void **state)
{
    (void)state;
    /* block/qcow2.h, QCowHeader: cluster_bits, size, crypt_method */
    static const unsigned char plain[] = {0, 0, 0, 16, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0};
    static const unsigned char aes[] = {0, 0, 0, 16, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 1};
    struct guest_info info;
    const char *base = temp_path("_base/luks"), *over = temp_path(INSTANCE "/over");
    const char *other = temp_path("_base/other");
    make_disk("raw", other, NULL, NULL);
    make_luks(base);
    make_disk("qcow2", over, NULL, NULL);
    copy_with(over, disk_path(), plain, aes, sizeof(plain));
    describe("qcow2");
    assert_refused("is encrypted");
    make_disk("qcow2", over, disk_path(), "qcow2");
    describe_at(over, "qcow2");
    assert_refused("is encrypted");
    make_disk("qcow2", disk_path(), base, "luks");
    describe("qcow2");
    assert_refused("is encrypted");
    describe_at(base, "luks");
    assert_refused("is encrypted");

    /* raw with <encryption>: only the definition tells, of whatever layer. */
    describe_at(base, "raw");
    layers[0].encrypted = true;
    assert_refused("is encrypted");
    make_disk("qcow2", disk_path(), other, "raw");
    describe("qcow2");
    know_backing(other, "raw");
    layers[1].encrypted = true;
    assert_refused("is encrypted");
    describe_at("rbd:vms/u_disk", "raw");
    layers[0].encrypted = true;
    assert_refused("is encrypted");
    describe_at("/dev/mapper/" INSTANCE "_disk-dmcrypt", "raw");
    assert_refused("is encrypted");

    /* What the guest itself encrypts is its own: the image is what it sees. */
    describe_at(base, "raw");
    assert_good(&info);
    (void)unlink(over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(novas_disks_are_good, forget),
        cmocka_unit_test_teardown(only_raw_and_plain_names_on_rbd_and_lvm, forget),
        cmocka_unit_test_teardown(raw_disk_is_never_probed, forget),
        cmocka_unit_test_teardown(wrong_format_is_refused, forget),
        cmocka_unit_test_teardown(missing_disk_is_not_found, forget),
        cmocka_unit_test_teardown(forged_backing_names_are_refused, forget),
        cmocka_unit_test_teardown(chain_of_the_guest_counts, forget),
        cmocka_unit_test_teardown(base_must_stand_alone, forget),
        cmocka_unit_test_teardown(base_without_recorded_format, forget),
        cmocka_unit_test_teardown(data_in_another_file_is_refused, forget),
        cmocka_unit_test_teardown(extents_in_other_files_are_refused, forget),
        cmocka_unit_test_teardown(backing_files_are_plain_files, forget),
        cmocka_unit_test_teardown(forged_headers_are_refused, forget),
        cmocka_unit_test_teardown(own_layers_are_good, forget),
        cmocka_unit_test_teardown(every_layer_is_checked, forget),
        cmocka_unit_test_teardown(layers_are_not_without_end, forget),
        cmocka_unit_test_teardown(folders_are_what_they_are, forget),
        cmocka_unit_test_teardown(links_below_instances_path, forget),
        cmocka_unit_test_teardown(encrypted_disks_are_refused, forget),
    };
    return cmocka_run_group_tests(tests, make_instances, temp_folder_remove);
}
