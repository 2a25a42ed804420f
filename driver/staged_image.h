/* A finished image in the journal: written down when it is whole, found again by a later process.
 */
#pragma once

#include <jansson.h>

#include "common/error.h"
#include "common/image_source.h"
#include "driver/driver.h"
#include "driver/staging.h"

/* Writes down the image that is at staging_image_path(). */
int staged_image_write(const struct driver_journal *journal, const struct staging *staging,
                       const char *format, struct error *err);

/* EINVAL when `entry` is none, or tells of a file elsewhere than `staging` has its image. */
int staged_image_check(const struct staging *staging, const json_t *entry, struct error *err);

/*
 * The image of an entry that was checked, with `staging` taken as staging_open_image() does.
 * *ret_image is NULL, and `staging` not taken, when the file is not the one that was written down:
 * another file, another size, changed since.
 */
int staged_image_find(struct staging *staging, const json_t *entry, struct image_source **ret_image,
                      struct error *err);
