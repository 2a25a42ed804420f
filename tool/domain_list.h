/* SPDX-License-Identifier: Apache-2.0 */
/* A domain's checkpoints, as a table, as a tree, or with --json for programs. */
#pragma once

#include <stdio.h>

#include "domain/checkpoint_list.h"
#include "tool/invocation.h"

void domain_list_write(const struct invocation *invocation, const struct checkpoint_list *list,
                       FILE *out);
