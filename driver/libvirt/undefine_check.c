/* SPDX-License-Identifier: Apache-2.0 */
/* See undefine_check.h. */
#include "driver/libvirt/undefine_check.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "common/secret.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/connection.h"

static int cannot_be_undefined(struct error *err, const char *why)
{
    return error_set(err, EOPNOTSUPP, EXC_INTERNAL_ERROR, "the domain is not undefined: %s", why);
}

/* libvirt removes the state of an emulated TPM with a transient domain, whatever was said before.
 */
static int check_tpm(const char *xml, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_node_parse_domain(xml, &document, &devices, err);
    if (r < 0)
        return r;
    bool emulated = false;
    for (xmlNode *tpm = xml_node_child_named(devices, "tpm"); tpm;
         tpm = xml_node_next_named(tpm->next, "tpm"))
        emulated |= xml_node_attribute_is(xml_node_child_named(tpm, "backend"), "type", "emulator");
    return emulated ? cannot_be_undefined(err, "its TPM would lose its keys if it ended then") : 0;
}

/* What libvirt keeps beside the definition: as a count, of which an older one may know nothing. */
static int check_nothing_kept(int count, const char *what, struct error *err)
{
    if (count > 0)
        return cannot_be_undefined(err, what);
    return count == 0 || virGetLastErrorCode() == VIR_ERR_NO_SUPPORT
               ? 0
               : libvirt_error(err, "cannot read what libvirt keeps of the domain");
}

static int check_kept(virDomainPtr domain, struct error *err)
{
    int r = check_nothing_kept(virDomainListAllCheckpoints(domain, NULL, 0),
                               "it has checkpoints, which go with it if it ends then", err);
    if (r < 0)
        return r;
    r = check_nothing_kept(virDomainSnapshotNum(domain, 0),
                           "it has snapshots, which go with it if it ends then", err);
    if (r < 0)
        return r;
    return check_nothing_kept(virDomainHasManagedSaveImage(domain, 0),
                              "it has a saved memory image", err);
}

/* An emulator or a machine type may have gone since the domain was defined. */
static int check_is_taken(const struct saved_definition *definition, virDomainPtr domain,
                          struct error *err)
{
    cleanup_domain virDomainPtr defined =
        virDomainDefineXML(virDomainGetConnect(domain), definition->xml);
    if (!defined) {
        (void)libvirt_error(err, "the domain is not undefined: libvirt would not define it again");
        if (virDomainIsActive(domain) == 1) /* neither the guest nor libvirtd has gone */
            err->errnum = EOPNOTSUPP;
        return -err->errnum;
    }
    char *taken = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    int r = !taken ? libvirt_error(err, "cannot read the domain's definition again")
            : strcmp(taken, definition->xml) == 0
                ? 0
                : cannot_be_undefined(err, "its definition changes when it is defined again");
    secret_free(taken);
    return r;
}

int undefine_check_kept(const struct saved_definition *definition, virDomainPtr domain,
                        struct error *err)
{
    if (!definition->xml)
        return 0;
    if (check_tpm(definition->xml, err) < 0 || check_tpm(definition->live, err) < 0 ||
        check_kept(domain, err) < 0)
        return -err->errnum;
    return 0;
}

int undefine_check(const struct saved_definition *definition, virDomainPtr domain,
                   struct error *err)
{
    int r = undefine_check_kept(definition, domain, err);
    return r < 0 || !definition->xml ? r : check_is_taken(definition, domain, err);
}
