/* SPDX-License-Identifier: Apache-2.0 */
/* See fake_driver.h. */
#include "tests/unit/fake_driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

struct fake_driver {
    struct driver base;
    pthread_mutex_t lock; /* of what follows; not held while on_call runs */
    struct fake_script script;
    struct fake_record record;
    unsigned references; /* the driver and its open images */
};

struct fake_image {
    struct image_source base;
    struct fake_driver *driver;
    struct error read_error;
    size_t read_error_offset;
    size_t offset;
    char bytes[];
};

static void unref(struct fake_driver *driver)
{
    bool last;
    {
        LOCK_SCOPE(&driver->lock);
        last = --driver->references == 0;
    }
    if (!last)
        return;
    (void)pthread_mutex_destroy(&driver->lock);
    free(driver);
}

/* Records the call, lets the test in, and gives the script to answer from. */
static int begin(struct fake_driver *driver, enum fake_call call, const char *uuid,
                 struct fake_script *ret_script, struct error *err)
{
    {
        LOCK_SCOPE(&driver->lock);
        driver->record.calls[call]++;
        (void)snprintf(driver->record.uuid, sizeof(driver->record.uuid), "%s", uuid);
        *ret_script = driver->script;
    }
    if (ret_script->on_call)
        ret_script->on_call(call, uuid, ret_script->userdata);
    if (ret_script->errors[call].errnum == 0)
        return 0;
    *err = ret_script->errors[call];
    return -err->errnum;
}

static int fake_check_host(struct driver *driver, struct error *err)
{
    struct fake_script script;
    return begin((struct fake_driver *)driver, FAKE_CHECK_HOST, "", &script, err);
}

static int fake_describe_host(struct driver *driver, char ret_text[static DRIVER_TEXT_MAX],
                              struct error *err)
{
    struct fake_script script;
    int r = begin((struct fake_driver *)driver, FAKE_DESCRIBE_HOST, "", &script, err);
    if (r == 0)
        (void)snprintf(ret_text, DRIVER_TEXT_MAX, "fakevirt 1.2.3");
    return r;
}

static int fake_find_guest(struct driver *driver, const char *name,
                           char ret_uuid[static DRIVER_UUID_MAX], struct error *err)
{
    struct fake_script script;
    int r = begin((struct fake_driver *)driver, FAKE_FIND_GUEST, name, &script, err);
    if (r == 0)
        (void)snprintf(ret_uuid, DRIVER_UUID_MAX, "%s", script.info.uuid);
    return r;
}

static int fake_guest_agent(struct driver *driver, const char *uuid, enum guest_agent *ret_agent,
                            struct error *err)
{
    struct fake_script script;
    int r = begin((struct fake_driver *)driver, FAKE_GUEST_AGENT, uuid, &script, err);
    if (r == 0)
        *ret_agent = script.agent;
    return r;
}

static int fake_check_plan(struct driver *driver, const struct guest_info *info,
                           const struct snapshot_plan *plan, uint64_t *ret_bytes, struct error *err)
{
    struct fake_script script;
    int r = begin((struct fake_driver *)driver, FAKE_CHECK_PLAN, info->uuid, &script, err);
    if (r < 0)
        return r;
    if (script.plan_errors[plan->method].errnum != 0) {
        *err = script.plan_errors[plan->method];
        return -err->errnum;
    }
    *ret_bytes = script.plan_bytes;
    return 0;
}

static int fake_get_power_state(struct driver *driver, const char *uuid,
                                enum power_state *ret_state, struct error *err)
{
    struct fake_script script;
    int r = begin((struct fake_driver *)driver, FAKE_GET_POWER_STATE, uuid, &script, err);
    if (r == 0)
        *ret_state = script.info.power_state;
    return r;
}

static int fake_inspect(struct driver *driver, const struct guest_id *guest,
                        struct guest_info *ret_info, struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    {
        LOCK_SCOPE(&self->lock);
        (void)snprintf(self->record.root_device_name, DRIVER_FORMAT_MAX, "%s",
                       guest->root_device_name ? guest->root_device_name : "");
    }
    int r = begin(self, FAKE_INSPECT, guest->uuid, &script, err);
    if (r < 0)
        return r;
    *ret_info = script.info;
    (void)snprintf(ret_info->uuid, sizeof(ret_info->uuid), "%s", guest->uuid);
    return 0;
}

static ssize_t image_read(struct image_source *source, void *buffer, size_t length,
                          struct error *err)
{
    struct fake_image *image = (struct fake_image *)source;
    size_t left = (size_t)source->size_bytes - image->offset;
    if (image->read_error.errnum != 0) {
        if (image->offset >= image->read_error_offset) {
            *err = image->read_error;
            return -err->errnum;
        }
        if (left > image->read_error_offset - image->offset)
            left = image->read_error_offset - image->offset;
    }
    if (length > left)
        length = left;
    memcpy(buffer, image->bytes + image->offset, length);
    image->offset += length;
    return (ssize_t)length;
}

