/* SPDX-License-Identifier: Apache-2.0 */
/* Image files, and those they stand on, looked at by qemu-img. Thread-safe. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "driver/driver.h"

#define IMAGE_CHECK_LAYERS_MAX 256

/* Whether qemu-img has a check for the format. */
bool image_check_can(const char *format);

/* `qemu-img check`: InvalidDiskInfo with what it says unless the file is without fault, "is
 * damaged" only where it has found one. */
int image_check_run(const char *path, const char *format, struct error *err);

/* The same, but clusters that nothing refers to, as a killed writer leaves them, are no fault. */
int image_check_content(const char *path, const char *format, struct error *err);

enum image_base {
    IMAGE_BASE_NONE,    /* it stands on none */
    IMAGE_BASE_UNKNOWN, /* on one of which it does not tell which it was */
    IMAGE_BASE_KNOWN,   /* on the one it was made on, by its mark (driver/image/qcow2_mark.h) */
};

struct image_layer {
    char path[DRIVER_PATH_MAX];
    char format[DRIVER_FORMAT_MAX];
    uint64_t virtual_size_bytes;
    uint64_t size_on_disk_bytes;
    bool is_checked; /* else its format has no check */
    enum image_base base;
};

struct image_chain {
    struct image_layer *layers; /* owned, from the file on down */
    size_t count;
};

/*
 * Follows an image file and what it stands on to the end, and checks each layer: InvalidDiskInfo
 * when one is not there, is no plain file, is below itself, has its data in another file or is
 * encrypted, when a layer does not name the format of the one below, tells the mark of another
 * image than the one below, or qemu-img finds a fault.
 * Free with image_check_chain_done(), also after a failure.
 */
int image_check_chain(const char *path, struct image_chain *ret_chain, struct error *err);

void image_check_chain_done(struct image_chain *chain);
