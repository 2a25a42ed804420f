/* SPDX-License-Identifier: Apache-2.0 */
/* See deletion_plan.h. */
#include "domain/deletion_plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "domain/internal_delete.h"
#include "domain/merge_chain.h"
#include "domain/merge_check.h"
#include "domain/merge_plan.h"
#include "domain/save_record.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/connection.h"

/* The disk as it was then: its file and format. */
static const xmlNode *disk_of_then(const xmlNode *root, const char *target)
{
    const xmlNode *devices = xml_node_child_named(xml_node_child_named(root, "domain"), "devices");
    for (xmlNode *disk = xml_node_child_named(devices, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk"))
        if (xml_node_attribute_is(xml_node_child_named(disk, "target"), "dev", target))
            return disk;
    return NULL;
}

static int plan_disk(const struct session *session, const xmlNode *root, const xmlNode *element,
                     json_t *disks, struct error *err)
{
    char target[DRIVER_FORMAT_MAX], path[DRIVER_PATH_MAX], format[DRIVER_FORMAT_MAX];
    char layer[DRIVER_PATH_MAX];
    const struct merge_plan_request request = {target, path, format, false, layer};
    json_t *chain = NULL, *disk = NULL;
    bool fits = xml_node_copy_attribute(element, "name", target, sizeof(target)) &&
                xml_node_copy_attribute(xml_node_child_named(element, "source"), "file", layer,
                                        sizeof(layer));
    const xmlNode *then = fits ? disk_of_then(root, target) : NULL;
    fits =
        fits && then &&
        xml_node_copy_attribute(xml_node_child_named(then, "source"), "file", path, sizeof(path)) &&
        xml_node_copy_attribute(xml_node_child_named(then, "driver"), "type", format,
                                sizeof(format));
    if (!fits || path[0] != '/' || layer[0] != '/')
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "disk %s: which file keeps the checkpoint cannot be told", target);
    int r = merge_chain_read(session->domain, target, &chain, err);
    if (r == 0)
        r = merge_plan_disk(chain, &request, &disk, err);
    json_decref(chain);
    if (r == 0 && !disk)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "disk %s: the guest writes to %s itself, the checkpoint is there no more: "
                         "once no later one is left, `virsh snapshot-delete --metadata` has "
                         "libvirt forget it",
                         target, path);
    return r < 0 || json_array_append_new(disks, disk) == 0 ? r : error_nomem(err);
}

/* One that is there and is a guest's memory; a file that has gone is nothing to remove. */
static int plan_memory(const xmlNode *root, json_t *merge, struct error *err)
{
    char path[DRIVER_PATH_MAX];
    json_t *file = NULL;
    bool is_whole = false;
    if (!xml_node_copy_attribute(xml_node_child_named(root, "memory"), "file", path, sizeof(path)))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "the memory's file");
    if (path[0] == '\0' || (access(path, F_OK) < 0 && errno == ENOENT))
        return 0;
    int r = save_record_memory_is_whole(path, &is_whole, err);
    if (r == 0 && !is_whole)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                      "%s is no guest's memory: it is not known what would be removed", path);
    if (r == 0)
        r = merge_chain_look(path, "raw", &file, err);
    return r < 0 || json_object_set_new(merge, "memory", file) == 0 ? r : error_nomem(err);
}

static int plan_external(const struct session *session, const char *name, const xmlNode *root,
                         json_t **ret_merge, struct error *err)
{
    json_t *disks = json_array();
    json_t *merge = json_pack("{s:s, s:o}", "snapshot", name, "disks", disks);
    int r = merge ? plan_memory(root, merge, err) : error_nomem(err);
    const xmlNode *list = xml_node_child_named(root, "disks");
    for (xmlNode *disk = xml_node_child_named(list, "disk"); r == 0 && disk;
         disk = xml_node_next_named(disk->next, "disk")) {
        if (xml_node_attribute_is(disk, "snapshot", "external"))
            r = plan_disk(session, root, disk, disks, err);
    }
    if (r == 0)
        r = merge_check(session, merge, err);
    if (r == 0)
        *ret_merge = json_incref(merge);
    json_decref(merge);
    return r;
}

static size_t count_disks(const xmlNode *root, const char *kind)
{
    size_t count = 0;
    const xmlNode *disks = xml_node_child_named(root, "disks");
    for (xmlNode *disk = xml_node_child_named(disks, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk"))
        count += xml_node_attribute_is(disk, "snapshot", kind);
    return count;
}

int deletion_plan_make(const struct session *session, virDomainSnapshotPtr snapshot,
                       struct deletion_plan *ret_plan, struct error *err)
{
    const char *name = virDomainSnapshotGetName(snapshot);
    cleanup_xml_document xmlDoc *document = NULL;
    cleanup_free char *xml = virDomainSnapshotGetXMLDesc(snapshot, 0);
    int r = xml ? xml_node_parse(xml, "domainsnapshot", &document, err)
                : libvirt_error(err, "cannot read checkpoint %s", name);
    if (r < 0)
        return r;
    const xmlNode *root = xmlDocGetRootElement(document);
    size_t internal = count_disks(root, "internal"), external = count_disks(root, "external");
    if ((internal > 0) == (external > 0) || count_disks(root, "manual") > 0)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                      "it is neither inside its disks nor beside them, but a bit of each");
    else if (internal > 0)
        r = internal_delete_plan(session, name, root, &ret_plan->note, err);
    else
        r = plan_external(session, name, root, &ret_plan->note, err);
    ret_plan->kind = internal > 0 ? "delete" : "merge";
    return r < 0 ? error_prepend(err, "checkpoint %s cannot be deleted", name) : 0;
}
