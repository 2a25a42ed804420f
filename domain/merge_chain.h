/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a disk, as the definition and the files' own headers tell of them, and whether two
 * are the same. On one thread.
 *
 * A file is {path, format, dev, ino, written_s: when it was last, size_bytes, allocated_bytes,
 * problem: why it takes no part in a merge, if it does not}.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/*
 * The layers of the disk with this target, from the one the guest writes to on down to the last
 * that is on this host: an array of files, returned owned. EINVAL naming the disk when there is
 * none such, when it is of a kind that is not merged, or when a running guest's chain, as libvirt
 * has it, and the headers differ; InvalidDiskInfo naming a layer that cannot be read.
 */
int merge_chain_read(virDomainPtr domain, const char *target, json_t **ret_chain,
                     struct error *err);

/* The file at a path as it is now, returned owned. `format` as who names it says. */
int merge_chain_look(const char *path, const char *format, json_t **ret_file, struct error *err);

/* Its place in the chain, by what it is; SIZE_MAX: it is not there. NULL is nowhere. */
size_t merge_chain_find(const json_t *chain, const json_t *file, bool host_rebooted);

/* Whether they are one file. The number of a device may be another after a reboot. */
bool merge_chain_is_same(const json_t *a, const json_t *b, bool host_rebooted);

const char *merge_chain_path(const json_t *file);
