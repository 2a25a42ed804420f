/* SPDX-License-Identifier: Apache-2.0 */
/* The map of what libvirt and the headers tell. See layer_map.h. */
/* Names begin with layer_map_. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "domain/backing_name.h"
#include "domain/layer_map_int.h"
#include "driver/definition/domain_disk.h"
#include "driver/definition/xml_node.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/connection.h"

/* A guest that runs has its file open, whatever became of the pool: its definition has an id. */
static bool has_no_file(const xmlNode *element)
{
    int code = virGetLastErrorCode();
    return (code == VIR_ERR_NO_STORAGE_VOL || code == VIR_ERR_NO_STORAGE_POOL) &&
           xmlHasProp(xmlDocGetRootElement(element->doc), (const xmlChar *)"id") == NULL;
}

/* The file of a disk that is a volume of a pool; "": it is none, or has gone. */
static int read_volume(virConnectPtr conn, const xmlNode *element,
                       char ret_path[static DRIVER_PATH_MAX], struct error *err)
{
    char pool_name[DRIVER_PATH_MAX], name[DRIVER_PATH_MAX];
    const xmlNode *source = xml_node_child_named(element, "source");
    ret_path[0] = '\0';
    if (!xml_node_attribute_is(element, "type", "volume") ||
        !xml_node_copy_attribute(source, "pool", pool_name, sizeof(pool_name)) ||
        !xml_node_copy_attribute(source, "volume", name, sizeof(name)))
        return 0;
    virStoragePoolPtr pool = virStoragePoolLookupByName(conn, pool_name);
    virStorageVolPtr volume = pool ? virStorageVolLookupByName(pool, name) : NULL;
    cleanup_free char *path = volume ? virStorageVolGetPath(volume) : NULL;
    int r = path || has_no_file(element)
                ? 0
                : libvirt_error(err, "cannot tell where volume %s of pool %s is", name, pool_name);
    if (path)
        (void)snprintf(ret_path, DRIVER_PATH_MAX, "%s", path);
    if (volume)
        (void)virStorageVolFree(volume);
    if (pool)
        (void)virStoragePoolFree(pool);
    return r;
}

/* What the disk is below is in the headers; a snapshot's old list of that is no need of it. */
static int add_disk(struct layer_map *map, const struct layer_name *name, const xmlNode *element,
                    struct error *err)
{
    struct domain_disk disk;
    char volume[DRIVER_PATH_MAX];
    int r = read_volume(map->conn, element, volume, err);
    if (r < 0)
        return r;
    r = domain_disk_read(element, &disk, err);
    if (r == 0)
        r = layer_map_add_name(map, name, volume[0] != '\0' ? volume : disk.layers[0].path,
                               disk.layers[0].format, err);
    if (r == 0 && disk.has_mirror && disk.mirror_path)
        r = layer_map_add_name(map, name, disk.mirror_path, "", err);
    domain_disk_done(&disk);
    return r;
}

int layer_map_add_disks(struct layer_map *map, const struct layer_name *name, const xmlNode *domain,
                        struct error *err)
{
    xmlNode *devices = xml_node_child_named(domain, "devices");
    int r = 0;
    for (xmlNode *disk = xml_node_child_named(devices, "disk"); r == 0 && disk;
         disk = xml_node_next_named(disk->next, "disk"))
        r = add_disk(map, name, disk, err);
    return r;
}

