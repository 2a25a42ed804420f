/* SPDX-License-Identifier: Apache-2.0 */
/* See libvirt_driver.h. */
#include "driver/libvirt_driver.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "driver/image/qemu_img.h"
#include "driver/image/staging.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt_driver_private.h"
#include "driver/snapshot/recover.h"

#define DETACH_TIMEOUT_MS 30000

static int ops_check_host(struct driver *driver, struct error *err)
{
    struct libvirt_driver *self = (struct libvirt_driver *)driver;
    cleanup_conn virConnectPtr conn = NULL;
    int r = staging_check(self->snapshots_directory, err);
    if (r < 0)
        return r;
    if (!atomic_exchange(&self->is_checked, true))
        staging_warn_of_closed_folders(self->snapshots_directory);
    return libvirt_connection_get(self->connection, 0, &conn, err);
}

static int ops_describe_host(struct driver *driver, char ret_text[static DRIVER_TEXT_MAX],
                             struct error *err)
{
    return libvirt_describe_host((struct libvirt_driver *)driver, ret_text, err);
}

static int ops_find_guest(struct driver *driver, const char *name,
                          char ret_uuid[static DRIVER_UUID_MAX], struct error *err)
{
    return libvirt_find_guest((struct libvirt_driver *)driver, name, ret_uuid, err);
}

static int ops_guest_agent(struct driver *driver, const char *uuid, enum guest_agent *ret_agent,
                           struct error *err)
{
    return libvirt_guest_agent((struct libvirt_driver *)driver, uuid, ret_agent, err);
}

static int ops_check_plan(struct driver *driver, const struct guest_info *info,
                          const struct snapshot_plan *plan, uint64_t *ret_bytes, struct error *err)
{
    return libvirt_check_plan((struct libvirt_driver *)driver, info, plan, ret_bytes, err);
}

static int ops_get_power_state(struct driver *driver, const char *uuid, enum power_state *ret_state,
                               struct error *err)
{
    struct libvirt_driver *self = (struct libvirt_driver *)driver;
    cleanup_domain virDomainPtr domain = NULL;
    struct error failure = ERROR_INIT;
    int r = libvirt_connection_find_domain(self->connection, uuid, 0, EXC_INSTANCE_NOT_FOUND,
                                           &domain, &failure);
    if (r == 0)
        r = libvirt_domain_power_state(domain, ret_state, &failure);
    if (r == -ENOENT) {
        *ret_state = POWER_STATE_NOSTATE;
        return 0;
    }
    if (r < 0)
        *err = failure;
    return r;
}

static int ops_inspect(struct driver *driver, const struct guest_id *guest,
                       struct guest_info *ret_info, struct error *err)
{
    return libvirt_inspect((struct libvirt_driver *)driver, guest, ret_info, err);
}

static int ops_extract(struct driver *driver, const struct guest_info *info,
                       const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                       struct error *err)
{
    struct libvirt_driver *self = (struct libvirt_driver *)driver;
    log_debug("snapshot of disk %s by %s: %s%s, %s freeze", info->disk_target,
              snapshot_method_name(plan->method), plan->compress ? "compressed " : "",
              plan->image_format,
              plan->require_quiesce ? "with a required"
              : plan->quiesce       ? "with a"
                                    : "without a");
    if (plan->method == SNAPSHOT_METHOD_COLD)
        return libvirt_cold_snapshot(self, info, plan, ret_result, err);
    if (plan->method != SNAPSHOT_METHOD_STREAM)
        return libvirt_live_snapshot(self, info, plan, ret_result, err);
    return info->power_state == POWER_STATE_SHUTDOWN
               ? libvirt_stopped_stream(self, info, plan, ret_result, err)
               : libvirt_live_stream(self, info, plan, ret_result, err);
}

static int ops_freeze(struct driver *driver, const char *uuid, struct error *err)
{
    return libvirt_freeze((struct libvirt_driver *)driver, uuid, err);
}

static int ops_thaw(struct driver *driver, const char *uuid, struct error *err)
{
    return libvirt_thaw((struct libvirt_driver *)driver, uuid, err);
}

static int ops_direct_snapshot(struct driver *driver, const struct guest_info *info,
                               const struct direct_snapshot *direct, char **ret_location,
                               struct error *err)
{
    return libvirt_direct_snapshot((struct libvirt_driver *)driver, info, direct, ret_location,
                                   err);
}

static int ops_undo_direct_snapshot(struct driver *driver, const char *location,
                                    const struct driver_journal *journal, struct error *err)
{
    return libvirt_direct_undo((struct libvirt_driver *)driver, location, journal, err);
}

static int ops_recover(struct driver *driver, const struct driver_recovery *recovery,
                       struct image_source **ret_image, struct error *err)
{
    return libvirt_recover((struct libvirt_driver *)driver, recovery, ret_image, err);
}

static int ops_volume_snapshot_create(struct driver *driver, const char *uuid,
                                      const struct volume_overlay *overlay, struct error *err)
{
    return libvirt_volume_create((struct libvirt_driver *)driver, uuid, overlay, err);
}

