/* SPDX-License-Identifier: Apache-2.0 */
/* qemu-img convert, as nova.virt.images:_convert_image. See qemu_img.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/process.h"
#include "driver/image/qemu_img.h"

#define DIRECT_IO_BLOCK_BYTES 4096

/*
 * Whether the file system behind `path` takes O_DIRECT writes (nova: supports_direct_io, which
 * looks at instances_path whatever the target is).
 */
static bool supports_direct_io(const char *path)
{
    char probe[DRIVER_PATH_MAX], id[ID_HEX_SIZE];
    const char *slash = strrchr(path, '/');
    id_new_hex(id);
    int length = snprintf(probe, sizeof(probe), "%.*s/.directio.test.%s",
                          slash ? (int)(slash - path) : 0, path, id);
    if (length < 0 || (size_t)length >= sizeof(probe))
        return false;
    cleanup_close int fd = open(probe, O_CREAT | O_EXCL | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0) {
        (void)unlink(probe); /* where O_DIRECT is refused the file may have been made */
        return false;
    }
    static const char zeroes[DIRECT_IO_BLOCK_BYTES] __attribute__((aligned(DIRECT_IO_BLOCK_BYTES)));
    bool supported = write(fd, zeroes, sizeof(zeroes)) == (ssize_t)sizeof(zeroes);
    (void)unlink(probe);
    return supported;
}

void qemu_img_convert_arguments(const struct qemu_img_conversion *conversion, bool direct_io,
                                const char *rate,
                                const char *ret_argv[static QEMU_IMG_ARGUMENTS_MAX])
{
    bool qcow2 = strcmp(conversion->target_format, "qcow2") == 0;
    bool compress = conversion->compress && qcow2;
    size_t count = 0;
    ret_argv[count++] = "qemu-img";
    ret_argv[count++] = "convert";
    ret_argv[count++] = "-p"; /* its output shows that it goes on */
    if (conversion->force_share)
        ret_argv[count++] = "-U";
    if (conversion->bytes_per_s > 0) {
        ret_argv[count++] = "-r";
        ret_argv[count++] = rate;
    }
    ret_argv[count++] = "-t";
    ret_argv[count++] = direct_io ? "none" : "writeback";
    ret_argv[count++] = "-f";
    ret_argv[count++] = conversion->source_format;
    ret_argv[count++] = "-O";
    ret_argv[count++] = conversion->target_format;
    if (compress && strcmp(conversion->compression_type, "zstd") == 0) {
        ret_argv[count++] = "-o";
        ret_argv[count++] = "compression_type=zstd";
    }
    if (compress)
        ret_argv[count++] = "-c";
    else if (qcow2 || strcmp(conversion->target_format, "raw") == 0)
        ret_argv[count++] = "-W"; /* writes out of order: not for compressed or streamed formats */
    ret_argv[count++] = conversion->source_path;
    ret_argv[count++] = conversion->target_path;
    ret_argv[count] = NULL;
}

int qemu_img_convert(const struct qemu_img_conversion *conversion, struct error *err)
{
    const char *argv[QEMU_IMG_ARGUMENTS_MAX];
    char rate[32];
    (void)snprintf(rate, sizeof(rate), "%" PRIu64, conversion->bytes_per_s);
    qemu_img_convert_arguments(conversion, supports_direct_io(conversion->target_path), rate, argv);
    const struct process_options options = {.argv = argv,
                                            .stall_timeout_ms =
                                                seconds_ms(conversion->stall_timeout_s),
                                            .sandbox = qemu_img_sandbox(conversion->source_path)};
    struct error failure = ERROR_INIT;
    if (process_run(&options, NULL, NULL, &failure) == 0)
        return 0;
    if (cancel_check(err) < 0)
        return -ECANCELED;
    return error_set(err, failure.errnum, EXC_IMAGE_UNACCEPTABLE, "Unable to convert %s to %s: %s",
                     conversion->source_path, conversion->target_format, failure.message);
}
