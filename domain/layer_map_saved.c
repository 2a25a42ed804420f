/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the memory which libvirt keeps of a domain goes on with, whatever its definition
 * says by now. See layer_map.h. */
/* Names begin with layer_map_. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "domain/layer_map_int.h"
#include "driver/definition/domain_disk.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/connection.h"

/* The memory has a list of its own of what is below a disk, which QEMU is given: a header may name
 * others by now. */
static int add_below(struct layer_map *map, const struct layer_name *name, const xmlNode *element,
                     struct error *err)
{
    struct domain_disk disk;
    int r = domain_disk_read(element, &disk, err);
    if (r < 0)
        return r;
    for (size_t i = 1; r == 0 && i < disk.layer_count; i++)
        r = layer_map_add_name(map, name, disk.layers[i].path, disk.layers[i].format, err);
    domain_disk_done(&disk);
    return r;
}

/* *ret_xml is NULL when it has none, or goes on by now, or when libvirt itself could not wake it.
 */
static int read_saved(virDomainPtr domain, const struct layer_name *name, char **ret_xml,
                      struct error *err)
{
    struct error failure = ERROR_INIT;
    *ret_xml = NULL;
    if (virDomainHasManagedSaveImage(domain, 0) != 1)
        return 0;
    *ret_xml = virDomainManagedSaveGetXMLDesc(domain, 0);
    if (*ret_xml || virGetLastErrorCode() == VIR_ERR_NO_SUPPORT)
        return 0;
    int r = libvirt_error(&failure,
                          "cannot read which files the saved guest of %s goes on with (`virsh "
                          "managedsave-remove` where its memory is of no use any more)",
                          name->domain);
    if (virDomainHasManagedSaveImage(domain, 0) != 1)
        return 0;
    if (name->is_own) {
        *err = failure;
        return r;
    }
    log_warning("%s", failure.message);
    return 0;
}

int layer_map_add_saved(struct layer_map *map, const struct layer_name *of_domain,
                        virDomainPtr domain, struct error *err)
{
    struct layer_name name = *of_domain;
    cleanup_xml_document xmlDoc *document = NULL;
    cleanup_free char *xml = NULL;
    int r = read_saved(domain, of_domain, &xml, err);
    if (r < 0 || !xml)
        return r;
    name.kind = LAYER_NAME_SAVED;
    r = xml_node_parse(xml, "domain", &document, err);
    if (r < 0)
        return r;
    const xmlNode *root = xmlDocGetRootElement(document);
    r = layer_map_add_disks(map, &name, root, err);
    for (xmlNode *disk = xml_node_child_named(xml_node_child_named(root, "devices"), "disk");
         r == 0 && name.is_own && disk; disk = xml_node_next_named(disk->next, "disk"))
        r = add_below(map, &name, disk, err);
    return r;
}
