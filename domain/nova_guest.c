/* SPDX-License-Identifier: Apache-2.0 */
/* See nova_guest.h. */
#include "domain/nova_guest.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/domain.h"

#define NOVA_NAMESPACE "http://openstack.org/xmlns/libvirt/nova/"

bool nova_guest_is(const char *domain_xml)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices;
    struct error ignored = ERROR_INIT;
    if (xml_node_parse_domain(domain_xml, &document, &devices, &ignored) < 0)
        return false;
    const xmlNode *metadata = xml_node_child_named(xmlDocGetRootElement(document), "metadata");
    for (const xmlNode *node = metadata ? metadata->children : NULL; node; node = node->next)
        if (xml_node_is_element(node, "instance") && node->ns && node->ns->href &&
            strncmp((const char *)node->ns->href, NOVA_NAMESPACE, strlen(NOVA_NAMESPACE)) == 0)
            return true;
    return false;
}

const char *nova_guest_warning(const char *domain_xml, enum nova_guest_command command)
{
    static const char *const texts[] = {
        [NOVA_GUEST_CHECKPOINT] =
            "nova owns this domain and does not know of the layers of its disks: until they are "
            "merged (`nova-snapshot domain delete-checkpoint`) do not "
            "snapshot, back up, rebuild, resize, shelve, migrate or rescue the server",
        [NOVA_GUEST_REVERT] =
            "nova owns this domain and does not know that its disks are in other files now: its "
            "hard reboot, as a snapshot, backup, rebuild, resize, shelving, migration or rescue, "
            "would take the files it knows, which keep checkpoints and must not be written to",
        [NOVA_GUEST_SAVE] = "nova owns this domain and takes it for stopped now: do not start, "
                            "rebuild, resize or migrate the server before `nova-snapshot domain "
                            "restore`, the saved memory is of no use afterwards",
        [NOVA_GUEST_RESTORE] = "nova owns this domain: it finds the guest running within ten "
                               "minutes, and may stop it where it had been told that the server is "
                               "stopped",
    };
    return nova_guest_is(domain_xml) ? texts[command] : NULL;
}

int nova_guest_refuse_revert(const char *domain_xml, struct error *err)
{
    if (!nova_guest_is(domain_xml))
        return 0;
    return error_set(
        err, EINVAL, EXC_INTERNAL_ERROR,
        "nova owns this domain: its disks would go on in files that nova does not know of, on the "
        "one it knows, and neither `domain delete-checkpoint` nor `domain flatten` could merge "
        "them back; nova's next start or hard reboot of the server would fail, or write to what "
        "the checkpoints are kept in. --force goes back all the same");
}

const char *nova_guest_warning_of(const struct session *session, enum nova_guest_command command)
{
    cleanup_free char *xml = NULL;
    struct error ignored = ERROR_INIT;
    return session->domain && libvirt_domain_xml(session->domain, &xml, &ignored) == 0
               ? nova_guest_warning(xml, command)
               : NULL;
}
