/* SPDX-License-Identifier: Apache-2.0 */
/* oslo.config's "$name" and "${group.name}" in values (string.Template.safe_substitute). */
#pragma once

#include "common/error.h"

#define INTERPOLATED_MAX_BYTES 65536

/*
 * Gives the value of a name, owned, "" when it is unset. Called with dots and case as written.
 */
typedef int (*interpolate_resolve)(void *arg, const char *name, char **ret_value,
                                   struct error *err);

/*
 * Replaces $name, ${name}, $$ and \$; a '$' that starts none of these stays. Returns owned.
 * EMSGSIZE when the result grows beyond INTERPOLATED_MAX_BYTES.
 */
int interpolate(const char *text, interpolate_resolve resolve, void *arg, char **ret_text,
                struct error *err);
