/* SPDX-License-Identifier: Apache-2.0 */
/* nova-snapshot-agent --doctor: looks as the agent would, where none runs that could be asked. */
#pragma once

#include <stdbool.h>

#include "conf/sources.h"

/* What is asked for. Borrowed. */
struct doctor_request {
    const char *instance; /* NULL: the host */
    bool as_json;
};

/*
 * Connects to everything, takes no requests and no lock, prints the report and returns the exit
 * status (findings_exit()).
 */
int doctor_program_run(const struct conf *conf, const struct conf_sources *sources,
                       const struct doctor_request *request);

/* The same when there is no configuration to go by, for this reason. */
int doctor_program_refused(const struct error *why, const struct doctor_request *request);
