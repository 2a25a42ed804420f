/* SPDX-License-Identifier: Apache-2.0 */
/* What a command on a domain has done, for people or, with --json, for programs. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "domain/image_check.h"
#include "domain/image_report.h"
#include "tool/invocation.h"

/* Writes any JSON. Takes it. */
void domain_report_json(json_t *value, FILE *out);

void domain_report_images(const struct invocation *invocation, const char *uuid,
                          const struct image_report *report, FILE *out);

void domain_report_chain(const struct invocation *invocation, const struct image_chain *chain,
                         FILE *out);

/* The same for a program, as a part of more. */
json_t *domain_report_pack_chain(const struct image_chain *chain);

/* `domains`: objects with the members domain and outcome, both texts. Borrowed. */
void domain_report_recovery(const struct invocation *invocation, json_t *domains, FILE *out);