static int add_definition(struct layer_map *map, const struct layer_name *name, virDomainPtr domain,
                          unsigned flags, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    cleanup_free char *xml = virDomainGetXMLDesc(domain, flags);
    if (!xml && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
        return 0; /* it has ended since */
    int r = xml ? xml_node_parse(xml, "domain", &document, err)
                : libvirt_error(err, "cannot read the definition of %s", name->domain);
    return r < 0 ? r : layer_map_add_disks(map, name, xmlDocGetRootElement(document), err);
}

/* What the snapshot was made with; *ret_internal when it is inside its disks. */
static int add_made(struct layer_map *map, const struct layer_name *name, const xmlNode *root,
                    bool *ret_internal, struct error *err)
{
    char path[DRIVER_PATH_MAX], format[DRIVER_FORMAT_MAX];
    const xmlNode *memory = xml_node_child_named(root, "memory");
    struct layer_name made = *name;
    int r;
    *ret_internal = false;
    made.kind = LAYER_NAME_MEMORY;
    if (!xml_node_copy_attribute(memory, "file", path, sizeof(path)))
        return layer_map_too_long(name, err);
    r = layer_map_add_name(map, &made, path, "raw", err);
    made.kind = LAYER_NAME_OVERLAY;
    for (xmlNode *disk = xml_node_child_named(xml_node_child_named(root, "disks"), "disk");
         r == 0 && disk; disk = xml_node_next_named(disk->next, "disk")) {
        if (xml_node_attribute_is(disk, "snapshot", "internal"))
            *ret_internal = true;
        if (!xml_node_copy_attribute(xml_node_child_named(disk, "source"), "file", path,
                                     sizeof(path)) ||
            !xml_node_copy_attribute(xml_node_child_named(disk, "driver"), "type", format,
                                     sizeof(format)))
            return layer_map_too_long(name, err);
        r = layer_map_add_name(map, &made, path, format, err);
    }
    return r;
}

static int add_snapshot(struct layer_map *map, const struct layer_name *domain,
                        virDomainSnapshotPtr snapshot, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    cleanup_free char *xml = virDomainSnapshotGetXMLDesc(snapshot, 0);
    cleanup_free char *snapshot_name = strdup(virDomainSnapshotGetName(snapshot));
    struct layer_name name = *domain;
    int r = xml ? xml_node_parse(xml, "domainsnapshot", &document, err)
                : libvirt_error(err, "cannot read a snapshot of %s", domain->domain);
    if (r == 0 && !snapshot_name)
        r = error_nomem(err);
    if (r < 0)
        return r;
    const xmlNode *root = xmlDocGetRootElement(document);
    name.snapshot = snapshot_name;
    r = add_made(map, &name, root, &name.is_internal, err);
    name.kind = LAYER_NAME_STATE;
    if (r == 0)
        r = layer_map_add_disks(map, &name, xml_node_child_named(root, "domain"), err);
    if (r == 0)
        r = layer_map_add_disks(map, &name, xml_node_child_named(root, "inactiveDomain"), err);
    return r;
}

static int add_snapshots(struct layer_map *map, const struct layer_name *name, virDomainPtr domain,
                         struct error *err)
{
    virDomainSnapshotPtr *snapshots = NULL;
    int n = virDomainListAllSnapshots(domain, &snapshots, 0);
    if (n < 0 && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
        return 0;
    int r = n < 0 ? libvirt_error(err, "cannot list the snapshots of %s", name->domain) : 0;
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = add_snapshot(map, name, snapshots[i], err);
        (void)virDomainSnapshotFree(snapshots[i]);
    }
    free(snapshots);
    return r;
}

static int add_domain(struct layer_map *map, const struct session *session, virDomainPtr domain,
                      struct error *err)
{
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    struct layer_name name = {.kind = LAYER_NAME_DISK};
    const char *domain_name = virDomainGetName(domain);
    if (!domain_name || virDomainGetUUIDString(domain, uuid) < 0)
        return libvirt_error(err, "cannot read a domain's name");
    cleanup_free char *copy = strdup(domain_name);
    if (!copy)
        return error_nomem(err);
    name.domain = copy;
    name.is_own = strcmp(uuid, session->uuid) == 0;
    int r = add_definition(map, &name, domain, 0, err);
    if (r == 0)
        r = add_definition(map, &name, domain, VIR_DOMAIN_XML_INACTIVE, err);
    if (r == 0)
        r = layer_map_add_saved(map, &name, domain, err);
    return r < 0 ? r : add_snapshots(map, &name, domain, err);
}

static int add_domains(struct layer_map *map, const struct session *session, struct error *err)
{
    virDomainPtr *domains = NULL;
    int n = virConnectListAllDomains(map->conn, &domains, 0);
    int r = n < 0 ? libvirt_error(err, "cannot list the domains") : 0;
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = add_domain(map, session, domains[i], err);
        (void)virDomainFree(domains[i]);
    }
    free(domains);
    return r;
}

/* One whose format nobody names is looked at as well: nothing is read but what it stands on. */
static int read_header(struct layer_map *map, size_t place, struct qemu_img_info *ret_info,
                       struct error *err)
{
    struct layer_file *file = &map->files[place];
    struct error failure = ERROR_INIT;
    struct stat st;
    int r = qemu_img_info(file->path, file->format[0] ? file->format : NULL, ret_info, &failure);
    if (r < 0 && stat(file->path, &st) < 0 && errno == ENOENT) {
        file->is_there = false; /* it has gone since, with whose it was */
        return 0;
    }
    if (r < 0)
        *err = failure;
    return r;
}

/* What it stands on may be new in the map. */
static int add_below(struct layer_map *map, size_t place, struct error *err)
{
    const struct layer_file *file = &map->files[place];
    struct qemu_img_info info = {0};
    size_t below = LAYER_MAP_NONE;
    char path[DRIVER_PATH_MAX] = "";
    bool is_disk = S_ISREG(file->st.st_mode) || S_ISBLK(file->st.st_mode);
    if (file->is_read || !file->is_there || !is_disk || strcmp(file->format, "raw") == 0)
        return 0;
    map->files[place].is_read = true;
    int r = read_header(map, place, &info, err);
    if (r == 0 && info.backing_path[0] != '\0')
        r = backing_name_path(info.backing_path, file->path, path, err);
    if (r == 0 && path[0] != '\0')
        r = layer_map_add_file(map, path, info.backing_format, &below, err);
    if (r == 0)
        map->files[place].below = below;
    return r;
}

/* Until no header names another file, nor another format of one that was taken for raw. */
int layer_map_follow(struct layer_map *map, struct error *err)
{
    size_t count = 0;
    int r = 0;
    do {
        count = 0;
        for (size_t i = 0; r == 0 && i < map->file_count; i++) {
            bool was_read = map->files[i].is_read;
            r = add_below(map, i, err);
            count += map->files[i].is_read && !was_read;
        }
    } while (r == 0 && count > 0);
    return r;
}

int layer_map_read(const struct session *session, struct layer_map *ret_map, struct error *err)
{
    *ret_map = (struct layer_map){0};
    int r = libvirt_connection_get(session->driver->connection, 0, &ret_map->conn, err);
    if (r == 0)
        r = add_domains(ret_map, session, err);
    return r < 0 ? r : layer_map_follow(ret_map, err);
}
