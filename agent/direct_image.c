/* SPDX-License-Identifier: Apache-2.0 */
/* See direct_image.h. */
#include "agent/direct_image.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/image_properties.h"
#include "agent/image_provenance.h"
#include "agent/instance.h"
#include "agent/journal.h"
#include "agent/operation_state.h"
#include "agent/release.h"
#include "agent/slots.h"
#include "agent/task_states.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "driver/driver.h"
#include "glance_client/glance.h"

/* Of the image the instance was booted from; none is as good as unknown. */
#define LOCATIONS_MAX 16

struct parent {
    struct glance_image image;
    const char *locations[LOCATIONS_MAX + 1]; /* point into image; NULL-ended */
};

static void add_location(struct parent *parent, size_t *n, const char *url)
{
    if (url && *n < LOCATIONS_MAX)
        parent->locations[(*n)++] = url;
}

/* An image that is gone or not shown to the tenant leaves no locations. */
static void find_parent(struct operation *op, struct parent *parent)
{
    struct error err = ERROR_INIT;
    const char *image_ref = instance_string(&op->base.instance, "image_ref");
    size_t i, n = 0;
    json_t *location;
    if (glance_image_get(op->base.agent->glance, op->base.admin, image_ref ? image_ref : "",
                         &parent->image, &err) < 0) {
        log_debug("no locations of the base image: %s", err.message);
        return;
    }
    json_array_foreach (json_object_get(parent->image.object, "locations"), i, location) {
        add_location(parent, &n, json_string_member(location, "url"));
    }
    add_location(parent, &n, json_string_member(parent->image.object, "direct_url"));
    log_debug("the base image has %zu locations", n);
}

static int snapshot_in_cluster(struct operation *op, char **ret_location, struct error *err)
{
    struct parent parent = {0};
    struct driver *driver = op->base.agent->driver;
    find_parent(op, &parent);
    const struct direct_snapshot direct = {
        .image_id = op->arguments.image_id,
        .parent_locations = parent.locations,
        .quiesce = op->plan.quiesce,
        .require_quiesce = op->plan.require_quiesce,
        .journal = &op->driver_journal,
        .observer = &op->observer,
    };
    operation_enter(op, SUMMARY_SLOT);
    int r = slots_acquire(op->base.agent->disk_op_slots, err);
    if (r == 0) {
        operation_enter(op, SUMMARY_COPY);
        operation_set_method(op, "direct");
        r = driver->ops->direct_snapshot(driver, &op->info, &direct, ret_location, err);
        slots_release(op->base.agent->disk_op_slots);
        op->guest_is_back = r == 0;
    }
    glance_image_done(&parent.image);
    return r;
}

/* As nova-compute would: what Glance then keeps with the image differs. */
static enum glance_location_way way_of_release(const struct operation *op)
{
    return release_has(op->base.agent->release, &op->base.instance, RELEASE_POSTS_LOCATION)
               ? GLANCE_LOCATION_POST
               : GLANCE_LOCATION_PATCH;
}

static int register_location(struct operation *op, const char *location, struct error *err)
{
    operation_enter(op, SUMMARY_UPLOAD);
    op->is_direct = true;
    op->summary.quiesce = op->plan.quiesce ? SUMMARY_QUIESCE_ASKED : SUMMARY_QUIESCE_NO;
    image_provenance_note(op);
    if (operation_state_move_to(op, IMAGE_UPLOADING, err) < 0 ||
        image_properties_update(op, "raw", err) < 0 ||
        journal_note(op->base.record, "location", json_string(location), err) < 0 ||
        operation_upload_starts(op, err) < 0)
        return -err->errnum;
    failpoint("direct:properties-set");
    int r = glance_image_add_location(op->base.agent->glance, op->base.admin,
                                      op->arguments.image_id, location, way_of_release(op), err);
    log_debug("location of the image %s", r < 0 ? "is refused" : "is added");
    failpoint("direct:location-added");
    return r < 0 ? r : operation_image_is_complete(op, err);
}

/* Glance may have taken the location before it failed: its data would be deleted under it. */
static bool image_has_data(struct operation *op)
{
    struct error err = ERROR_INIT;
    struct glance_image image = {0};
    if (glance_image_get(op->base.agent->glance, op->base.admin, op->arguments.image_id, &image,
                         &err) < 0)
        return !error_is(&err, EXC_IMAGE_NOT_FOUND);
    bool has = strcmp(image.status, "queued") != 0;
    glance_image_done(&image);
    return has;
}

/* What could not be removed is noted for the driver, which is asked again at the end. */
static int remove_from_cluster(struct operation *op, const char *location, struct error *err)
{
    CANCEL_SHIELD();
    struct driver *driver = op->base.agent->driver;
    if (image_has_data(op)) {
        log_warning("%s is not removed: Glance may use it", location);
        return 0;
    }
    int r = driver->ops->undo_direct_snapshot(driver, location, &op->driver_journal, err);
    op->guest_is_back = r == 0;
    return r;
}

/* A location that is refused may be replaced by data; properties that are refused may not. */
static bool has_to_be_extracted(const struct operation *op, const struct error *failure)
{
    return error_is(failure, EXC_IMAGE_UNACCEPTABLE) || error_is(failure, EXC_FORBIDDEN) ||
           (op->upload_started && error_is(failure, EXC_IMAGE_NOT_AUTHORIZED));
}

static int fall_back(struct operation *op, const struct error *failure, struct error *err)
{
    log_warning("Performing standard snapshot because direct snapshot failed: %s",
                failure->message);
    op->is_direct = op->upload_started = false;
    journal_mark(op->base.record, "upload_started", json_false());
    journal_mark(op->base.record, "location", json_null());
    return strcmp(op->task_state, IMAGE_PENDING_UPLOAD) == 0
               ? 0
               : operation_state_move_to(op, IMAGE_PENDING_UPLOAD, err);
}

int direct_image_make(struct operation *op, bool *ret_made, struct error *err)
{
    cleanup_free char *location = NULL;
    struct error failure = ERROR_INIT, left = ERROR_INIT;
    int r = snapshot_in_cluster(op, &location, &failure);
    if (r == 0) {
        r = register_location(op, location, &failure);
        if (r < 0)
            (void)remove_from_cluster(op, location, &left);
    }
    if (r < 0 && left.errnum == 0 && has_to_be_extracted(op, &failure))
        return fall_back(op, &failure, err);
    if (left.errnum != 0) /* Glance could not store under the same name */
        error_join(&failure, &left);
    if (r < 0) {
        *err = failure;
        return r;
    }
    log_info("Snapshot taken within the cluster: %s", location);
    *ret_made = true;
    return 0;
}
