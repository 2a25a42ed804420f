/* SPDX-License-Identifier: Apache-2.0 */
/* driver/image/qemu_img.c: arguments, answers, and the helper replaced by a recorder or the real
 * one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/process_server.h"
#include "driver/image/qemu_img.h"
#include "tests/unit/canceller.h"
#include "tests/unit/driver/temp_folder.h"

static void assert_arguments(const struct qemu_img_conversion *conversion, bool direct_io,
                             const char *expected)
{
    const char *argv[QEMU_IMG_ARGUMENTS_MAX];
    char line[1024] = "";
    qemu_img_convert_arguments(conversion, direct_io, "1048576", argv);
    for (size_t i = 0; argv[i]; i++) {
        size_t used = strlen(line);
        (void)snprintf(line + used, sizeof(line) - used, "%s%s", i ? " " : "", argv[i]);
    }
    assert_string_equal(line, expected);
}

static void conversion_arguments(void **state)
{
    (void)state;
    struct qemu_img_conversion conversion = {.source_path = "/s/x.delta",
                                             .source_format = "qcow2",
                                             .target_path = "/s/x",
                                             .target_format = "qcow2"};
    assert_arguments(&conversion, true,
                     "qemu-img convert -p -t none -f qcow2 -O qcow2 -W /s/x.delta /s/x");
    conversion.force_share = true;
    assert_arguments(&conversion, true,
                     "qemu-img convert -p -U -t none -f qcow2 -O qcow2 -W /s/x.delta /s/x");
    conversion.force_share = false;
    conversion.bytes_per_s = 1 << 20;
    assert_arguments(&conversion, true,
                     "qemu-img convert -p -r 1048576 -t none -f qcow2 -O qcow2 -W /s/x.delta /s/x");
    conversion.bytes_per_s = 0;
    conversion.compress = true;
    conversion.compression_type = "zlib";
    assert_arguments(&conversion, true,
                     "qemu-img convert -p -t none -f qcow2 -O qcow2 -c /s/x.delta /s/x");
    conversion.compression_type = "zstd";
    assert_arguments(&conversion, true,
                     "qemu-img convert -p -t none -f qcow2 -O qcow2 -o compression_type=zstd -c "
                     "/s/x.delta /s/x");
    conversion.source_format = "raw";
    conversion.target_format = "raw";
    assert_arguments(&conversion, false,
                     "qemu-img convert -p -t writeback -f raw -O raw -W /s/x.delta /s/x");
    conversion.target_format = "vmdk";
    assert_arguments(&conversion, false,
                     "qemu-img convert -p -t writeback -f raw -O vmdk /s/x.delta /s/x");
}

static int parse(const char *text, struct qemu_img_info *ret_info, struct error *err)
{
    return qemu_img_parse_info(text, strlen(text), "/i/disk", ret_info, err);
}

static void info_is_read(void **state)
{
    (void)state;
    struct qemu_img_info info;
    struct error err = ERROR_INIT;
    assert_int_equal(
        parse("{\"backing-filename-format\": \"raw\", \"virtual-size\": 134217728,"
              " \"filename\": \"disk\", \"cluster-size\": 65536, \"format\": \"qcow2\","
              " \"actual-size\": 204800, \"format-specific\": {\"type\": \"qcow2\", \"data\": {"
              " \"compat\": \"1.1\", \"corrupt\": false}},"
              " \"full-backing-filename\": \"/i/_base/b\", \"backing-filename\": \"../_base/b\"}",
              &info, &err),
        0);
    assert_string_equal(info.format, "qcow2");
    assert_true(info.virtual_size_bytes == 134217728);
    assert_true(info.cluster_size_bytes == 65536);
    assert_string_equal(info.backing_path, "/i/_base/b");
    assert_string_equal(info.backing_format, "raw");
    assert_false(info.has_data_file);
}

static void hidden_files_are_seen(void **state)
{
    (void)state;
    struct qemu_img_info info;
    struct error err = ERROR_INIT;
    assert_int_equal(parse("{\"virtual-size\": 1, \"format\": \"qcow2\", \"backing-filename\":"
                           " \"json:{\\\"driver\\\":\\\"file\\\"}\"}",
                           &info, &err),
                     0);
    assert_string_equal(info.backing_path, "json:{\"driver\":\"file\"}");
    assert_int_equal(parse("{\"virtual-size\": 1, \"format\": \"qcow2\", \"format-specific\":"
                           " {\"data\": {\"data-file\": \"/etc/shadow\"}}}",
                           &info, &err),
                     0);
    assert_true(info.has_data_file);
}

static void hostile_info_is_refused(void **state)
{
    (void)state;
    static char longname[3 * DRIVER_PATH_MAX];
    static const char *const texts[] = {
        "",
        "[]",
        "null",
        "{\"format\": \"qcow2\"",
        "{\"format\": \"qcow2\"}",
        "{\"virtual-size\": 1}",
        "{\"virtual-size\": -1, \"format\": \"raw\"}",
        "{\"virtual-size\": 1e30, \"format\": \"raw\"}",
        "{\"virtual-size\": 99999999999999999999999, \"format\": \"raw\"}",
        "{\"virtual-size\": \"1\", \"format\": \"raw\"}",
        "{\"virtual-size\": 1, \"format\": 7}",
        "{\"virtual-size\": 1, \"format\": \"\"}",
        "{\"virtual-size\": 1, \"format\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
        "{\"virtual-size\": 1, \"format\": \"raw\", \"cluster-size\": -5}",
        "{\"virtual-size\": 1, \"format\": \"raw\", \"backing-filename\": null}",
        "{\"virtual-size\": 1, \"format\": \"raw\", \"backing-filename\": {}}",
        longname,
    };
    (void)snprintf(longname, sizeof(longname),
                   "{\"virtual-size\": 1, \"format\": \"raw\", \"backing-filename\": \"/%0*d\"}",
                   2 * DRIVER_PATH_MAX, 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct qemu_img_info info = {.format = "untouched"};
        struct error err = ERROR_INIT;
        assert_int_equal(parse(texts[i], &info, &err), -EINVAL);
        assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
        assert_non_null(strstr(err.message, "/i/disk"));
        assert_string_equal(info.format, "untouched");
    }
}

static void made_overlay_can_be_read_back(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct qemu_img_info info;
    const char *base = temp_path("base,with,commas");
    const char *path = temp_path("overlay");
    const struct qemu_img_overlay plain = {.path = base, .size_bytes = 3 << 20};
    assert_int_equal(qemu_img_create_overlay(&plain, &err), 0);
    const struct qemu_img_overlay overlay = {.path = path,
                                             .size_bytes = (4 << 20) + 512,
                                             .cluster_size_bytes = 4096,
                                             .backing_path = base,
                                             .backing_format = "qcow2"};
    assert_int_equal(qemu_img_create_overlay(&overlay, &err), 0);
    assert_int_equal(qemu_img_info(path, "qcow2", &info, &err), 0);
    assert_true(info.virtual_size_bytes == overlay.size_bytes);
    assert_true(info.cluster_size_bytes == 4096);
    assert_string_equal(info.backing_path, base);
    assert_string_equal(info.backing_format, "qcow2");
    assert_int_equal(qemu_img_info(base, NULL, &info, &err), 0);
    assert_string_equal(info.format, "qcow2");
    assert_string_equal(info.backing_path, "");
}

/* Not of what it stands on, which has content. */
static void a_layer_that_was_written_to(void **state)
{
    (void)state;
    static const char *const writes[] = {"write 1M 512", "write -z 1M 64k"};
    char command[1024];
    struct error err = ERROR_INIT;
    const char *base = temp_path("base, full"), *path = temp_path("layer, empty");
    const struct qemu_img_overlay plain = {.path = base, .size_bytes = 3 << 20};
    const struct qemu_img_overlay overlay = {
        .path = path, .size_bytes = 3 << 20, .backing_path = base, .backing_format = "qcow2"};
    assert_int_equal(qemu_img_create_overlay(&plain, &err), 0);
    (void)snprintf(command, sizeof(command), "qemu-io -f qcow2 -c 'write 0 3M' '%s' >/dev/null",
                   base);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        bool is_empty = false;
        assert_int_equal(qemu_img_create_overlay(&overlay, &err), 0);
        assert_int_equal(qemu_img_layer_is_empty(path, &is_empty, &err), 0);
        assert_true(is_empty);
        (void)snprintf(command, sizeof(command), "qemu-io -f qcow2 -c '%s' '%s' >/dev/null",
                       writes[i], path);
        assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
        assert_int_equal(qemu_img_layer_is_empty(path, &is_empty, &err), 0);
        assert_false(is_empty);
    }
    assert_int_equal(unlink(path), 0);
    assert_true(qemu_img_layer_is_empty(path, &(bool){false}, &err) < 0);
    assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
}

