/* SPDX-License-Identifier: Apache-2.0 */
/* What all commands on a domain begin with, and how they say that they failed. */
#pragma once

#include "domain/session.h"
#include "tool/invocation.h"

/* Writes to standard error; returns `status`. */
enum invocation_exit domain_session_complain(enum invocation_exit status, const char *text);

/* session_open() with what the command line says. */
int domain_session_open(const struct invocation *invocation, const char *name, bool looks_only,
                        struct session **ret_session, struct error *err);

/* Complains of what that has failed with. */
enum invocation_exit domain_session_open_failed(const struct error *err);
