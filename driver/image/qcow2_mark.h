/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mark of a qcow2 image: a text in its header that tells which image it is, as neither its path
 * nor its size do; and the mark of the image it was made on. QEMU keeps both when it changes the
 * image (docs/interop/qcow2.txt: unknown extensions), qemu-img convert writes neither. Thread-safe.
 */
#pragma once

#include "common/error.h"
#include "driver/image/qcow2_layout.h"

struct qcow2_marks {
    char own[QCOW2_MARK_MAX + 1]; /* "" = it has none */
    char base[QCOW2_MARK_MAX + 1];
};

/* EINVAL with InvalidDiskInfo when it is no qcow2 image or its header is damaged; what open() says.
 */
int qcow2_mark_read(const char *path, struct qcow2_marks *ret_marks, struct error *err);

/* The same of the first `size` bytes of the image called `path`. Pure. */
int qcow2_mark_parse(const unsigned char *header, size_t size, const char *path,
                     struct qcow2_marks *ret_marks, struct error *err);
