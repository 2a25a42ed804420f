/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a volume with snapshots, as Cinder makes them, in the temporary folder. */
#pragma once

#include <stddef.h>
#include <string.h>

#include "common/process.h"
#include "tests/unit/driver/temp_folder.h"

static inline void qemu_img(const char *const *argv)
{
    struct error failure = ERROR_INIT;
    const struct process_options options = {.argv = argv, .deadline_ms = 20000};
    if (process_run(&options, NULL, NULL, &failure) < 0)
        fail_msg("%s", failure.message);
}

/* A qcow2 file whose header names `backing` as it is written; NULL: none. */
static inline void make_overlay(const char *name, const char *backing, const char *format,
                                const char *size)
{
    const char *argv[16] = {"qemu-img", "create", "-q", "-f", "qcow2"};
    size_t count = 5;
    if (backing) {
        argv[count++] = "-u";
        argv[count++] = "-b";
        argv[count++] = backing;
    }
    if (backing) {
        argv[count++] = "-F";
        argv[count++] = format;
    }
    argv[count++] = temp_path(name);
    argv[count++] = size;
    qemu_img(argv);
}

/* qemu-img makes no header without a format any more; the extension is taken away by hand. */
static inline void forget_format(const char *name)
{
    static const unsigned char extension[] = {0xe2, 0x79, 0x2a, 0xca};
    unsigned char header[512];
    FILE *file = fopen(temp_path(name), "r+e");
    assert_non_null(file);
    assert_int_equal(fread(header, 1, sizeof(header), file), sizeof(header));
    const unsigned char *found = memmem(header, sizeof(header), extension, sizeof(extension));
    assert_non_null(found);
    assert_int_equal(fseek(file, found - header, SEEK_SET), 0);
    assert_int_equal(fwrite("\x12\x34\x56\x78", 1, 4, file), 4); /* unknown: to be ignored */
    fclose(file);
}

/* vol (raw) <- vol.a <- vol.b <- vol.c, as Cinder makes them. */
static inline void make_volume(void)
{
    const char *const raw[] = {"qemu-img", "create",         "-q", "-f",
                               "raw",      temp_path("vol"), "1M", NULL};
    qemu_img(raw);
    make_overlay("vol.a", "vol", "raw", "1M");
    make_overlay("vol.b", "vol.a", "qcow2", "1M");
    make_overlay("vol.c", "vol.b", "qcow2", "1M");
}
