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
            "merged (`nova-snapshot domain delete-checkpoint`) do not start, stop, hard reboot, "
            "snapshot, back up, rebuild, resize, shelve, migrate, rescue or delete the server, nor "
            "let nova start it with the host",
        [NOVA_GUEST_INTERNAL] =
            "nova owns this domain, and libvirt undefines none that has a checkpoint: until it is "
            "deleted (`nova-snapshot domain delete-checkpoint`) nova's start, hard reboot and "
            "deletion of the server fail, and so does its start with the host",
        [NOVA_GUEST_REVERT] =
            "nova owns this domain and does not know that its disks are in other files now: until "
            "what was left behind and then that checkpoint are deleted (`nova-snapshot domain "
            "delete-checkpoint`) its start, hard reboot, or start with the host, as a snapshot, "
            "backup, rebuild, resize, "
            "shelving, migration or rescue, fails or takes the files it knows, which keep "
            "checkpoints and must not be written to",
        [NOVA_GUEST_SAVE] = "nova owns this domain and takes it for stopped now: do not start, "
                            "hard reboot, rebuild, resize or migrate the server, nor let nova "
                            "start it with the host, before `nova-snapshot domain restore`: the "
                            "saved memory is lost by that, or of no use afterwards",
        [NOVA_GUEST_RESTORE] = "nova owns this domain: it finds the guest running within ten "
                               "minutes, and may stop it where it had been told that the server is "
                               "stopped",
        [NOVA_GUEST_LAYERED] =
            "nova owns this domain, whose disks are in layers that nova does not know of, or of "
            "which libvirt keeps checkpoints, still: until the last has gone (`nova-snapshot "
            "domain delete-checkpoint`, or `flatten`) do not start, stop, hard reboot, snapshot, "
            "back up, rebuild, resize, shelve, migrate, rescue or delete the server, nor let nova "
            "start it with the host",
        [NOVA_GUEST_WHOLE] = ("nova owns this domain: its disks are nova's own files again, and "
                              "libvirt keeps no checkpoint of it"),
    };
    return nova_guest_is(domain_xml) ? texts[command] : NULL;
}

int nova_guest_refuse_checkpoint(const char *domain_xml, struct error *err)
{
    if (!nova_guest_is(domain_xml))
        return 0;
    return error_set(
        err, EINVAL, EXC_INTERNAL_ERROR,
        "nova owns this domain: its disks would be in layers that nova does not know of. A start "
        "of the server, also after a stop, a hard reboot, and the host's boot "
        "(resume_guests_state_on_host_boot) define it anew on instances/<uuid>/disk, below them: "
        "libvirt refuses nova that while it keeps the checkpoint, and the server stays down; else "
        "all that was written since would be lost and the checkpoint spoilt. --force makes it all "
        "the same");
}

int nova_guest_refuse_revert(const char *domain_xml, struct error *err)
{
    if (!nova_guest_is(domain_xml))
        return 0;
    return error_set(
        err, EINVAL, EXC_INTERNAL_ERROR,
        "nova owns this domain: its disks would go on in files that nova does not know of, on the "
        "one it knows, until `domain delete-checkpoint` of what was left behind and then of that "
        "checkpoint; nova's next start or hard reboot of the server, or the host's boot, would "
        "fail before, or write to what the checkpoints are kept in. --force goes back all the "
        "same");
}

const char *nova_guest_warning_of(const struct session *session, enum nova_guest_command command)
{
    cleanup_free char *xml = NULL;
    struct error ignored = ERROR_INIT;
    return session->domain && libvirt_domain_xml(session->domain, &xml, &ignored) == 0
               ? nova_guest_warning(xml, command)
               : NULL;
}
