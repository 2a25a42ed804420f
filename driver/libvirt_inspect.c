/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a domain: its state, its definition, its root disk. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt_driver_private.h"

static int inspect_domain(virDomainPtr domain, struct guest_info *info, struct error *err)
{
    int r = libvirt_domain_power_state(domain, &info->power_state, err);
    if (r < 0)
        return r;
    int persistent = virDomainIsPersistent(domain);
    const char *type = virConnectGetType(virDomainGetConnect(domain));
    if (persistent < 0 || !type)
        return libvirt_error(err, "cannot read what kind of domain it is");
    info->domain_id = (int)virDomainGetID(domain);
    info->persistent = persistent == 1;
    info->connection_is_qemu = strcmp(type, "QEMU") == 0;
    return 0;
}

static int inspect_root_disk(const struct libvirt_driver *driver, const struct guest_id *guest,
                             virDomainPtr domain, struct guest_info *info, struct error *err)
{
    struct domain_description *description = NULL;
    const struct domain_disk *disk = NULL;
    int r = libvirt_domain_describe(domain, &description, err);
    if (r < 0)
        return r;
    r = root_disk_find(description, guest, driver->instances_path, &disk, err);
    if (r == 0) { /* a disk that is found has names that fit */
        info->source_type = root_disk_source_type(disk);
        (void)snprintf(info->disk_path, DRIVER_PATH_MAX, "%s", disk->layers[0].path);
        (void)snprintf(info->disk_target, DRIVER_FORMAT_MAX, "%s", disk->target);
        (void)snprintf(info->disk_format, DRIVER_FORMAT_MAX, "%s", disk->layers[0].format);
        if (info->source_type != DISK_SOURCE_PLOOP)
            r = root_disk_inspect(disk, guest->uuid, &driver->policy, info, err);
    }
    domain_description_free(description);
    return r;
}

int libvirt_inspect(struct libvirt_driver *driver, const struct guest_id *guest,
                    struct guest_info *ret_info, struct error *err)
{
    cleanup_domain virDomainPtr domain = NULL;
    struct guest_info info = {0};
    (void)snprintf(info.uuid, sizeof(info.uuid), "%s", guest->uuid);
    int r = libvirt_connection_find_domain(driver->connection, guest->uuid, 0,
                                           EXC_INSTANCE_NOT_RUNNING, &domain, err);
    if (r < 0)
        return r;
    r = inspect_domain(domain, &info, err);
    if (r < 0)
        return r;
    r = inspect_root_disk(driver, guest, domain, &info, err);
    if (r < 0)
        return r;
    log_debug("power state %u, %s domain, root disk %s: %s (%s), %" PRIu64 " bytes",
              info.power_state, info.persistent ? "persistent" : "transient", info.disk_target,
              info.disk_path, info.disk_format, info.virtual_size_bytes);
    *ret_info = info;
    return 0;
}
