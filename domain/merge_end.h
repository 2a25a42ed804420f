/* SPDX-License-Identifier: Apache-2.0 */
/* What follows when all layers of a merge (merge_plan.h) are in their base. On one thread. */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/*
 * What takes a layer in, and what is put on that then, is as old as the content it keeps: by its
 * age the way back to a checkpoint tells that nobody has written to it since. `chain`: of now.
 */
void merge_end_keep_age(const json_t *disk, const json_t *chain, bool host_rebooted);

/* The checkpoint's metadata, if it is one that is deleted. */
int merge_end_metadata(virDomainPtr domain, const char *snapshot, struct error *err);

/*
 * The files that nobody names any more, the rest is told of and stays: when what they held is on
 * the disk that base is on, whatever becomes of the host. Fails where one cannot be looked at.
 */
int merge_end_files(const struct session *session, const json_t *merge, struct error *err);
