/* SPDX-License-Identifier: Apache-2.0 */
/* See overlay.h. */
#include "driver/volume/overlay.h"

#include <errno.h>
#include <libxml/tree.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/same_file.h"
#include "driver/definition/xml_node.h"
#include "driver/image/qemu_img.h"
#include "driver/volume/chain.h"

/* Cinder may have mounted the share elsewhere: another path to the same file is as good, a link to
 * it is not. */
static bool overlay_is_backed_by(const char *path, const char *present)
{
    struct stat st;
    return same_file(path, present) && lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int overlay_check_headers(const struct volume_layer *present, const char *path,
                                 struct error *err)
{
    struct qemu_img_info overlay = {0}, volume = {0};
    int r = qemu_img_info(path, "qcow2", &overlay, err);
    if (r < 0)
        return r;
    if (overlay.has_data_file)
        return volume_chain_invalid(err, path, "its data is in another file");
    if (!overlay_is_backed_by(overlay.backing_path, present->path))
        return volume_chain_invalid(err, path, "its backing file is not what the guest writes to");
    if (!present->format[0] || strcmp(overlay.backing_format, present->format) != 0)
        return volume_chain_invalid(err, path,
                                    "its backing file's format is not that of the running guest");
    r = qemu_img_info(present->path, present->format, &volume, err);
    if (r < 0)
        return r;
    if (overlay.virtual_size_bytes < volume.virtual_size_bytes)
        return volume_chain_invalid(err, path, "it is smaller than the volume");
    return 0;
}

int volume_overlay_check(const struct volume_disk *disk, const char *new_file, char **ret_path,
                         struct error *err)
{
    cleanup_free char *path = NULL;
    struct stat st;
    int r = volume_chain_join(disk, new_file, &path, err);
    if (r < 0)
        return r;
    if (lstat(path, &st) < 0)
        return error_set(err, ENOENT, EXC_DISK_NOT_FOUND, "No disk at %s", path);
    if (!S_ISREG(st.st_mode))
        return volume_chain_invalid(err, path, "it is no regular file");
    r = overlay_check_headers(&disk->layers[0], path, err);
    if (r < 0)
        return r;
    *ret_path = TAKE_PTR(path);
    return 0;
}

/* The value is escaped. False when there is no memory. */
static bool overlay_add_attribute(xmlNode *node, const char *name, const char *value)
{
    return node && xmlNewProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

static bool overlay_add_volume(xmlNode *disks, const struct volume_disk *disk, const char *path)
{
    xmlNode *node = xml_node_add_child(disks, "disk");
    return overlay_add_attribute(node, "name", disk->target) &&
           overlay_add_attribute(node, "snapshot", "external") &&
           overlay_add_attribute(node, "type", "file") &&
           overlay_add_attribute(xml_node_add_child(node, "driver"), "type", "qcow2") &&
           overlay_add_attribute(xml_node_add_child(node, "source"), "file", path);
}

/* A disk that is not listed would be snapshotted as well. */
static bool overlay_add_others(xmlNode *disks, const struct volume_disk *disk)
{
    for (size_t i = 0; i < disk->other_count; i++) {
        xmlNode *node = xml_node_add_child(disks, "disk");
        if (!overlay_add_attribute(node, "name", disk->other_targets[i]) ||
            !overlay_add_attribute(node, "snapshot", "no"))
            return false;
    }
    return true;
}

int volume_overlay_snapshot_xml(const struct volume_disk *disk, const char *path, char **ret_xml,
                                struct error *err)
{
    xmlDoc *document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *root = xmlNewNode(NULL, (const xmlChar *)"domainsnapshot");
    xmlBuffer *buffer = xmlBufferCreate();
    xmlNode *disks = xml_node_add_child(root, "disks");
    char *xml = NULL;
    if (document && root)
        (void)xmlDocSetRootElement(document, root);
    if (document && buffer && disks && overlay_add_volume(disks, disk, path) &&
        overlay_add_others(disks, disk) && xmlNodeDump(buffer, document, root, 0, 0) > 0)
        xml = strdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    if (!document)
        xmlFreeNode(root);
    xmlFreeDoc(document);
    if (!xml)
        return error_nomem(err);
    *ret_xml = xml;
    return 0;
}
