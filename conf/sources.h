/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files are read: those nova-compute reads (oslo_config.cfg: find_config_files,
 * find_config_dirs and _parse_config_files, for project nova and program nova-compute), then the
 * agent's own.
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"

#define CONF_SOURCES_MAX 64

struct conf_sources {
    struct conf_source items[CONF_SOURCES_MAX];
    size_t n;
    char *owned[CONF_SOURCES_MAX]; /* paths that were found */
    size_t n_owned;
};

/*
 * Puts what oslo adds in front of the sources of the command line: without a file among them the
 * first nova.conf and nova-compute.conf of its folders, without a folder among them the first
 * nova.conf.d and nova-compute.conf.d. When none is given at all the agent's own file, if there is
 * one, comes last. E2BIG; EPERM when what nova-compute would read of its home belongs to another
 * user than root and us. Free with conf_sources_done(), also on failure.
 */
int conf_sources_complete(struct conf_sources *sources, struct error *err);

void conf_sources_done(struct conf_sources *sources);
