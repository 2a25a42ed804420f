/* The Glance attributes a snapshot sets before its data is uploaded. */
#pragma once

#include <jansson.h>

#include "agent/operation.h"

/*
 * nova.virt.libvirt.driver:_create_snapshot_metadata of the release at hand, without what does not
 * change (name) or Glance owns (status), and with the note unless it is "". Returns an owned object
 * for glance_image_update(), NULL when out of memory.
 */
json_t *image_record_attributes(const struct release *release, const struct instance *instance,
                                const char *image_format, const char *method_note);

/* Sets them in Glance. */
int image_record_update(struct operation *op, const char *image_format, struct error *err);
