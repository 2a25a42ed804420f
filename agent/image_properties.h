/* SPDX-License-Identifier: Apache-2.0 */
/* The Glance attributes a snapshot sets before its data is uploaded. */
#pragma once

#include <jansson.h>

#include "agent/operation.h"

struct release;

/*
 * nova.virt.libvirt.driver:_create_snapshot_metadata of the release at hand, without what does not
 * change (name) or Glance owns (status). Returns an owned object for glance_image_update(), NULL
 * when out of memory. Public for its test.
 */
json_t *image_properties_build(struct release *release, const struct instance *instance,
                               const char *image_format);

/*
 * Sets them in Glance, and then what image_provenance_tell() tells.
 */
int image_properties_update(struct operation *op, const char *image_format, struct error *err);
