/* SPDX-License-Identifier: Apache-2.0 */
/* What a domain loses that has no definition for a while. */
#pragma once

#include <libvirt/libvirt.h>

#include "common/error.h"
#include "driver/libvirt/saved_definition.h"

/*
 * Whether the domain whose definition was read can be undefined and defined again without a loss,
 * also when its guest ends meanwhile: no emulated TPM, no metadata of checkpoints or snapshots, no
 * saved memory, and libvirt takes its definition, which it is given again, and keeps it as it was.
 * Else EOPNOTSUPP with the reason. A domain that has no definition has nothing to lose.
 *
 * Firmware variables, metadata of nova's and the autostart mark stay or are put back
 * (saved_definition.h): libvirt 9.0 leaves <nvram> to a transient domain that ends.
 */
int undefine_check(const struct saved_definition *definition, virDomainPtr domain,
                   struct error *err);

/* The same without giving libvirt the definition again: changes nothing, and knows less. */
int undefine_check_kept(const struct saved_definition *definition, virDomainPtr domain,
                        struct error *err);