static int image_rewind(struct image_source *source, struct error *err)
{
    (void)err;
    ((struct fake_image *)source)->offset = 0;
    return 0;
}

static void let_go(struct fake_image *image, bool left)
{
    {
        LOCK_SCOPE(&image->driver->lock);
        image->driver->record.images_closed++;
        image->driver->record.images_left += left;
    }
    unref(image->driver);
    free(image);
}

static void image_close(struct image_source *source)
{
    let_go((struct fake_image *)source, false);
}

static void image_leave(struct image_source *source)
{
    let_go((struct fake_image *)source, true);
}

static int make_image(struct fake_driver *driver, const struct fake_script *script,
                      struct image_source **ret_image, struct error *err)
{
    static const struct image_source_ops ops = {image_read, image_rewind, image_close, image_leave};
    struct fake_image *image = calloc(1, sizeof(*image) + script->image_size);
    if (!image)
        return error_nomem(err);
    image->base = (struct image_source){.ops = &ops, .size_bytes = script->image_size};
    image->driver = driver;
    image->read_error = script->read_error;
    image->read_error_offset = script->read_error_offset;
    if (script->image_size > 0)
        memcpy(image->bytes, script->image, script->image_size);
    LOCK_SCOPE(&driver->lock);
    driver->references++;
    driver->record.images_made++;
    *ret_image = &image->base;
    return 0;
}

