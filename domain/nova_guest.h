/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains that are nova's: it keeps an account of its own of their disks, and of no checkpoints.
 */
#pragma once

#include <stdbool.h>

#include "domain/session.h"

enum nova_guest_command {
    NOVA_GUEST_CHECKPOINT, /* in layers; NOVA_GUEST_INTERNAL: inside the disks' files */
    NOVA_GUEST_INTERNAL,
    NOVA_GUEST_REVERT,
    NOVA_GUEST_SAVE,
    NOVA_GUEST_RESTORE,
    NOVA_GUEST_LAYERED, /* layers were merged, but there are others, or checkpoints, still */
    NOVA_GUEST_WHOLE,   /* none is left */
};

/* Whether it is nova's: nova:instance is in its metadata (nova.virt.libvirt.config). Pure. */
bool nova_guest_is(const char *domain_xml);

/* What has to be told of such a domain behind the command; NULL: it is not nova's. Pure. */
const char *nova_guest_warning(const char *domain_xml, enum nova_guest_command command);

/* EINVAL for one of nova's, telling why its disks are to get no layers. Pure. */
int nova_guest_refuse_checkpoint(const char *domain_xml, struct error *err);

/* EINVAL for one of nova's, telling why it is not to go back to an external checkpoint. Pure. */
int nova_guest_refuse_revert(const char *domain_xml, struct error *err);

/* The warning of the session's domain; NULL also where libvirt does not tell. */
const char *nova_guest_warning_of(const struct session *session, enum nova_guest_command command);
