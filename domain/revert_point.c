/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_point.h. */
#include "domain/revert_point.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "driver/definition/domain_disk.h"
#include "driver/definition/xml_node.h"

static int refuse(struct error *err, const char *why)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s", why);
}

static int refuse_disk(struct error *err, const char *target, const char *why)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s: %s", target, why);
}

static const struct checkpoint_disk *find_disk(const struct revert_point *point, const char *target)
{
    for (size_t i = 0; i < point->disk_count; i++)
        if (strcmp(point->disks[i].target, target) == 0)
            return &point->disks[i];
    return NULL;
}

/* What a guest may write to: it has to be of the same instant. */
static bool is_written(const xmlNode *element, const struct domain_disk *disk)
{
    return disk->is_hard_disk && xml_node_child_named(element, "source") &&
           !xml_node_child_named(element, "readonly");
}

/* What has a state in no disk: it would be another than that of then. */
static int check_devices(const xmlNode *domain, struct error *err)
{
    const xmlNode *os = xml_node_child_named(domain, "os");
    const xmlNode *devices = xml_node_child_named(domain, "devices");
    if (xml_node_attribute_is(os, "firmware", "efi") || xml_node_child_named(os, "nvram") ||
        xml_node_attribute_is(xml_node_child_named(os, "loader"), "type", "pflash"))
        return refuse(err, "its firmware keeps variables in a file (UEFI), which is in no "
                           "checkpoint and would be another than then");
    if (xml_node_child_named(devices, "tpm"))
        return refuse(err, "the guest has a TPM, whose state is in no checkpoint and would be "
                           "another than then");
    return 0;
}

/* The disk as the checkpoint's <disks> tell of it; NULL. */
static xmlNode *find_made(const xmlNode *root, const char *target)
{
    xmlNode *node = xml_node_child_named(xml_node_child_named(root, "disks"), "disk");
    while (node && !xml_node_attribute_is(node, "name", target))
        node = xml_node_next_named(node->next, "disk");
    return node;
}

static const char *reason_against(const xmlNode *element, const struct domain_disk *disk)
{
    if (disk->problem)
        return disk->problem;
    if (!xml_node_attribute_is(element, "type", "file") || disk->layers[0].path[0] != '/')
        return "it was no file then";
    if (disk->layers[0].encrypted)
        return "it was encrypted, and a new layer would not be";
    if (xml_node_child_named(element, "shareable") || xml_node_child_named(element, "transient"))
        return "it was shared with others, or not kept";
    if (strcmp(disk->layers[0].format, "qcow2") != 0 && strcmp(disk->layers[0].format, "raw") != 0)
        return "it was neither qcow2 nor raw";
    return NULL;
}

static int add_disk(const xmlNode *element, const struct domain_disk *disk, const xmlNode *made,
                    struct revert_point *point, struct error *err)
{
    bool is_internal = xml_node_attribute_is(made, "snapshot", "internal");
    const char *reason = reason_against(element, disk);
    if (reason)
        return refuse_disk(err, disk->target, reason);
    if (point->disk_count == CHECKPOINT_PLAN_DISKS_MAX)
        return refuse(err, "it has too many disks");
    if (point->disk_count > 0 && point->is_internal != is_internal)
        return refuse(err, "it is of both kinds, internal and external");
    if (xml_node_child_named(made, "snapshotDeleteInProgress"))
        return refuse_disk(err, disk->target, "libvirt has begun to delete the checkpoint");
    struct checkpoint_disk *added = &point->disks[point->disk_count++];
    point->is_internal = is_internal;
    (void)snprintf(added->target, sizeof(added->target), "%s", disk->target);
    (void)snprintf(added->format, sizeof(added->format), "%s", disk->layers[0].format);
    (void)snprintf(added->base, sizeof(added->base), "%s", disk->layers[0].path);
    bool is_named = xml_node_copy_attribute(xml_node_child_named(made, "source"), "file",
                                            added->overlay, sizeof(added->overlay));
    if (!is_internal && (!is_named || added->overlay[0] != '/'))
        return refuse_disk(err, disk->target, "the layer it was given then is no file");
    return 0;
}

