/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator may want to know of the hypervisor and a guest; changes nothing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/cleanup.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt_driver_private.h"

/* libvirt's way to write A.B.C. */
#define MAJOR(version) ((version) / 1000000)
#define MINOR(version) ((version) / 1000 % 1000)
#define MICRO(version) ((version) % 1000)

int libvirt_describe_host(struct libvirt_driver *driver, char ret_text[static DRIVER_TEXT_MAX],
                          struct error *err)
{
    cleanup_conn virConnectPtr conn = NULL;
    unsigned long libvirt = 0, hypervisor = 0;
    int r = libvirt_connection_get(driver->connection, 0, &conn, err);
    if (r < 0)
        return r;
    const char *type = virConnectGetType(conn);
    if (!type || virConnectGetLibVersion(conn, &libvirt) < 0 ||
        virConnectGetVersion(conn, &hypervisor) < 0)
        return libvirt_error(err, "cannot read its version");
    (void)snprintf(ret_text, DRIVER_TEXT_MAX, "libvirt %lu.%lu.%lu, %s %lu.%lu.%lu", MAJOR(libvirt),
                   MINOR(libvirt), MICRO(libvirt), type, MAJOR(hypervisor), MINOR(hypervisor),
                   MICRO(hypervisor));
    return 0;
}

int libvirt_find_guest(struct libvirt_driver *driver, const char *name,
                       char ret_uuid[static DRIVER_UUID_MAX], struct error *err)
{
    cleanup_conn virConnectPtr conn = NULL;
    char uuid[VIR_UUID_STRING_BUFLEN];
    int r = libvirt_connection_get(driver->connection, 0, &conn, err);
    if (r < 0)
        return r;
    cleanup_domain virDomainPtr domain = virDomainLookupByName(conn, name);
    if (!domain || virDomainGetUUIDString(domain, uuid) < 0)
        return libvirt_error(err, "cannot look for domain %s", name);
    (void)snprintf(ret_uuid, DRIVER_UUID_MAX, "%s", uuid);
    return 0;
}

/* <channel><target name='org.qemu.guest_agent.0' state='connected'/>, of a guest that runs. */
static enum guest_agent read_agent(const xmlNode *devices)
{
    const xmlNode *channel = xml_node_child_named(devices, "channel");
    for (; channel; channel = xml_node_next_named(channel->next, "channel")) {
        const xmlNode *target = xml_node_child_named(channel, "target");
        if (xml_node_attribute_is(target, "name", "org.qemu.guest_agent.0"))
            return xml_node_attribute_is(target, "state", "connected") ? GUEST_AGENT_CONNECTED
                                                                       : GUEST_AGENT_AWAY;
    }
    return GUEST_AGENT_NO_CHANNEL;
}

int libvirt_guest_agent(struct libvirt_driver *driver, const char *uuid,
                        enum guest_agent *ret_agent, struct error *err)
{
    cleanup_domain virDomainPtr domain = NULL;
    cleanup_free char *xml = NULL;
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = libvirt_connection_find_domain(driver->connection, uuid, 0, EXC_INSTANCE_NOT_RUNNING,
                                           &domain, err);
    if (r == 0)
        r = libvirt_domain_xml(domain, &xml, err);
    if (r == 0)
        r = xml_node_parse_domain(xml, &document, &devices, err);
    if (r == 0)
        *ret_agent = read_agent(devices);
    return r;
}
