/* SPDX-License-Identifier: Apache-2.0 */
/* See domain.h. */
#include "driver/libvirt/domain.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"

int libvirt_domain_power_state(virDomainPtr domain, enum power_state *ret_state, struct error *err)
{
    static const enum power_state states[] = {
        [VIR_DOMAIN_NOSTATE] = POWER_STATE_NOSTATE,
        [VIR_DOMAIN_RUNNING] = POWER_STATE_RUNNING,
        [VIR_DOMAIN_BLOCKED] = POWER_STATE_RUNNING,
        [VIR_DOMAIN_PAUSED] = POWER_STATE_PAUSED,
        [VIR_DOMAIN_SHUTDOWN] = POWER_STATE_SHUTDOWN,
        [VIR_DOMAIN_SHUTOFF] = POWER_STATE_SHUTDOWN,
        [VIR_DOMAIN_CRASHED] = POWER_STATE_CRASHED,
        [VIR_DOMAIN_PMSUSPENDED] = POWER_STATE_SUSPENDED,
    };
    int state = 0;
    if (virDomainGetState(domain, &state, NULL, 0) < 0)
        return libvirt_error(err, "cannot read the domain's state");
    bool known = state >= 0 && (size_t)state < ARRAY_SIZE(states);
    *ret_state = known ? states[state] : POWER_STATE_NOSTATE;
    return 0;
}

int libvirt_domain_not_running(const char *uuid, struct error *err)
{
    return error_set(err, ENOENT, EXC_INSTANCE_NOT_RUNNING, "Instance %s is not running.", uuid);
}

int libvirt_domain_xml(virDomainPtr domain, char **ret_xml, struct error *err)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    if (!xml)
        return libvirt_error(err, "cannot read the domain's definition");
    *ret_xml = xml;
    return 0;
}

int libvirt_domain_describe(virDomainPtr domain, struct domain_description **ret_description,
                            struct error *err)
{
    cleanup_free char *xml = NULL;
    int r = libvirt_domain_xml(domain, &xml, err);
    return r < 0 ? r : domain_description_parse(xml, ret_description, err);
}

static struct qemu_user owner_of(const char *path)
{
    struct stat st;
    struct qemu_user user = {.uid = geteuid(), .gid = getegid()};
    if (stat(path, &st) == 0 && st.st_uid != 0)
        user = (struct qemu_user){.uid = st.st_uid, .gid = st.st_gid};
    return user;
}

int libvirt_domain_user(virDomainPtr domain, const char *disk_path, struct qemu_user *ret_user,
                        struct error *err)
{
    virSecurityLabelPtr labels = NULL;
    int count = virDomainGetSecurityLabelList(domain, &labels);
    if (count < 0)
        return libvirt_error(err, "cannot read which user QEMU runs as");
    struct qemu_user user = owner_of(disk_path);
    for (int i = 0; i < count; i++) {
        unsigned uid, gid;
        if (sscanf(labels[i].label, "+%u:+%u", &uid, &gid) == 2)
            user = (struct qemu_user){.uid = uid, .gid = gid};
    }
    free(labels);
    log_debug("QEMU runs as user %u, group %u", (unsigned)user.uid, (unsigned)user.gid);
    *ret_user = user;
    return 0;
}

int libvirt_domain_find_again(struct libvirt_connection *connection, const char *uuid,
                              virDomainPtr *domain, bool *ret_active, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (*domain && virDomainIsActive(*domain) == 1) {
        *ret_active = true;
        return 0;
    }
    if (*domain)
        (void)virDomainFree(*domain);
    *domain = NULL;
    int r = libvirt_connection_find_domain(connection, uuid, LIBVIRT_PATIENCE_MS,
                                           EXC_INSTANCE_NOT_FOUND, domain, &failure);
    if (r < 0 && r != -ENOENT) {
        *err = failure;
        return r;
    }
    *ret_active = *domain && virDomainIsActive(*domain) != 0;
    log_debug("looked again for the domain: %s", !*domain      ? "there is none"
                                                 : *ret_active ? "it is active"
                                                               : "it is not active");
    return 0;
}
