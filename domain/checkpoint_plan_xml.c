/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as libvirt is told of it. See checkpoint_plan.h. */
/* Names begin with checkpoint_plan_. */
#include <libvirt/libvirt.h>
#include <string.h>

#include "domain/checkpoint_plan.h"
#include "driver/definition/xml_node.h"

static void add_disk(xmlNode *disks, const struct checkpoint_disk *disk)
{
    xmlNode *node = xml_node_add_child(disks, "disk");
    bool is_external = disk->overlay[0] != '\0';
    xml_node_set_attribute(node, "name", disk->target);
    xml_node_set_attribute(node, "snapshot", is_external ? "external" : "internal");
    if (!is_external)
        return;
    xml_node_set_attribute(node, "type", "file");
    xml_node_set_attribute(xml_node_add_child(node, "driver"), "type", "qcow2");
    xml_node_set_attribute(xml_node_add_child(node, "source"), "file", disk->overlay);
}

static void add_omission(xmlNode *disks, const struct checkpoint_remark *omission)
{
    if (strcmp(omission->what, "tpm") == 0 || strcmp(omission->what, "nvram") == 0)
        return;
    xmlNode *node = xml_node_add_child(disks, "disk");
    xml_node_set_attribute(node, "name", omission->what);
    xml_node_set_attribute(node, "snapshot", "no");
}

int checkpoint_plan_xml(const struct checkpoint_plan *plan, char **ret_xml, struct error *err)
{
    cleanup_xml_document xmlDoc *document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *root = xmlNewNode(NULL, (const xmlChar *)"domainsnapshot");
    xmlChar *text = NULL;
    int size = 0;
    (void)xmlDocSetRootElement(document, root);
    xmlNodeAddContent(xml_node_add_child(root, "name"), (const xmlChar *)plan->name);
    if (plan->is_frozen)
        xmlNodeAddContent(xml_node_add_child(root, "description"),
                          (const xmlChar *)CHECKPOINT_FROZEN);
    xmlNode *memory = xml_node_add_child(root, "memory");
    xml_node_set_attribute(memory, "snapshot",
                           !plan->has_memory   ? "no"
                           : plan->is_internal ? "internal"
                                               : "external");
    if (plan->memory_file[0] != '\0')
        xml_node_set_attribute(memory, "file", plan->memory_file);
    xmlNode *disks = xml_node_add_child(root, "disks");
    for (size_t i = 0; i < plan->disk_count; i++)
        add_disk(disks, &plan->disks[i]);
    for (size_t i = 0; i < plan->omissions.count; i++)
        add_omission(disks, &plan->omissions.all[i]);
    xmlDocDumpMemory(document, &text, &size);
    *ret_xml = text ? strdup((const char *)text) : NULL;
    xmlFree(text);
    return *ret_xml ? 0 : error_nomem(err);
}

unsigned checkpoint_plan_flags(const struct checkpoint_plan *plan,
                               const struct checkpoint_request *request)
{
    unsigned flags = plan->is_internal ? 0 : VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC;
    if (!plan->is_internal && !plan->has_memory)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY;
    if (request->live)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_LIVE;
    if (request->halt)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_HALT;
    if (request->quiesce)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE;
    return flags;
}
