/* SPDX-License-Identifier: Apache-2.0 */
/* A merge of one disk (merge_plan.h) of a domain that does not run: qemu-img. On one thread. */
#pragma once

#include <jansson.h>

#include "common/error.h"

/*
 * Writes what goes into `base` and checks that; then the layer above stands on it. Without one
 * above it is the definition's to name it (merge_relink.h). To be repeated after a failure: until
 * the end all is read through the layers that go. EBUSY when a QEMU writes to one.
 */
int merge_rest(const json_t *disk, unsigned stall_timeout_s, struct error *err);

/* What was written to the file is on disk, also what somebody else wrote. */
int merge_rest_write_through(const char *path, struct error *err);