static int ops_volume_snapshot_delete(struct driver *driver, const char *uuid,
                                      const struct volume_merge *merge, struct error *err)
{
    return libvirt_volume_delete((struct libvirt_driver *)driver, uuid, merge, err);
}

static int ops_visit_files(struct driver *driver, driver_file_visit visit, void *arg,
                           struct error *err)
{
    return libvirt_visit_files((struct libvirt_driver *)driver, visit, arg, err);
}

static int ops_end_job(struct driver *driver, const struct driver_file *file, struct error *err)
{
    return libvirt_end_job((struct libvirt_driver *)driver, file, err);
}

static void ops_set_disk_rate(struct driver *driver, uint64_t bytes_per_s)
{
    log_debug("disks are copied at %" PRIu64 " bytes/s at most (0: no limit)", bytes_per_s);
    atomic_store(&((struct libvirt_driver *)driver)->disk_bytes_per_s, bytes_per_s);
}

static void ops_free(struct driver *driver)
{
    struct libvirt_driver *self = (struct libvirt_driver *)driver;
    libvirt_connection_free(self->connection);
    free(self->snapshots_directory);
    free(self->instances_path);
    free(self->ceph_conf);
    free(self->rbd_user);
    free(self);
}

/* nova.virt.libvirt.driver.LibvirtDriver._uri */
static const char *driver_connection_uri(const struct libvirt_driver_options *options)
{
    if (options->connection_uri && options->connection_uri[0])
        return options->connection_uri;
    if (strcmp(options->virt_type, "lxc") == 0)
        return "lxc:///";
    if (strcmp(options->virt_type, "parallels") == 0)
        return "parallels:///system";
    return "qemu:///system";
}

static int driver_copy_options(struct libvirt_driver *driver,
                               const struct libvirt_driver_options *options, struct error *err)
{
    driver->stall_timeout_s = options->stall_timeout_s;
    driver->freeze_timeout_s = options->freeze_timeout_s;
    driver->detach_timeout_ms = DETACH_TIMEOUT_MS;
    driver->disk_bytes_per_s = options->disk_bytes_per_s;
    driver->scratch_reserve_bytes = options->scratch_reserve_bytes;
    driver->snapshots_directory = strdup(options->snapshots_directory);
    driver->instances_path = strdup(options->instances_path);
    (void)snprintf(driver->staging_mark, sizeof(driver->staging_mark), "%s",
                   options->staging_mark ? options->staging_mark : "");
    driver->ceph_conf = strdup(options->rbd.ceph_conf ? options->rbd.ceph_conf : "");
    driver->rbd_user = strdup(options->rbd.user ? options->rbd.user : "");
    driver->policy =
        (struct root_disk_policy){.instances_path = driver->instances_path,
                                  .snapshots_directory = driver->snapshots_directory,
                                  .deep_image_inspection = options->deep_image_inspection};
    driver->rbd = options->rbd;
    driver->rbd.ceph_conf = driver->ceph_conf;
    driver->rbd.user = driver->rbd_user;
    bool copied = driver->snapshots_directory && driver->instances_path && driver->ceph_conf &&
                  driver->rbd_user;
    return copied ? 0 : error_nomem(err);
}

int libvirt_driver_new(const struct libvirt_driver_options *options, struct driver **ret_driver,
                       struct error *err)
{
    static const struct driver_ops ops = {.check_host = ops_check_host,
                                          .describe_host = ops_describe_host,
                                          .find_guest = ops_find_guest,
                                          .guest_agent = ops_guest_agent,
                                          .check_plan = ops_check_plan,
                                          .get_power_state = ops_get_power_state,
                                          .inspect = ops_inspect,
                                          .extract = ops_extract,
                                          .freeze = ops_freeze,
                                          .thaw = ops_thaw,
                                          .direct_snapshot = ops_direct_snapshot,
                                          .undo_direct_snapshot = ops_undo_direct_snapshot,
                                          .recover = ops_recover,
                                          .volume_snapshot_create = ops_volume_snapshot_create,
                                          .volume_snapshot_delete = ops_volume_snapshot_delete,
                                          .visit_files = ops_visit_files,
                                          .end_job = ops_end_job,
                                          .set_disk_rate = ops_set_disk_rate,
                                          .free = ops_free};
    if (options->stall_timeout_s == 0 || options->freeze_timeout_s == 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the driver needs a stall timeout and a freeze timeout");
    struct libvirt_driver *driver = calloc(1, sizeof(*driver));
    if (!driver)
        return error_nomem(err);
    qemu_img_set_limits(options->images_cpu_limit_s, options->images_address_space_bytes);
    xmlInitParser(); /* libxml2 wants this before threads use it */
    driver->base.ops = &ops;
    int r = driver_copy_options(driver, options, err);
    if (r == 0)
        r = libvirt_connection_new(driver_connection_uri(options), &driver->connection, err);
    if (r < 0) {
        ops_free(&driver->base);
        return r;
    }
    *ret_driver = &driver->base;
    return 0;
}
