/* SPDX-License-Identifier: Apache-2.0 */
/* Whether anything still needs a file that a domain's disks or checkpoints are made of. */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"

/*
 * True when the domain's definition, what it runs with, or one of its snapshots names the file, or
 * when a QEMU writes to it.
 */
int file_user_find(virDomainPtr domain, const char *path, bool *ret_is_used, struct error *err);

/* For its test: true when an attribute file or dev of the XML is this path. EINVAL. */
int file_user_is_named(const char *xml, const char *root_name, const char *path, bool *ret_is_named,
                       struct error *err);
