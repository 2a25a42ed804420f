/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver/image/qemu_img.c and the stream, given images that were made to harm: the real helpers
 * open nothing but the image, and eat no memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/process.h"
#include "driver/image/image_stream.h"
#include "driver/image/qemu_img.h"
#include "tests/unit/driver/temp_folder.h"

#define SECRET "what belongs to another tenant"
#define STALL_TIMEOUT_S 20

static struct error err;
static char image[512], target[512], secret[512], socket_path[100];

/* A server that nobody may come to. */
static int listener = -1;

static int make_world(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (temp_folder_make(state) != 0)
        return -1;
    (void)snprintf(image, sizeof(image), "%s", temp_path("image"));
    (void)snprintf(target, sizeof(target), "%s", temp_path("target"));
    (void)snprintf(secret, sizeof(secret), "%s", temp_path("secret"));
    (void)snprintf(socket_path, sizeof(socket_path), "%s", temp_path("socket"));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 8);
}

static int remove_world(void **state)
{
    (void)close(listener);
    return temp_folder_remove(state);
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    (void)unlink(image);
    (void)unlink(target);
    return 0;
}

static void assert_nobody_came(void)
{
    cleanup_close int fd = accept(listener, NULL, NULL);
    assert_int_equal(fd, -1);
    assert_int_equal(errno, EAGAIN);
}

static void qemu_img(const char *const *argv)
{
    const struct process_options options = {.argv = argv, .deadline_ms = 20000};
    if (process_run(&options, NULL, NULL, &err) < 0)
        fail_msg("%s", err.message);
}

