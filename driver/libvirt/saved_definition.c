/* SPDX-License-Identifier: Apache-2.0 */
/* See saved_definition.h. */
#include "driver/libvirt/saved_definition.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/secret.h"
#include "driver/definition/definition_merge.h"
#include "driver/libvirt/connection.h"

/*
 * Newest flags first, the older ones where libvirtd does not know them. None of them lets go of
 * firmware variables or of a saved memory image: libvirt refuses to undefine a domain with those.
 */
static int undefine_domain(virDomainPtr domain)
{
    static const unsigned flags[] = {
#if LIBVIR_VERSION_NUMBER >= 8009000
        VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM,
#endif
        VIR_DOMAIN_UNDEFINE_KEEP_NVRAM,
        0,
    };
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
    definition->live = virDomainGetXMLDesc(domain, 0);
    if (definition->live)
        definition->xml =
            virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (!definition->xml)
        return libvirt_error(err, "cannot save the domain's definition");
    log_debug("the domain's definition is read, autostart is %s",
              definition->autostart ? "on" : "off");
    return 0;
}

int saved_definition_undefine(const struct saved_definition *definition, virDomainPtr domain,
                              struct error *err)
{
    if (!definition->xml)
        return 0;
    if (undefine_domain(domain) < 0)
        return libvirt_error(err, "cannot undefine the domain for the time of the copy");
    log_debug("the domain is undefined");
    return 0;
}

static int define_domain(virConnectPtr conn, const char *xml, struct error *err)
{
    cleanup_domain virDomainPtr defined = virDomainDefineXML(conn, xml);
    if (!defined)
        return libvirt_error(err, "cannot define the domain again");
    log_debug("the domain is defined again");
    return 0;
}

/*
 * The guest ran on without a definition: what was done to it meanwhile is only in its live
 * description. When libvirt refuses the saved definition with these changes in it, the live
 * description becomes the definition: the saved one would start the guest from other disks.
 */
static int define_running(const struct saved_definition *definition, virConnectPtr conn,
                          virDomainPtr domain, struct error *err)
{
    struct error failure = ERROR_INIT;
    char *merged = NULL, *now = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_SECURE);
    if (!now)
        return libvirt_error(err, "cannot define the domain again: cannot read how it is now");
    int r = definition_merge(definition->xml, definition->live, now, &merged, &failure);
    if (r == 0)
        r = define_domain(conn, merged ? merged : definition->xml, &failure);
    if (r == 0 && merged)
        log_info("the domain was changed while it was undefined: its definition has the changes");
    if (r < 0 && merged) {
        log_warning("the domain was changed while it was undefined, and libvirt refuses its former "
                    "definition with the changes: it is defined as the running guest is: %s",
                    failure.message);
        failure = (struct error)ERROR_INIT;
        r = define_domain(conn, now, &failure);
    }
    secret_free(merged);
    secret_free(now);
    if (r < 0)
        *err = failure;
    return r;
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
    return domain && definition->live ? define_running(definition, conn, domain, err)
                                      : define_domain(conn, definition->xml, err);
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
    free(definition->live);
    definition->xml = definition->live = NULL;
}
