/* SPDX-License-Identifier: Apache-2.0 */
/* How a command on a domain begins, and what it says and ends with when it cannot. */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "domain/nova_guest.h"
#include "domain/session.h"
#include "tool/invocation.h"

/* Says it on standard error. Returns `status`. */
enum invocation_exit domain_session_complain(enum invocation_exit status, const char *text);

/* The same of a session that could not be opened. */
enum invocation_exit domain_session_failed(const struct error *err);

/* session_open() with what the command line says. */
int domain_session_open(const struct invocation *invocation, const char *name, bool looks_only,
                        struct session **ret_session, struct error *err);

/* Behind what `command` has done: what nova must not do now, on standard error. */
void domain_session_warn_of_nova(const struct session *session, enum nova_guest_command command);