static void write_file(const char *path, long at, const void *bytes, size_t size)
{
    FILE *file = fopen(path, at == 0 ? "we" : "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A qcow2 file with a backing file of that name, which need not exist. */
static void make_qcow2(const char *backing)
{
    const char *const argv[] = {"qemu-img", "create", "-q",  "-u",  "-f", "qcow2", "-b",
                                backing,    "-F",     "raw", image, "1M", NULL};
    qemu_img(argv);
}

static int convert(const char *format, const char *target_format)
{
    const struct qemu_img_conversion conversion = {.source_path = image,
                                                   .source_format = format,
                                                   .target_path = target,
                                                   .target_format = target_format,
                                                   .stall_timeout_s = STALL_TIMEOUT_S};
    err = (struct error)ERROR_INIT;
    return qemu_img_convert(&conversion, &err);
}

static int stream(const char *format, struct image_source **ret_source)
{
    const struct image_stream_disk disk = {image, format, 0, STALL_TIMEOUT_S};
    err = (struct error)ERROR_INIT;
    return image_stream_of_disk(&disk, "raw", ret_source, &err);
}

/* The chain is checked before; this is what holds should a check have a hole. */
static void no_helper_connects_to_what_a_header_names(void **state)
{
    (void)state;
    char names[4][1200];
    struct image_source *source = NULL;
    uint64_t bytes = 0;
    (void)snprintf(names[0], sizeof(names[0]), "nbd+unix:///?socket=%s", socket_path);
    (void)snprintf(names[1], sizeof(names[1]), "nbd:unix:%s", socket_path);
    (void)snprintf(names[2], sizeof(names[2]),
                   "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"nbd\",\"server\":"
                   "{\"type\":\"unix\",\"path\":\"%s\"}}}",
                   socket_path);
    (void)snprintf(names[3], sizeof(names[3]), "nbd://127.0.0.1:1/x");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        print_message("# %s\n", names[i]);
        make_qcow2(names[i]);
        assert_true(convert("qcow2", "raw") < 0);
        assert_non_null(strstr(err.message, "Permission denied"));
        assert_true(qemu_img_measure(image, "qcow2", &bytes, &err) < 0);
        assert_true(stream("qcow2", &source) < 0);
        assert_nobody_came();
        (void)unlink(image);
    }
}

/* CVE-2024-4467: looking at it was enough. */
static void a_look_opens_no_data_file(void **state)
{
    (void)state;
    static const unsigned char data_file[] = {0x44, 0x41, 0x54, 0x41}; /* "DATA" */
    char option[600], name[600];
    unsigned char extension[608] = {0};
    struct qemu_img_info info = {0};
    (void)snprintf(option, sizeof(option), "data_file=%s", temp_path("data"));
    const char *const argv[] = {"qemu-img", "create", "-q",  "-f", "qcow2",
                                "-o",       option,   image, "1M", NULL};
    qemu_img(argv);
    /* The name's own place is too short: the extensions begin anew, behind the header of 112 bytes.
     */
    int length = snprintf(name, sizeof(name),
                          "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"nbd\",\"server\":"
                          "{\"type\":\"unix\",\"path\":\"%s\"}}}",
                          socket_path);
    assert_true(length > 0 && length < 256);
    memcpy(extension, data_file, sizeof(data_file));
    extension[7] = (unsigned char)length;
    memcpy(extension + 8, name, (size_t)length);
    write_file(image, 112, extension, sizeof(extension));
    if (qemu_img_info(image, "qcow2", &info, &err) == 0)
        assert_true(info.has_data_file);
    else
        assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
    assert_true(convert("qcow2", "raw") < 0);
    assert_nobody_came();
}

/* CVE-2024-32498: a description whose extents are elsewhere. */
static void a_look_opens_no_extents(void **state)
{
    (void)state;
    char description[1200];
    struct qemu_img_info info = {0};
    write_file(secret, 0, SECRET, sizeof(SECRET));
    const char *const extents[] = {secret, "nbd+unix:///?socket=", "json:{}"};
    for (size_t i = 0; i < ARRAY_SIZE(extents); i++) {
        int length = snprintf(description, sizeof(description),
                              "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
                              "createType=\"monolithicFlat\"\nRW 1 FLAT \"%s%s\" 0\n",
                              extents[i], i == 1 ? socket_path : "");
        write_file(image, 0, description, (size_t)length);
        for (int given = 0; given < 2; given++) {
            err = (struct error)ERROR_INIT;
            if (qemu_img_info(image, given ? "vmdk" : NULL, &info, &err) == 0)
                assert_true(info.has_data_file);
            else
                assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
        }
        assert_nobody_came();
    }
}

static void assert_is_copy(const unsigned char *content, size_t size)
{
    static unsigned char copy[1 << 20];
    FILE *file = fopen(target, "re");
    assert_non_null(file);
    assert_int_equal(fread(copy, 1, sizeof(copy), file), size);
    assert_memory_equal(copy, content, size);
    (void)fclose(file);
}

/* CVE-2024-40767: a guest has made its raw disk look like another format. */
static void a_raw_disk_is_read_as_it_is(void **state)
{
    (void)state;
    static unsigned char content[1 << 20];
    struct image_source *source = NULL;
    write_file(secret, 0, SECRET, sizeof(SECRET));
    make_qcow2(secret);
    FILE *file = fopen(image, "re");
    assert_non_null(file);
    size_t size = fread(content, 1, sizeof(content), file) / 512 * 512;
    (void)fclose(file);
    assert_true(size > 512 && size < sizeof(content));
    assert_int_equal(truncate(image, (off_t)size), 0);
    assert_int_equal(convert("raw", "raw"), 0);
    assert_is_copy(content, size);
    assert_int_equal(stream("raw", &source), 0);
    assert_int_equal(source->size_bytes, size);
    image_source_close(source);
}

/* A VDI header may ask for a table of 2 GiB, which QEMU reads. */
static void a_look_eats_no_memory(void **state)
{
    (void)state;
    static const unsigned char blocks[] = {0x80, 0xff, 0xff, 0x1f};
    static const unsigned char bytes[] = {0, 0, 0, 0xf8, 0xff, 0xff, 0x01, 0};
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "vdi", image, "1M", NULL};
    struct qemu_img_info info = {0};
    for (int given = 0; given < 2; given++) {
        qemu_img(argv);
        write_file(image, 0x170, bytes, sizeof(bytes));
        write_file(image, 0x180, blocks, sizeof(blocks));
        assert_int_equal(truncate(image, (off_t)3 << 30), 0);
        err = (struct error)ERROR_INIT;
        assert_true(qemu_img_info(image, given ? "vdi" : NULL, &info, &err) < 0);
        assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
        assert_non_null(strstr(err.message, "Cannot allocate memory"));
        (void)unlink(image);
    }
}

/* The largest L1 table that QEMU takes is no reason to fail. */
static void a_large_table_is_read(void **state)
{
    (void)state;
    static const unsigned char entries[] = {0x00, 0x40, 0x00, 0x00};
    struct qemu_img_info info = {0};
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", image, "1M", NULL};
    qemu_img(argv);
    write_file(image, 36, entries, sizeof(entries));
    assert_int_equal(truncate(image, (off_t)1 << 30), 0);
    if (qemu_img_info(image, "qcow2", &info, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(info.virtual_size_bytes, 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_helper_connects_to_what_a_header_names, set_up),
        cmocka_unit_test_setup(a_look_opens_no_data_file, set_up),
        cmocka_unit_test_setup(a_look_opens_no_extents, set_up),
        cmocka_unit_test_setup(a_raw_disk_is_read_as_it_is, set_up),
        cmocka_unit_test_setup(a_look_eats_no_memory, set_up),
        cmocka_unit_test_setup(a_large_table_is_read, set_up),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
