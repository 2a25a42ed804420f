/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What "nova-snapshot doctor" has found, as JSON: made by the agent, or by its program when none
 * runs, and written for people by that one or by nova-snapshot.
 * {"host", "version", "instance": UUID or null, "status", "findings": [{"check", "status", "text",
 * "remedy": text or null}]}; the status is "ok", "warn" or "fail", of the whole its worst.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

enum findings_status { FINDINGS_OK, FINDINGS_WARN, FINDINGS_FAIL };

/* What a program ends with that has written such a report: 0, or this when something fails. */
#define FINDINGS_EXIT_FAIL 5

/* Returns owned; NULL when out of memory. */
json_t *findings_new(const char *host, const char *version, const char *instance);

/* Adds one; the remedy counts only when it is not ok, and may be NULL. Any text will do. */
void findings_add(json_t *report, const char *check, enum findings_status status, const char *text,
                  const char *remedy);

/* A line each, and what to do in a line below it. */
void findings_write(const json_t *report, FILE *out);

int findings_exit(const json_t *report);