static void failures_have_novas_classes(void **state)
{
    (void)state;
    struct qemu_img_info info;
    struct error err = ERROR_INIT;
    assert_int_equal(qemu_img_info(temp_path("absent"), "raw", &info, &err), -ENOENT);
    assert_string_equal(err.exc, EXC_DISK_NOT_FOUND);

    FILE *file = fopen(temp_path("text"), "we");
    assert_non_null(file);
    assert_true(fputs("no qcow2", file) >= 0);
    fclose(file);
    err = (struct error)ERROR_INIT;
    assert_int_equal(qemu_img_info(temp_path("text"), "qcow2", &info, &err), -ECANCELED);
    assert_string_equal(err.exc, EXC_INVALID_DISK_INFO);
    assert_non_null(strstr(err.message, "not in qcow2 format"));

    const struct qemu_img_conversion conversion = {.source_path = temp_path("text"),
                                                   .source_format = "qcow2",
                                                   .target_path = temp_path("out"),
                                                   .target_format = "raw",
                                                   .stall_timeout_s = 10};
    err = (struct error)ERROR_INIT;
    assert_int_equal(qemu_img_convert(&conversion, &err), -ECANCELED);
    assert_string_equal(err.exc, EXC_IMAGE_UNACCEPTABLE);
}

static void conversion_flattens(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct qemu_img_info info;
    const struct qemu_img_overlay base = {.path = temp_path("cbase"), .size_bytes = 1 << 20};
    const struct qemu_img_overlay overlay = {.path = temp_path("coverlay"),
                                             .size_bytes = 1 << 20,
                                             .backing_path = base.path,
                                             .backing_format = "qcow2"};
    assert_int_equal(qemu_img_create_overlay(&base, &err), 0);
    assert_int_equal(qemu_img_create_overlay(&overlay, &err), 0);
    static const char *const formats[] = {"raw", "qcow2", "vmdk", "vdi"};
    for (size_t i = 0; i < 4; i++) {
        const struct qemu_img_conversion conversion = {.source_path = overlay.path,
                                                       .source_format = "qcow2",
                                                       .target_path = temp_path(formats[i]),
                                                       .target_format = formats[i],
                                                       .compress = true,
                                                       .compression_type = "zlib",
                                                       .stall_timeout_s = 30};
        assert_int_equal(qemu_img_convert(&conversion, &err), 0);
        assert_int_equal(qemu_img_info(conversion.target_path, NULL, &info, &err), 0);
        assert_string_equal(info.format, formats[i]);
        assert_string_equal(info.backing_path, "");
        assert_true(info.virtual_size_bytes == 1 << 20);
    }
}

