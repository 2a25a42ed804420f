/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu-img: what the driver asks of it. Formats are always given, never guessed, except where a
 * function says so; paths are absolute, so that none is taken for a protocol or an option.
 * Thread-safe; blocks until the helper ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/process_sandbox.h"
#include "driver/driver.h"

struct qemu_img_info {
    char format[DRIVER_FORMAT_MAX];
    uint64_t virtual_size_bytes;
    uint64_t cluster_size_bytes;            /* 0 when the format has none */
    char backing_path[DRIVER_PATH_MAX];     /* full-backing-filename; "" = no backing file */
    char backing_format[DRIVER_FORMAT_MAX]; /* "" = the header names none */
    bool has_data_file;                     /* its data is in another file: qcow2, vmdk */
    bool is_encrypted;                      /* LUKS, or qcow2 with encrypted clusters */
    bool has_snapshots;                     /* internal ones */
    bool has_bitmaps;                       /* dirty bitmaps that persist */
};

/*
 * What `info` and `measure` may use, nova's QEMU_IMG_LIMITS; 30 s and 1 GiB unless set, 0 = no
 * limit. Before the first request: other threads read it.
 */
void qemu_img_set_limits(unsigned cpu_limit_s, uint64_t address_space_limit_bytes);

/*
 * `qemu-img info --force-share`, within these limits. `format` NULL
 * lets qemu-img guess: only to look for what must not be there. DiskNotFound when `path` does not
 * exist, InvalidDiskInfo for every other failure (nova: qemu_img_info).
 */
int qemu_img_info(const char *path, const char *format, struct qemu_img_info *ret_info,
                  struct error *err);

/* Reads the JSON `qemu-img info` prints. InvalidDiskInfo naming `path`. Public for its tests. */
int qemu_img_parse_info(const char *text, size_t size, const char *path,
                        struct qemu_img_info *ret_info, struct error *err);

/*
 * `qemu-img measure --force-share`: how large a flat qcow2 copy of the image with its backing chain
 * would be, its data and its tables. InvalidDiskInfo on failure, which the writes of a running
 * guest may cause as well.
 */
int qemu_img_measure(const char *path, const char *format, uint64_t *ret_bytes, struct error *err);

/*
 * The same of its top layer alone, in clusters of that size (0 = qemu-img's default): what a block
 * copy of it writes, with zeroes that are allocated and what is compressed in the layer.
 */
int qemu_img_measure_layer(const char *path, const char *format, uint64_t cluster_size_bytes,
                           uint64_t *ret_bytes, struct error *err);

/*
 * `qemu-img map --force-share`: whether nothing was ever written to the qcow2 layer, not even
 * zeroes. InvalidDiskInfo when it cannot be told, as of one in very many pieces.
 */
int qemu_img_layer_is_empty(const char *path, bool *ret_empty, struct error *err);

/*
 * What a helper may do that reads from there: no sockets for a file or device, UNIX ones for
 * "nbd:unix:...", any for "rbd:...".
 */
enum process_sandbox qemu_img_sandbox(const char *path);

struct qemu_img_overlay {
    const char *path;            /* the qcow2 file to make */
    uint64_t size_bytes;         /* virtual size */
    uint64_t cluster_size_bytes; /* 0 = qemu-img's default */
    const char *backing_path;    /* NULL = none */
    const char *backing_format;  /* given when backing_path is */
};

/* Makes the file. InternalError with what qemu-img says. */
int qemu_img_create_overlay(const struct qemu_img_overlay *overlay, struct error *err);

struct qemu_img_conversion {
    const char *source_path;
    const char *source_format;
    const char *target_path; /* made; must be in an existing directory */
    const char *target_format;
    bool compress;                /* heeded for qcow2 only */
    const char *compression_type; /* zlib, which every QEMU reads; zstd; heeded if compress is */
    bool force_share;             /* QEMU has the source open; its guest must not run */
    uint64_t bytes_per_s;         /* 0: as fast as it can */
    unsigned stall_timeout_s;
};

/*
 * Flattens an image with its backing chain into one file, around the host's page cache where the
 * target's file system can do that. ImageUnacceptable on failure (nova: _convert_image).
 */
int qemu_img_convert(const struct qemu_img_conversion *conversion, struct error *err);

struct qemu_img_rebase {
    const char *path;           /* the qcow2 file that is given another backing file */
    const char *backing_file;   /* as the header is to name it; NULL = none from now on */
    const char *backing_format; /* given when backing_file is */
    bool header_alone;          /* the two are of the same content: nothing is copied */
    unsigned stall_timeout_s;
};

/*
 * Gives a file another backing file and, unless told otherwise, copies into it what it had only
 * through the present one (safe mode). The present chain is opened as the headers say: check them
 * first. On failure the file reads as before.
 */
int qemu_img_rebase(const struct qemu_img_rebase *rebase, struct error *err);

/*
 * How many internal snapshots called `name` the qcow2 file has. InvalidDiskInfo on failure; EINVAL
 * when one of another name has `name` for its ID, which QEMU goes by first (qcow2_snapshot_goto).
 */
int qemu_img_count_snapshots(const char *path, const char *name, size_t *ret_count,
                             struct error *err);

/*
 * `qemu-img commit`: writes what the qcow2 file at `path` and the layers down to `base` hold into
 * `base`, as the headers call it; the layers stay as they are. On failure base may have a part of
 * it, which the same call repeated completes; all above reads as before.
 */
int qemu_img_commit(const char *path, const char *base, unsigned stall_timeout_s,
                    struct error *err);

/*
 * Whether a QEMU writes to the file, on this host or on another that shares the file system: by the
 * lock it holds then (QEMU: block/file-posix.c, raw_apply_lock_bytes). False when it cannot be
 * told.
 */
bool qemu_img_is_written(const char *path);

#define QEMU_IMG_ARGUMENTS_MAX 24

/*
 * Fills the argument vector of a conversion; the strings are borrowed from `conversion`, and `rate`
 * is its bytes_per_s in words. Public for its test.
 */
void qemu_img_convert_arguments(const struct qemu_img_conversion *conversion, bool direct_io,
                                const char *rate,
                                const char *ret_argv[static QEMU_IMG_ARGUMENTS_MAX]);
