/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mark of a qcow2 image: a text in its header that tells which image it is, as neither its path
 * nor its size do. QEMU keeps it when it changes the image (docs/interop/qcow2.txt: unknown
 * extensions). Thread-safe.
 */
#pragma once

#include "common/error.h"
#include "driver/image/qcow2_layout.h"

/* "" when it has none. EINVAL with InvalidDiskInfo when it is no qcow2 image; what open() says. */
int qcow2_mark_read(const char *path, char ret_mark[static QCOW2_MARK_MAX + 1], struct error *err);
