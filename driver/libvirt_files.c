/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a file is: driver_ops.visit_files, and the end of a job that writes to one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "driver/block/backup_job.h"
#include "driver/block/block_copy.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt_driver_private.h"

struct files_visit {
    driver_file_visit visit;
    void *arg;
    char uuid[VIR_UUID_STRING_BUFLEN];
};

static void tell_file(const struct files_visit *files, enum driver_file_use use,
                      const char *disk_target, const char *path)
{
    const struct driver_file file = {use, files->uuid, disk_target, path};
    if (path[0] == '/')
        files->visit(files->arg, &file);
}

static void tell_scratch(void *arg, const char *disk_target, const char *path)
{
    tell_file(arg, DRIVER_FILE_BACKUP, disk_target, path);
}

/*
 * What is below the last layer that the definition of a guest that does not run tells of; libvirt
 * looks there when it starts. A layer that is not there has nothing below it.
 */
static int visit_below(const struct files_visit *files, const struct domain_disk *disk,
                       struct error *err)
{
    const struct disk_layer *last = &disk->layers[disk->layer_count - 1];
    struct qemu_img_info layer = {.cluster_size_bytes = 0};
    (void)snprintf(layer.backing_path, sizeof(layer.backing_path), "%s", last->path);
    (void)snprintf(layer.backing_format, sizeof(layer.backing_format), "%s", last->format);
    for (unsigned n = 0; layer.backing_path[0] == '/' && n < DISK_LAYERS_MAX; n++) {
        struct error failure = ERROR_INIT;
        struct qemu_img_info below = {.cluster_size_bytes = 0};
        if (strcmp(layer.backing_format, "qcow2") != 0) /* nova makes no other that has a layer */
            return 0;
        int r = qemu_img_info(layer.backing_path, layer.backing_format, &below, &failure);
        if (error_is(&failure, EXC_DISK_NOT_FOUND))
            return 0;
        if (r < 0) /* not as a domain that is gone, whatever qemu-img lacks */
            return error_set(err, EIO, EXC_INVALID_DISK_INFO, "%s", failure.message);
        tell_file(files, DRIVER_FILE_DISK, disk->target, below.backing_path);
        layer = below;
    }
    return 0;
}

static int visit_disk(const struct files_visit *files, const struct domain_disk *disk, bool stopped,
                      struct error *err)
{
    for (size_t k = 0; k < disk->layer_count; k++)
        tell_file(files, DRIVER_FILE_DISK, disk->target, disk->layers[k].path);
    if (disk->has_mirror)
        tell_file(files, DRIVER_FILE_COPY, disk->target, disk->mirror_path);
    return stopped && !disk->chain_known ? visit_below(files, disk, err) : 0;
}

static int visit_definition(const struct files_visit *files, virDomainPtr domain, unsigned flags,
                            struct error *err)
{
    struct domain_description *description = NULL;
    cleanup_free char *xml = virDomainGetXMLDesc(domain, flags);
    if (!xml)
        return libvirt_error(err, "cannot read the definition of domain %s", files->uuid);
    int r = domain_description_parse(xml, &description, err);
    if (r < 0)
        return r;
    bool stopped = flags == 0 && virDomainIsActive(domain) == 0;
    for (size_t i = 0; r == 0 && i < description->disk_count; i++)
        r = visit_disk(files, &description->disks[i], stopped, err);
    domain_description_free(description);
    return r;
}

/* One that has gone meanwhile has no files. */
static int visit_domain(struct files_visit *files, virDomainPtr domain, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (virDomainGetUUIDString(domain, files->uuid) < 0)
        return libvirt_error(err, "cannot read the uuid of a domain");
    int r = visit_definition(files, domain, 0, &failure);
    if (r == 0)
        r = visit_definition(files, domain, VIR_DOMAIN_XML_INACTIVE, &failure);
    if (r == 0 && virDomainIsActive(domain) == 1)
        r = backup_job_visit_scratch(domain, tell_scratch, files, &failure);
    if (r == 0 || r == -ENOENT)
        return 0;
    *err = failure;
    return r;
}

int libvirt_visit_files(struct libvirt_driver *driver, driver_file_visit visit, void *arg,
                        struct error *err)
{
    struct files_visit files = {.visit = visit, .arg = arg};
    cleanup_conn virConnectPtr conn = NULL;
    virDomainPtr *domains = NULL;
    int r = libvirt_connection_get(driver->connection, 0, &conn, err);
    if (r < 0)
        return r;
    int n = virConnectListAllDomains(conn, &domains, 0);
    if (n < 0)
        return libvirt_error(err, "cannot list the domains");
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = visit_domain(&files, domains[i], err);
        (void)virDomainFree(domains[i]);
    }
    free(domains);
    return r;
}

static int end_copy(const struct driver_file *file, virDomainPtr domain, struct error *err)
{
    struct block_copy copy = {
        .uuid = file->uuid, .disk_target = file->disk_target, .overlay_path = file->path};
    int r = block_copy_drop(&copy, domain, err);
    block_copy_done(&copy);
    return r;
}

static int end_backup(const struct driver_file *file, virDomainPtr domain, struct error *err)
{
    struct backup_job job = {
        .disk_target = file->disk_target, .scratch_path = file->path, .running = true};
    return backup_job_undo(&job, domain, err);
}

int libvirt_end_job(struct libvirt_driver *driver, const struct driver_file *file,
                    struct error *err)
{
    cleanup_domain virDomainPtr domain = NULL;
    struct error failure = ERROR_INIT;
    int r = libvirt_connection_find_domain(driver->connection, file->uuid, 0,
                                           EXC_INSTANCE_NOT_FOUND, &domain, &failure);
    if (r == 0)
        r = (file->use == DRIVER_FILE_COPY ? end_copy : end_backup)(file, domain, &failure);
    if (r == 0 || r == -ENOENT)
        return 0;
    *err = failure;
    return r;
}
