/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The persistent definition of a domain, kept in memory while the domain is made transient, and put
 * back afterwards. One object per snapshot, not shared between threads.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "driver/libvirt/connection.h"

struct saved_definition {
    char *xml;  /* owned; with passwords: a secret. NULL = there was none */
    char *live; /* owned; what libvirt said of the running guest at that time; may be NULL */
    bool autostart;
};

/* Reads it, unless the domain is transient as it is. */
int saved_definition_read(struct saved_definition *definition, virDomainPtr domain,
                          struct error *err);

/*
 * Undefines the domain whose definition was read. Firmware variables and TPM state stay; a domain
 * with a saved memory image is refused by libvirt.
 */
int saved_definition_undefine(const struct saved_definition *definition, virDomainPtr domain,
                              struct error *err);

/*
 * Defines the domain again. `domain` is NULL when there is none any more; if so, the definition
 * comes back all the same, or nova would not find the guest. What was done to the devices of the
 * running guest meanwhile is in it (definition_merge.h). What somebody else has defined since
 * stays. To be called again after a failure.
 */
int saved_definition_restore(const struct saved_definition *definition,
                             struct libvirt_connection *connection, virDomainPtr domain,
                             struct error *err);

/* After saved_definition_restore(): the autostart mark, which undefining takes away. */
int saved_definition_restore_autostart(const struct saved_definition *definition,
                                       struct libvirt_connection *connection, const char *uuid,
                                       struct error *err);

/* Frees what was read, and overwrites the secret. */
void saved_definition_done(struct saved_definition *definition);