/* As a backup job shows a disk: the filter of system calls lets it connect there. */
static void conversion_of_what_a_socket_shows(void **state)
{
    (void)state;
    char source[512];
    struct stat st;
    struct error err = ERROR_INIT;
    struct process_server *server = NULL;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct qemu_img_overlay disk = {.path = temp_path("shown"), .size_bytes = 3 << 20};
    const char *const argv[] = {"qemu-nbd", "-x", "vda", "-r", "-f", "qcow2", disk.path, NULL};
    const struct qemu_img_conversion conversion = {.source_path = source,
                                                   .source_format = "raw",
                                                   .target_path = temp_path("converted"),
                                                   .target_format = "raw",
                                                   .stall_timeout_s = 30};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.64s", temp_path("nbd"));
    (void)snprintf(source, sizeof(source), "nbd:unix:%s:exportname=vda", address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)) | listen(fd, 1), 0);
    assert_int_equal(qemu_img_create_overlay(&disk, &err), 0);
    assert_int_equal(process_server_start(argv, fd, PROCESS_SANDBOX_FILES, &server, &err), 0);
    (void)close(fd);
    if (qemu_img_convert(&conversion, &err) < 0)
        fail_msg("%s", err.message);
    process_server_end(server);
    assert_int_equal(stat(conversion.target_path, &st), 0);
    assert_int_equal(st.st_size, 3 << 20);
}

/* A stand-in for qemu-img that hangs, found first in PATH. */
static void stalled_conversion_is_given_up(void **state)
{
    (void)state;
    char path[4096];
    char *old = strdup(getenv("PATH")); /* NOLINT(concurrency-mt-unsafe) */
    FILE *file = fopen(temp_path("qemu-img"), "we");
    assert_non_null(file);
    assert_true(fputs("#!/bin/sh\nkill -STOP $$\n", file) >= 0);
    fclose(file);
    assert_int_equal(chmod(temp_path("qemu-img"), 0755), 0);
    (void)snprintf(path, sizeof(path), "%s:%s", temp_folder, old);
    setenv("PATH", path, 1); /* NOLINT(concurrency-mt-unsafe) */
    const struct qemu_img_conversion conversion = {.source_path = "/s",
                                                   .source_format = "raw",
                                                   .target_path = temp_path("never"),
                                                   .target_format = "raw",
                                                   .stall_timeout_s = 1};
    struct error err = ERROR_INIT;
    int r = qemu_img_convert(&conversion, &err);
    setenv("PATH", old, 1); /* NOLINT(concurrency-mt-unsafe) */
    free(old);
    assert_int_equal(r, -ETIMEDOUT);
    assert_string_equal(err.exc, EXC_IMAGE_UNACCEPTABLE);
    assert_non_null(strstr(err.message, "no progress for 1000 ms"));
}

