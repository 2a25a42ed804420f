/* SPDX-License-Identifier: Apache-2.0 */
/* What creating and deleting a volume's snapshot have in common; for the libvirt driver only. */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "driver/libvirt/connection.h"
#include "driver/volume/disk.h"

/* InstanceNotRunning when there is no such domain. `patience_ms` as for the connection. */
int libvirt_volume_find_domain(struct libvirt_connection *connection, const char *uuid,
                               unsigned patience_ms, virDomainPtr *ret_domain, struct error *err);

/* Ends a request: *failure as one of the classes that driver.h promises. */
int libvirt_volume_fail(const char *uuid, const struct error *failure, struct error *err);

/* The volume as libvirt defines it. InternalError when it is no file. Returns owned. */
int libvirt_volume_describe(virDomainPtr domain, const char *volume_id,
                            struct volume_disk **ret_disk, struct error *err);

/*
 * The same with all layers: as libvirt knows them while the guest is active (*ret_active), else
 * from the files' headers.
 */
int libvirt_volume_read(virDomainPtr domain, const char *volume_id, bool *ret_active,
                        struct volume_disk **ret_disk, struct error *err);

static inline void cleanup_free_volume_disk(struct volume_disk **disk)
{
    volume_disk_free(*disk);
}

#define cleanup_volume_disk __attribute__((cleanup(cleanup_free_volume_disk)))
