/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a file was left alone since a layer was put on it, by their times. On one thread. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Whether the file of `st` was last written to by when the layer at `above` was made, or at most a
 * minute later. True as well where the file system does not know when that was.
 */
bool layer_age_is_unwritten(const struct stat *st, const char *above);
