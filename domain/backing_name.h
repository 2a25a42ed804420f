/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer's header calls the layer that it stands on. Pure. */
#pragma once

#include "common/error.h"
#include "driver/driver.h"

/*
 * The file or device that `name`, as `qemu-img info` gives it, is: an absolute path, also one with
 * "file:" or "host_device:" in front, or one in plain "json:". *ret_path is "" when it is on the
 * network. InvalidDiskInfo naming `of`, the layer, when it is anything else: nobody could tell who
 * needs which file.
 */
int backing_name_path(const char *name, const char *of, char ret_path[static DRIVER_PATH_MAX],
                      struct error *err);