static int read_disk(const xmlNode *root, const xmlNode *element, struct revert_point *point,
                     struct error *err)
{
    struct domain_disk disk = {0};
    int r = domain_disk_read(element, &disk, err);
    const xmlNode *made = r == 0 ? find_made(root, disk.target) : NULL;
    bool is_in_it = xml_node_attribute_is(made, "snapshot", "external") ||
                    xml_node_attribute_is(made, "snapshot", "internal");
    if (r == 0 && is_in_it)
        r = add_disk(element, &disk, made, point, err);
    else if (r == 0 && is_written(element, &disk))
        r = refuse_disk(err, disk.target,
                        "it was not in the checkpoint, and would not be of the same instant");
    domain_disk_done(&disk);
    return r;
}

static int read_disks(const xmlNode *root, const xmlNode *domain, struct revert_point *point,
                      struct error *err)
{
    int r = 0;
    point->disks = calloc(CHECKPOINT_PLAN_DISKS_MAX, sizeof(*point->disks));
    if (!point->disks)
        return error_nomem(err);
    for (xmlNode *element = xml_node_child_named(xml_node_child_named(domain, "devices"), "disk");
         r == 0 && element; element = xml_node_next_named(element->next, "disk"))
        r = read_disk(root, element, point, err);
    return r == 0 && point->disk_count == 0 ? refuse(err, "it holds no disk") : r;
}

/* `with_files`: and at those files. */
static int check_disk(const struct revert_point *point, const xmlNode *element, bool with_files,
                      size_t *found, struct error *err)
{
    struct domain_disk disk = {0};
    int r = domain_disk_read(element, &disk, err);
    const struct checkpoint_disk *then = r == 0 ? find_disk(point, disk.target) : NULL;
    *found += then != NULL;
    if (r == 0 && !then && is_written(element, &disk))
        r = refuse_disk(err, disk.target,
                        "the checkpoint does not hold it, as it has been attached since: what it "
                        "has in it would be lost to the guest, detach it first");
    if (then && with_files && strcmp(disk.layers[0].path, then->base) != 0)
        r = refuse_disk(err, disk.target, "the guest's and its next start's were not the same");
    if (then &&
        (xml_node_child_named(element, "transient") || xml_node_child_named(element, "shareable")))
        r = refuse_disk(err, disk.target, "it is shared with others, or not kept");
    domain_disk_done(&disk);
    return r;
}

static int check_disks(const struct revert_point *point, const xmlNode *domain, bool with_files,
                       struct error *err)
{
    size_t found = 0;
    int r = check_devices(domain, err);
    for (xmlNode *element = xml_node_child_named(xml_node_child_named(domain, "devices"), "disk");
         r == 0 && element; element = xml_node_next_named(element->next, "disk"))
        r = check_disk(point, element, with_files, &found, err);
    if (r == 0 && found != point->disk_count)
        r = refuse(err, "a disk that is in the checkpoint is not the domain's any more");
    return r;
}

/* <inactiveDomain> as the <domain> it was. */
static int copy_definition(xmlNode *node, struct revert_point *point, struct error *err)
{
    cleanup_xml_document xmlDoc *document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *copy = document ? xmlDocCopyNode(node, document, 1) : NULL;
    xmlChar *text = NULL;
    int size = 0;
    if (!copy)
        return error_nomem(err);
    if (!xml_node_copy_child_text(node, "name", point->domain_name, sizeof(point->domain_name)))
        return refuse(err, "the domain's name of then is too long");
    xmlNodeSetName(copy, (const xmlChar *)"domain");
    (void)xmlDocSetRootElement(document, copy);
    xmlDocDumpMemory(document, &text, &size);
    point->definition = text ? strdup((const char *)text) : NULL;
    xmlFree(text);
    return point->definition ? 0 : error_nomem(err);
}

