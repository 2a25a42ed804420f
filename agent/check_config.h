/* SPDX-License-Identifier: Apache-2.0 */
/* What --check-config prints. */
#pragma once

#include <stdio.h>

#include "conf/sources.h"

#define EXIT_HOST_NOT_READY 3

/*
 * Prints the files that were read, what is in force and where it is from, and what this host has
 * for it. Changes nothing. Returns the exit status: EXIT_HOST_NOT_READY when the configuration is
 * good and something it needs is not there, EXIT_FAILURE with *err when the parts cannot be made.
 */
int check_config(const struct conf *conf, const struct conf_sources *sources, FILE *out,
                 struct error *err);
