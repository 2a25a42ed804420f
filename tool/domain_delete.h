/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that merge layers: domain delete-checkpoint and domain flatten. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "tool/invocation.h"

enum invocation_exit domain_delete_checkpoint(const struct invocation *invocation);
enum invocation_exit domain_flatten(const struct invocation *invocation);

/* What was deleted, for people: the notes of checkpoint_delete(). */
void domain_delete_report(const json_t *done, FILE *out);