static int write_down(const struct driver_journal *journal, const json_t *entries,
                      struct error *err)
{
    size_t i;
    json_t *entry;
    json_array_foreach (entries, i, entry) {
        int r = journal ? journal->write(journal->arg, entry, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int fake_extract(struct driver *driver, const struct guest_info *info,
                        const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                        struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    struct error failure = ERROR_INIT;
    struct image_source *image = NULL;
    {
        LOCK_SCOPE(&self->lock);
        struct fake_record *record = &self->record;
        record->plan = *plan;
        (void)snprintf(record->image_format, sizeof(record->image_format), "%s",
                       plan->image_format);
    }
    if (plan->observer)
        plan->observer->copied(plan->observer->arg, 5, 10);
    int r = begin(self, FAKE_EXTRACT, info->uuid, &script, &failure);
    if (write_down(plan->journal, script.entries, err) < 0)
        return -err->errnum;
    if (r < 0)
        *err = failure;
    if (r == 0)
        r = make_image(self, &script, &image, err);
    if (r < 0)
        return r;
    if (plan->observer)
        plan->observer->instant(plan->observer->arg);
    *ret_result = (struct snapshot_result){.image = image,
                                           .quiesced = script.quiesced,
                                           .guest_is_back = !script.shows_disk,
                                           .guest_paused_ms = script.guest_paused_ms};
    return 0;
}

static void set_frozen(struct fake_driver *driver, bool frozen)
{
    LOCK_SCOPE(&driver->lock);
    driver->record.frozen = frozen;
}

static int fake_freeze(struct driver *driver, const char *uuid, struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    int r = begin(self, FAKE_FREEZE, uuid, &script, err);
    if (r == 0)
        set_frozen(self, true);
    return r;
}

static int fake_thaw(struct driver *driver, const char *uuid, struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    int r = begin(self, FAKE_THAW, uuid, &script, err);
    if (r == 0)
        set_frozen(self, false);
    return r;
}

static int fake_direct_snapshot(struct driver *driver, const struct guest_info *info,
                                const struct direct_snapshot *direct, char **ret_location,
                                struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    {
        LOCK_SCOPE(&self->lock);
        self->record.quiesce = direct->quiesce;
        self->record.require_quiesce = direct->require_quiesce;
    }
    int r = begin(self, FAKE_DIRECT_SNAPSHOT, info->uuid, &script, err);
    if (r == 0)
        r = write_down(direct->journal, script.entries, err);
    if (r < 0)
        return r;
    char *location = strdup(script.location);
    if (!location)
        return error_nomem(err);
    *ret_location = location;
    return 0;
}

static int fake_recover(struct driver *driver, const struct driver_recovery *recovery,
                        struct image_source **ret_image, struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    struct image_source *image = NULL;
    {
        LOCK_SCOPE(&self->lock);
        self->record.recovered_entries = json_array_size(recovery->entries);
        self->record.host_rebooted = recovery->host_rebooted;
    }
    int r = begin(self, FAKE_RECOVER, recovery->uuid, &script, err);
    if (r == 0 && script.recovers_image)
        r = make_image(self, &script, &image, err);
    if (r == 0)
        *ret_image = image;
    return r;
}

static int fake_undo_direct_snapshot(struct driver *driver, const char *location,
                                     const struct driver_journal *journal, struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    (void)journal; /* the script's entries are not the fake's to judge */
    {
        LOCK_SCOPE(&self->lock);
        (void)snprintf(self->record.undone_location, DRIVER_PATH_MAX, "%s", location);
    }
    return begin(self, FAKE_UNDO_DIRECT_SNAPSHOT, "", &script, err);
}

static void record_volume(struct fake_driver *driver, const char *volume_id, const char *file,
                          const char *target)
{
    LOCK_SCOPE(&driver->lock);
    struct fake_record *record = &driver->record;
    (void)snprintf(record->volume_id, sizeof(record->volume_id), "%s", volume_id);
    (void)snprintf(record->file, sizeof(record->file), "%s", file ? file : "");
    (void)snprintf(record->target, sizeof(record->target), "%s", target ? target : "");
}

static int fake_volume_snapshot_create(struct driver *driver, const char *uuid,
                                       const struct volume_overlay *overlay, struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    record_volume(self, overlay->volume_id, overlay->new_file, NULL);
    {
        LOCK_SCOPE(&self->lock);
        self->record.quiesce = overlay->quiesce;
        self->record.require_quiesce = overlay->require_quiesce;
    }
    return begin(self, FAKE_VOLUME_SNAPSHOT_CREATE, uuid, &script, err);
}

static int fake_volume_snapshot_delete(struct driver *driver, const char *uuid,
                                       const struct volume_merge *merge, struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    record_volume(self, merge->volume_id, merge->file_to_merge, merge->merge_target_file);
    return begin(self, FAKE_VOLUME_SNAPSHOT_DELETE, uuid, &script, err);
}

static int fake_visit_files(struct driver *driver, driver_file_visit visit, void *arg,
                            struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    struct fake_record record;
    int r = begin(self, FAKE_VISIT_FILES, "", &script, err);
    if (r < 0)
        return r;
    fake_driver_get_record(driver, &record);
    for (size_t i = 0; i < script.n_files; i++)
        if (script.files[i].use == DRIVER_FILE_DISK ||
            strcmp(script.files[i].path, record.ended_job) != 0)
            visit(arg, &script.files[i]);
    return 0;
}

static int fake_end_job(struct driver *driver, const struct driver_file *file, struct error *err)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    struct fake_script script;
    int r = begin(self, FAKE_END_JOB, file->uuid, &script, err);
    if (r < 0)
        return r;
    LOCK_SCOPE(&self->lock);
    (void)snprintf(self->record.ended_job, sizeof(self->record.ended_job), "%s", file->path);
    return 0;
}

static void fake_free(struct driver *driver)
{
    unref((struct fake_driver *)driver);
}

static void fake_set_disk_rate(struct driver *driver, uint64_t bytes_per_s)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    LOCK_SCOPE(&self->lock);
    self->record.disk_bytes_per_s = bytes_per_s;
}

int fake_driver_new(const struct fake_script *script, struct driver **ret_driver, struct error *err)
{
    static const struct driver_ops ops = {.check_host = fake_check_host,
                                          .describe_host = fake_describe_host,
                                          .find_guest = fake_find_guest,
                                          .guest_agent = fake_guest_agent,
                                          .check_plan = fake_check_plan,
                                          .get_power_state = fake_get_power_state,
                                          .inspect = fake_inspect,
                                          .extract = fake_extract,
                                          .freeze = fake_freeze,
                                          .thaw = fake_thaw,
                                          .direct_snapshot = fake_direct_snapshot,
                                          .recover = fake_recover,
                                          .undo_direct_snapshot = fake_undo_direct_snapshot,
                                          .volume_snapshot_create = fake_volume_snapshot_create,
                                          .volume_snapshot_delete = fake_volume_snapshot_delete,
                                          .visit_files = fake_visit_files,
                                          .end_job = fake_end_job,
                                          .set_disk_rate = fake_set_disk_rate,
                                          .free = fake_free};
    struct fake_driver *driver = calloc(1, sizeof(*driver));
    if (!driver)
        return error_nomem(err);
    (void)pthread_mutex_init(&driver->lock, NULL);
    driver->base.ops = &ops;
    driver->script = *script;
    driver->references = 1;
    *ret_driver = &driver->base;
    return 0;
}

void fake_driver_set_script(struct driver *driver, const struct fake_script *script)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    LOCK_SCOPE(&self->lock);
    self->script = *script;
}

void fake_driver_get_record(struct driver *driver, struct fake_record *ret_record)
{
    struct fake_driver *self = (struct fake_driver *)driver;
    LOCK_SCOPE(&self->lock);
    *ret_record = self->record;
    ret_record->plan.image_format = ret_record->image_format;
}