static int read_domains(const xmlNode *root, struct revert_point *point, struct error *err)
{
    xmlNode *domain = xml_node_child_named(root, "domain");
    xmlNode *next = xml_node_child_named(root, "inactiveDomain");
    bool ran = point->was_running || point->was_paused;
    if (!domain || (ran && !next))
        return refuse(err, "libvirt does not tell the domain's definition of then");
    int r = check_devices(domain, err);
    if (r == 0)
        r = read_disks(root, domain, point, err);
    if (r == 0 && next)
        r = check_disks(point, next, true, err);
    return r < 0 ? r : copy_definition(next ? next : domain, point, err);
}

static int read_memory(const xmlNode *root, struct revert_point *point, struct error *err)
{
    const xmlNode *memory = xml_node_child_named(root, "memory");
    bool is_external = xml_node_attribute_is(memory, "snapshot", "external");
    point->has_memory = is_external || xml_node_attribute_is(memory, "snapshot", "internal");
    if (is_external &&
        (!xml_node_copy_attribute(memory, "file", point->memory_file, sizeof(point->memory_file)) ||
         point->memory_file[0] != '/'))
        return refuse(err, "libvirt does not tell the file of its memory");
    return 0;
}

/* A disk-only one of a guest that ran is "disk-snapshot". */
static int read_state(const xmlNode *root, struct revert_point *point, struct error *err)
{
    char state[32];
    bool is_read = xml_node_copy_child_text(root, "name", point->name, sizeof(point->name)) &&
                   xml_node_copy_child_text(xml_node_child_named(root, "parent"), "name",
                                            point->parent, sizeof(point->parent)) &&
                   xml_node_copy_child_text(root, "state", state, sizeof(state));
    if (!is_read)
        return refuse(err, "libvirt tells of it with a name that is too long");
    point->was_running = strcmp(state, "running") == 0 || strcmp(state, "disk-snapshot") == 0;
    point->was_paused = strcmp(state, "paused") == 0;
    return point->was_running || point->was_paused || strcmp(state, "shutoff") == 0
               ? 0
               : error_set(err, EINVAL, EXC_INTERNAL_ERROR, "the domain was %s then", state);
}

int revert_point_parse(const char *xml, struct revert_point *ret_point, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    *ret_point = (struct revert_point){0};
    int r = xml_node_parse(xml, "domainsnapshot", &document, err);
    if (r < 0)
        return r;
    const xmlNode *root = xmlDocGetRootElement(document);
    r = read_state(root, ret_point, err);
    if (r == 0)
        r = read_memory(root, ret_point, err);
    if (r == 0 && xml_node_child_named(root, "revertDisks"))
        r = refuse(err, "libvirt itself has gone back to it, and keeps an account of that: "
                        "`virsh snapshot-revert` does it again");
    if (r == 0)
        r = read_domains(root, ret_point, err);
    if (r == 0 && ret_point->is_internal == (ret_point->memory_file[0] != '\0') &&
        ret_point->has_memory)
        r = refuse(err, "its disks and its memory are not of the same kind");
    return r;
}

void revert_point_done(struct revert_point *point)
{
    free(point->disks);
    secret_free(point->definition);
    *point = (struct revert_point){0};
}

/* libvirt renames a domain that has checkpoints, but defines none of its uuid by another name. */
static int check_name(const struct revert_point *point, const xmlNode *domain, struct error *err)
{
    char name[CHECKPOINT_NAME_SIZE];
    bool is_read = xml_node_copy_child_text(domain, "name", name, sizeof(name));
    if (point->is_internal || (is_read && strcmp(name, point->domain_name) == 0))
        return 0;
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "the domain was called %s when the checkpoint was made: go back with it "
                     "renamed so (`virsh domrename`)",
                     point->domain_name);
}

int revert_point_check_now(const struct revert_point *point, const char *domain_xml,
                           struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_node_parse_domain(domain_xml, &document, &devices, err);
    if (r == 0)
        r = check_name(point, xmlDocGetRootElement(document), err);
    return r < 0 ? r : check_disks(point, xmlDocGetRootElement(document), false, err);
}
