/* SPDX-License-Identifier: Apache-2.0 */
/* See volume.h. */
#include "driver/volume/volume.h"

#include <errno.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "driver/libvirt/domain.h"
#include "driver/volume/chain.h"

int libvirt_volume_find_domain(struct libvirt_connection *connection, const char *uuid,
                               unsigned patience_ms, virDomainPtr *ret_domain, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = libvirt_connection_find_domain(connection, uuid, patience_ms, EXC_INSTANCE_NOT_RUNNING,
                                           ret_domain, &failure);
    if (r == -ENOENT)
        return libvirt_domain_not_running(uuid, err);
    if (r < 0)
        *err = failure;
    return r;
}

static int volume_need_file(const struct volume_disk *disk, struct error *err)
{
    if (disk->layers[0].path[0])
        return 0;
    return error_set(err, ENOTSUP, EXC_INTERNAL_ERROR,
                     "volume disk %s is no file: only volumes on file systems have snapshots that "
                     "the compute host makes",
                     disk->target);
}

int libvirt_volume_describe(virDomainPtr domain, const char *volume_id,
                            struct volume_disk **ret_disk, struct error *err)
{
    cleanup_volume_disk struct volume_disk *disk = NULL;
    cleanup_free char *xml = NULL;
    int r = libvirt_domain_xml(domain, &xml, err);
    if (r < 0)
        return r;
    r = volume_disk_parse(xml, volume_id, &disk, err);
    if (r < 0)
        return r;
    r = volume_need_file(disk, err);
    if (r < 0)
        return r;
    *ret_disk = TAKE_PTR(disk);
    return 0;
}

int libvirt_volume_read(virDomainPtr domain, const char *volume_id, bool *ret_active,
                        struct volume_disk **ret_disk, struct error *err)
{
    cleanup_volume_disk struct volume_disk *disk = NULL;
    int active = virDomainIsActive(domain);
    if (active < 0)
        return libvirt_error(err, "cannot read whether the domain is active");
    int r = libvirt_volume_describe(domain, volume_id, &disk, err);
    if (r < 0)
        return r;
    /* The chain in a stopped guest's definition is what it was when it last changed there. */
    bool by_headers = active == 0 || !disk->chain_known;
    if (by_headers)
        r = volume_chain_read_headers(disk, err);
    if (r < 0)
        return r;
    log_debug("volume %s is disk %s with %zu layers, as %s, top layer %s", volume_id, disk->target,
              disk->layer_count, by_headers ? "the files' headers say" : "libvirt says",
              disk->layers[0].path);
    *ret_active = active == 1;
    *ret_disk = TAKE_PTR(disk);
    return 0;
}

int libvirt_volume_fail(const char *uuid, const struct error *failure, struct error *err)
{
    if (error_is(failure, EXC_INSTANCE_NOT_FOUND))
        return libvirt_domain_not_running(uuid, err);
    if (error_is(failure, EXC_INSTANCE_NOT_RUNNING) ||
        error_is(failure, EXC_QEMU_GUEST_AGENT_NOT_ENABLED))
        *err = *failure;
    else
        (void)error_set(err, failure->errnum, EXC_INTERNAL_ERROR, "%s", failure->message);
    return -err->errnum;
}