/* The reason is told, not that the helper was killed. */
static void cancelled_helpers_tell_the_reason(void **state)
{
    (void)state;
    struct canceller canceller;
    struct qemu_img_info info;
    const char *path = temp_path("cancelled");
    const struct qemu_img_overlay overlay = {.path = path, .size_bytes = 1 << 20};
    const struct qemu_img_conversion conversion = {.source_path = path,
                                                   .source_format = "qcow2",
                                                   .target_path = temp_path("target"),
                                                   .target_format = "qcow2",
                                                   .stall_timeout_s = 60};
    struct error err = ERROR_INIT;
    assert_int_equal(qemu_img_create_overlay(&overlay, &err), 0);
    canceller_enter(&canceller);
    canceller_request(&canceller);
    assert_cancelled(qemu_img_info(path, "qcow2", &info, &err), &err);
    assert_cancelled(qemu_img_convert(&conversion, &err), &err);
    canceller_leave(&canceller);
}

/* QEMU takes a name for an ID first. */
static void snapshots_are_counted(void **state)
{
    (void)state;
    char command[512];
    struct error err = ERROR_INIT;
    size_t count = 2;
    const char *path = temp_path("counted");
    (void)snprintf(command, sizeof(command),
                   "qemu-img create -q -f qcow2 %s 1M && qemu-img snapshot -c before %s && "
                   "qemu-img snapshot -c 1 %s",
                   path, path, path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    assert_int_equal(qemu_img_count_snapshots(path, "before", &count, &err), 0);
    assert_int_equal(count, 1);
    assert_int_equal(qemu_img_count_snapshots(path, "none", &count, &err), 0);
    assert_int_equal(count, 0);
    assert_int_equal(qemu_img_count_snapshots(path, "1", &count, &err), -EINVAL);
    assert_non_null(strstr(err.message, "takes 1 for before, whose ID it is"));
    err = (struct error)ERROR_INIT;
    assert_int_equal(qemu_img_count_snapshots(path, "2", &count, &err), -EINVAL);
    assert_int_equal(count, 0);
}

/* The helper tells what it was given: GiB as the virtual size, seconds as that of a cluster. */
static void looks_are_limited(void **state)
{
    (void)state;
    char path[4096];
    char *old = strdup(getenv("PATH")); /* NOLINT(concurrency-mt-unsafe) */
    FILE *file = fopen(temp_path("qemu-img"), "we");
    struct qemu_img_info info;
    struct error err = ERROR_INIT;
    assert_non_null(file);
    assert_true(fputs("#!/bin/sh\nexec 3>\"$0.limits\" 4<\"$0.limits\"\n"
                      "ulimit -v >&3; ulimit -t >&3; read -r kib <&4; read -r seconds <&4\n"
                      "printf '{\"format\": \"raw\", \"virtual-size\": %d, \"cluster-size\": %d}'"
                      " $((kib / 1048576)) $seconds\n",
                      file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(temp_path("qemu-img"), 0755), 0);
    (void)snprintf(path, sizeof(path), "%s:%s", temp_folder, old);
    setenv("PATH", path, 1); /* NOLINT(concurrency-mt-unsafe) */
    assert_int_equal(qemu_img_info(temp_folder, "raw", &info, &err), 0);
    assert_int_equal(info.virtual_size_bytes, 1);
    assert_int_equal(info.cluster_size_bytes, 30);
    qemu_img_set_limits(7, UINT64_C(3) << 30);
    assert_int_equal(qemu_img_info(temp_folder, "raw", &info, &err), 0);
    assert_int_equal(info.virtual_size_bytes, 3);
    assert_int_equal(info.cluster_size_bytes, 7);
    qemu_img_set_limits(30, UINT64_C(1) << 30);
    setenv("PATH", old, 1); /* NOLINT(concurrency-mt-unsafe) */
    free(old);
    assert_int_equal(unlink(temp_path("qemu-img")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversion_arguments),
        cmocka_unit_test(info_is_read),
        cmocka_unit_test(hidden_files_are_seen),
        cmocka_unit_test(hostile_info_is_refused),
        cmocka_unit_test(made_overlay_can_be_read_back),
        cmocka_unit_test(a_layer_that_was_written_to),
        cmocka_unit_test(failures_have_novas_classes),
        cmocka_unit_test(conversion_flattens),
        cmocka_unit_test(conversion_of_what_a_socket_shows),
        cmocka_unit_test(stalled_conversion_is_given_up),
        cmocka_unit_test(cancelled_helpers_tell_the_reason),
        cmocka_unit_test(snapshots_are_counted),
        cmocka_unit_test(looks_are_limited),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
