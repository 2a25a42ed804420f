/* See saved_definition.h. */
#include "driver/saved_definition.h"

#include <errno.h>
#include <libvirt/virterror.h>

#include "common/cleanup.h"
#include "common/secret.h"
#include "driver/libvirt_driver.h"

/*
 * Newest flags first, the older ones where libvirtd does not know them. None of them lets go of
 * firmware variables or of a saved memory image: libvirt refuses to undefine a domain with those.
 */
static int undefine(virDomainPtr domain)
{
    static const unsigned flags[] = {VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM,
                                     VIR_DOMAIN_UNDEFINE_KEEP_NVRAM, 0};
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        if (virDomainUndefineFlags(domain, flags[i]) == 0)
            return 0;
        int code = virGetLastErrorCode();
        if (code != VIR_ERR_INVALID_ARG && code != VIR_ERR_ARGUMENT_UNSUPPORTED)
            break;
    }
    return -1;
}

int saved_definition_read(struct saved_definition *definition, virDomainPtr domain,
                          struct error *err)
{
    int autostart = 0;
    int persistent = virDomainIsPersistent(domain);
    if (persistent < 0)
        return libvirt_error(err, "cannot read whether the domain is persistent");
    if (persistent == 0)
        return 0;
    if (virDomainGetAutostart(domain, &autostart) < 0)
        return libvirt_error(err, "cannot read whether the domain starts by itself");
    definition->autostart = autostart != 0;
    definition->xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (!definition->xml)
        return libvirt_error(err, "cannot save the domain's definition");
    return 0;
}

int saved_definition_undefine(const struct saved_definition *definition, virDomainPtr domain,
                              struct error *err)
{
    if (definition->xml && undefine(domain) < 0)
        return libvirt_error(err, "cannot undefine the domain for the time of the copy");
    return 0;
}

int saved_definition_restore(const struct saved_definition *definition,
                             struct libvirt_connection *connection, virDomainPtr domain,
                             struct error *err)
{
    cleanup_conn virConnectPtr conn = NULL;
    if (!definition->xml || (domain && virDomainIsPersistent(domain) == 1))
        return 0;
    int r = libvirt_connection_get(connection, LIBVIRT_PATIENCE_MS, &conn, err);
    if (r < 0)
        return error_prepend(err, "cannot define the domain again");
    cleanup_domain virDomainPtr defined = virDomainDefineXML(conn, definition->xml);
    return defined ? 0 : libvirt_error(err, "cannot define the domain again");
}

int saved_definition_restore_autostart(const struct saved_definition *definition,
                                       struct libvirt_connection *connection, const char *uuid,
                                       struct error *err)
{
    cleanup_domain virDomainPtr domain = NULL;
    if (!definition->autostart)
        return 0;
    int r =
        libvirt_connection_find_domain(connection, uuid, 0, EXC_INSTANCE_NOT_FOUND, &domain, err);
    if (r < 0)
        return r;
    if (virDomainSetAutostart(domain, 1) < 0)
        return libvirt_error(err, "cannot let the domain start by itself again");
    return 0;
}

void saved_definition_done(struct saved_definition *definition)
{
    secret_free(definition->xml);
    definition->xml = NULL;
}
