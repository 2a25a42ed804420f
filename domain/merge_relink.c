/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_relink.h. */
#include "domain/merge_relink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/same_file.h"
#include "common/secret.h"
#include "domain/merge_chain.h"
#include "driver/definition/xml_node.h"
#include "driver/driver.h"
#include "driver/libvirt/connection.h"

/* The base that takes the file's place; NULL: it stays. */
static const json_t *base_for(const json_t *disks, const char *path)
{
    size_t i, j;
    const json_t *disk, *file;
    json_array_foreach (disks, i, disk) {
        json_array_foreach (json_object_get(disk, "gone"), j, file) {
            if (same_file(path, merge_chain_path(file)))
                return json_object_get(disk, "base");
        }
    }
    return NULL;
}

static const json_t *base_for_source(const xmlNode *element, const json_t *disks)
{
    char path[DRIVER_PATH_MAX];
    bool is_file = xml_node_copy_attribute(xml_node_child_named(element, "source"), "file", path,
                                           sizeof(path)) &&
                   path[0] == '/';
    return is_file ? base_for(disks, path) : NULL;
}

/* Without the list libvirt looks into the headers when it needs one. */
static bool drop_list_below(xmlNode *element)
{
    xmlNode *list = xml_node_child_named(element, "backingStore");
    if (!list)
        return false;
    xmlUnlinkNode(list);
    xmlFreeNode(list);
    return true;
}

static bool names_gone_below(const xmlNode *element, const json_t *disks)
{
    for (const xmlNode *layer = xml_node_child_named(element, "backingStore"); layer;
         layer = xml_node_child_named(layer, "backingStore"))
        if (base_for_source(layer, disks))
            return true;
    return false;
}

static bool relink_disk(xmlNode *element, const json_t *disks)
{
    const json_t *base = base_for_source(element, disks);
    const char *format = json_string_member(base, "format");
    xmlNode *source = xml_node_child_named(element, "source");
    if (!base)
        return names_gone_below(element, disks) && drop_list_below(element);
    (void)xmlSetProp(source, (const xmlChar *)"file", (const xmlChar *)merge_chain_path(base));
    (void)xmlUnsetProp(source, (const xmlChar *)"index");
    (void)xmlSetProp(xml_node_child_named(element, "driver"), (const xmlChar *)"type",
                     (const xmlChar *)(format ? format : ""));
    (void)drop_list_below(element);
    return true;
}

static bool relink_disks(const xmlNode *domain, const json_t *disks)
{
    bool is_changed = false;
    const xmlNode *devices = xml_node_child_named(domain, "devices");
    for (xmlNode *disk = xml_node_child_named(devices, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk"))
        is_changed |= relink_disk(disk, disks);
    return is_changed;
}

int merge_relink_xml(const char *xml, const char *root_name, const json_t *disks, char **ret_xml,
                     struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlChar *text = NULL;
    int size = 0, r = xml_node_parse(xml, root_name, &document, err);
    if (r < 0)
        return r;
    const xmlNode *root = xmlDocGetRootElement(document);
    bool is_changed = relink_disks(root, disks);
    is_changed |= relink_disks(xml_node_child_named(root, "domain"), disks);
    is_changed |= relink_disks(xml_node_child_named(root, "inactiveDomain"), disks);
    *ret_xml = NULL;
    if (!is_changed)
        return 0;
    xmlDocDumpMemory(document, &text, &size);
    *ret_xml = text ? strdup((const char *)text) : NULL;
    secret_free((char *)text);
    return *ret_xml ? 0 : error_nomem(err);
}

int merge_relink_definition(virDomainPtr domain, const json_t *disks, struct error *err)
{
    char *now = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    char *wanted = NULL;
    int r = now ? merge_relink_xml(now, "domain", disks, &wanted, err)
                : libvirt_error(err, "cannot read the domain's definition");
    virDomainPtr defined =
        r == 0 && wanted ? virDomainDefineXML(virDomainGetConnect(domain), wanted) : NULL;
    if (r == 0 && wanted && !defined)
        r = libvirt_error(err, "cannot define the domain with its merged disks");
    if (defined)
        (void)virDomainFree(defined);
    secret_free(now);
    secret_free(wanted);
    return r;
}

int merge_relink_redefine(virDomainPtr domain, virDomainSnapshotPtr snapshot, const char *xml,
                          struct error *err)
{
    unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE;
    if (virDomainSnapshotIsCurrent(snapshot, 0) == 1)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT;
    const char *name = virDomainSnapshotGetName(snapshot);
    virDomainSnapshotPtr defined = virDomainSnapshotCreateXML(domain, xml, flags);
    if (!defined)
        return libvirt_error(err, "cannot tell libvirt which file checkpoint %s is in now", name);
    (void)virDomainSnapshotFree(defined);
    return 0;
}

static int relink_snapshot(virDomainPtr domain, virDomainSnapshotPtr snapshot, const json_t *disks,
                           struct error *err)
{
    const char *name = virDomainSnapshotGetName(snapshot);
    char *now = virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE);
    char *wanted = NULL;
    int r = now ? merge_relink_xml(now, "domainsnapshot", disks, &wanted, err)
                : libvirt_error(err, "cannot read checkpoint %s", name);
    if (r == 0 && wanted)
        r = merge_relink_redefine(domain, snapshot, wanted, err);
    secret_free(now);
    secret_free(wanted);
    return r;
}

int merge_relink_snapshots(virDomainPtr domain, const json_t *disks, const char *except,
                           struct error *err)
{
    virDomainSnapshotPtr *snapshots = NULL;
    int n = virDomainListAllSnapshots(domain, &snapshots, 0);
    int r = n < 0 ? libvirt_error(err, "cannot list the domain's checkpoints") : 0;
    for (int i = 0; i < n; i++) {
        bool is_excepted = except && strcmp(virDomainSnapshotGetName(snapshots[i]), except) == 0;
        if (r == 0 && !is_excepted)
            r = relink_snapshot(domain, snapshots[i], disks, err);
        (void)virDomainSnapshotFree(snapshots[i]);
    }
    free(snapshots);
    return r;
}
