/* SPDX-License-Identifier: Apache-2.0 */
/* See file_user.h. */
#include "domain/file_user.h"

#include <errno.h>
#include <libxml/xpath.h>
#include <string.h>

#include "common/cleanup.h"
#include "driver/definition/xml_node.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/connection.h"

int file_user_is_named(const char *xml, const char *root_name, const char *path, bool *ret_is_named,
                       struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    int r = xml_node_parse(xml, root_name, &document, err);
    if (r < 0)
        return r;
    xmlXPathContext *context = xmlXPathNewContext(document);
    xmlXPathObject *found =
        context ? xmlXPathEval((const xmlChar *)"//@file|//@dev", context) : NULL;
    const xmlNodeSet *nodes = found ? found->nodesetval : NULL;
    bool is_named = false;
    for (int i = 0; nodes && i < nodes->nodeNr; i++) {
        xmlChar *value = xmlNodeGetContent(nodes->nodeTab[i]);
        is_named |= value && strcmp((const char *)value, path) == 0;
        xmlFree(value);
    }
    bool is_done = found != NULL;
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
    if (!is_done)
        return error_nomem(err);
    *ret_is_named = is_named;
    return 0;
}

/* Takes the XML. */
static int look_into(char *of_libvirt, const char *root_name, const char *path, bool *is_used,
                     struct error *err)
{
    cleanup_free char *xml = of_libvirt;
    bool is_named = false;
    int r = xml ? file_user_is_named(xml, root_name, path, &is_named, err)
                : libvirt_error(err, "cannot read which files the domain needs");
    *is_used |= is_named;
    return r;
}

static int look_into_snapshots(virDomainPtr domain, const char *path, bool *is_used,
                               struct error *err)
{
    virDomainSnapshotPtr *snapshots = NULL;
    int n = virDomainListAllSnapshots(domain, &snapshots, 0);
    int r = n < 0 ? libvirt_error(err, "cannot list the snapshots") : 0;
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = look_into(virDomainSnapshotGetXMLDesc(snapshots[i], 0), "domainsnapshot", path,
                          is_used, err);
        (void)virDomainSnapshotFree(snapshots[i]);
    }
    free(snapshots);
    return r;
}

int file_user_find(virDomainPtr domain, const char *path, bool *ret_is_used, struct error *err)
{
    bool is_used = qemu_img_is_written(path);
    int r = look_into(virDomainGetXMLDesc(domain, 0), "domain", path, &is_used, err);
    if (r == 0 && virDomainIsPersistent(domain) == 1)
        r = look_into(virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE), "domain", path,
                      &is_used, err);
    if (r == 0)
        r = look_into_snapshots(domain, path, &is_used, err);
    if (r == 0)
        *ret_is_used = is_used;
    return r;
}
