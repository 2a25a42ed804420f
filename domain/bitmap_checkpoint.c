/* SPDX-License-Identifier: Apache-2.0 */
/* See bitmap_checkpoint.h. */
#include "domain/bitmap_checkpoint.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <libxml/tree.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

#define DESCRIPTION_MAX_BYTES (1U << 20)
#define ID_KEY "nova_snapshot"

static void cleanup_free_checkpoint(virDomainCheckpointPtr *checkpoint)
{
    if (*checkpoint)
        (void)virDomainCheckpointFree(*checkpoint);
}

#define cleanup_checkpoint __attribute__((cleanup(cleanup_free_checkpoint)))

/* *ret_checkpoint is NULL when there is none. */
static int find_checkpoint(virDomainPtr domain, const char *name,
                           virDomainCheckpointPtr *ret_checkpoint, struct error *err)
{
    *ret_checkpoint = virDomainCheckpointLookupByName(domain, name, 0);
    if (!*ret_checkpoint && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_CHECKPOINT)
        return libvirt_error(err, "cannot look for checkpoint %s", name);
    return 0;
}

int bitmap_checkpoint_check_name(const struct session *session, const char *name, struct error *err)
{
    cleanup_checkpoint virDomainCheckpointPtr checkpoint = NULL;
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') ||
        strlen(name) > BITMAP_CHECKPOINT_NAME_MAX)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "no checkpoint can be called '%s'", name);
    int r = find_checkpoint(session->domain, name, &checkpoint, err);
    if (r < 0 || !checkpoint)
        return r;
    return error_set(err, EEXIST, EXC_INTERNAL_ERROR, "the domain has a checkpoint %s already",
                     name);
}

static char *describe_images(const char *id, json_t *images)
{
    json_t *description = json_pack("{s:s, s:o}", ID_KEY, id, "images", json_deep_copy(images));
    char *text = description ? json_dumps(description, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(description);
    return text;
}

int bitmap_checkpoint_describe(const char *name, const char *id, json_t *images, char **ret_xml,
                               struct error *err)
{
    cleanup_free char *description = describe_images(id, images);
    cleanup_xml_document xmlDoc *document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *root = xmlNewNode(NULL, (const xmlChar *)"domaincheckpoint");
    xmlChar *text = NULL;
    const char *target;
    json_t *path;
    int size = 0;
    if (!description)
        return error_nomem(err);
    (void)xmlDocSetRootElement(document, root);
    xmlNodeAddContent(xml_node_add_child(root, "name"), (const xmlChar *)name);
    xmlNodeAddContent(xml_node_add_child(root, "description"), (const xmlChar *)description);
    xmlNode *disks = xml_node_add_child(root, "disks");
    json_object_foreach (images, target, path) {
        xmlNode *disk = xml_node_add_child(disks, "disk");
        xml_node_set_attribute(disk, "name", target);
        xml_node_set_attribute(disk, "checkpoint", "bitmap");
    }
    xmlDocDumpMemory(document, &text, &size);
    *ret_xml = text ? strdup((const char *)text) : NULL;
    xmlFree(text);
    return *ret_xml ? 0 : error_nomem(err);
}

json_t *bitmap_checkpoint_description(const char *xml)
{
    struct error ignored = ERROR_INIT;
    json_t *description = NULL;
    cleanup_xml_document xmlDoc *document = NULL;
    if (xml_node_parse(xml, "domaincheckpoint", &document, &ignored) < 0)
        return NULL;
    xmlNode *node = xml_node_child_named(xmlDocGetRootElement(document), "description");
    xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
    if (text)
        (void)json_parse((const char *)text, strlen((const char *)text), DESCRIPTION_MAX_BYTES,
                         "a checkpoint's description", &description, &ignored);
    xmlFree(text);
    return description;
}

static json_t *read_description(virDomainCheckpointPtr checkpoint)
{
    cleanup_free char *xml =
        virDomainCheckpointGetXMLDesc(checkpoint, VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN);
    return xml ? bitmap_checkpoint_description(xml) : NULL;
}

int bitmap_checkpoint_images(const struct session *session, const char *name, json_t **ret_images,
                             struct error *err)
{
    cleanup_checkpoint virDomainCheckpointPtr checkpoint = NULL;
    json_t *images = NULL;
    int r = find_checkpoint(session->domain, name, &checkpoint, err);
    if (r < 0)
        return r;
    if (!checkpoint)
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR, "the domain has no checkpoint %s", name);
    json_t *description = read_description(checkpoint);
    r = json_need_object(description, "images", "the checkpoint's description", &images, err);
    if (r == 0)
        *ret_images = json_incref(images);
    json_decref(description);
    return r < 0
               ? error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                           "checkpoint %s was not made with an image: nobody knows which image is "
                           "of its instant",
                           name)
               : 0;
}

/* QEMU stores a bitmap in its disk when it ends, not when it is killed: what was lost then libvirt
 * does not find, and can only forget. */
static int delete_checkpoint(virDomainCheckpointPtr checkpoint, const char *name, struct error *err)
{
    if (virDomainCheckpointDelete(checkpoint, 0) == 0)
        return 0;
    /* "bitmap 'monday' not found in backing chain of 'vda'", in the daemon's language; what QEMU
     * says of a bitmap, as that it is in use, names QEMU. */
    const char *said = virGetLastErrorMessage();
    bool is_lost = virGetLastErrorCode() == VIR_ERR_INTERNAL_ERROR && strstr(said, name) &&
                   !strstr(said, "QEMU");
    if (is_lost &&
        virDomainCheckpointDelete(checkpoint, VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) == 0) {
        log_warning(
            "checkpoint %s, which has no image, has no bitmap either: QEMU was killed before "
            "it had stored it; libvirt has forgotten the checkpoint",
            name);
        return 0;
    }
    return libvirt_error(err, "cannot remove checkpoint %s, which has no image", name);
}

int bitmap_checkpoint_remove(const struct session *session, const char *name, const char *id,
                             struct error *err)
{
    bool active = false;
    cleanup_domain virDomainPtr domain = NULL;
    cleanup_checkpoint virDomainCheckpointPtr checkpoint = NULL;
    int r = libvirt_domain_find_again(session->driver->connection, session->uuid, &domain, &active,
                                      err);
    if (r < 0 || !domain)
        return r;
    r = find_checkpoint(domain, name, &checkpoint, err);
    if (r < 0 || !checkpoint)
        return r;
    json_t *description = read_description(checkpoint);
    const char *of_it = json_string_member(description, ID_KEY);
    bool is_ours = of_it && strcmp(of_it, id) == 0;
    json_decref(description);
    if (is_ours && !active) /* libvirt merges it into its parent, which takes QEMU */
        return error_set(err, EAGAIN, EXC_INTERNAL_ERROR,
                         "checkpoint %s has no image and is to be removed, which only a running "
                         "domain's can be: start it",
                         name);
    return is_ours ? delete_checkpoint(checkpoint, name, err) : 0;
}
