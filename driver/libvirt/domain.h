/* SPDX-License-Identifier: Apache-2.0 */
/* A domain: its state, its definition, its user, and itself after a lost connection. */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "driver/definition/domain_description.h"
#include "driver/driver.h"
#include "driver/image/qemu_user.h"
#include "driver/libvirt/connection.h"

/* VIR_DOMAIN_PAUSED_API_ERROR, since libvirt 9.2, which the daemon may be where the headers are
 * not: it could not let the guest run on at the end of a call. */
#define LIBVIRT_PAUSED_API_ERROR 14

/* nova.virt.libvirt.guest.LIBVIRT_POWER_STATE over virDomainGetState(). */
int libvirt_domain_power_state(virDomainPtr domain, enum power_state *ret_state, struct error *err);

/* -ENOENT and InstanceNotRunning, said as nova says it. */
int libvirt_domain_not_running(const char *uuid, struct error *err);

/* Its live definition, without secrets (inactive one of a stopped guest). Returns owned. */
int libvirt_domain_xml(virDomainPtr domain, char **ret_xml, struct error *err);

/* The parsed live definition of a domain (inactive one of a stopped guest). Returns owned. */
int libvirt_domain_describe(virDomainPtr domain, struct domain_description **ret_description,
                            struct error *err);

/*
 * The user its QEMU runs as: by libvirt's "dac" label of a running domain, +UID:+GID; where it has
 * none (libvirt's driver runs without the model) by the owner of `disk_path`, which QEMU has open;
 * else this process's own.
 */
int libvirt_domain_user(virDomainPtr domain, const char *disk_path, struct qemu_user *ret_user,
                        struct error *err);

/*
 * After a connection may have been lost, or the guest may have ended: looks again for *domain
 * (owned; NULL when there was none) unless it is found active, with LIBVIRT_PATIENCE_MS. 0 with
 * *domain NULL when there is none any more; *ret_active tells whether it runs. On failure *domain
 * is NULL.
 */
int libvirt_domain_find_again(struct libvirt_connection *connection, const char *uuid,
                              virDomainPtr *domain, bool *ret_active, struct error *err);
