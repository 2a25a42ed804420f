/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oslo.config's INI reader (oslo_config.iniparser): sections, "key = value" or "key: value",
 * continuation lines, comments, quotes around a value. Values are kept with file and line.
 *
 * Not thread-safe; used once at start.
 */
#pragma once

#include "conf/assignments.h"

#define PARSER_FILE_MAX_BYTES (1u << 20)

/* Adds the assignments of a file (path borrowed). The error names file and line. */
int parser_read_file(struct assignments *assignments, const char *path, struct error *err);

/* Adds the *.conf files of a folder in the order of their names. */
int parser_read_dir(struct assignments *assignments, const char *path, struct error *err);

/* Adds the assignments of `length` bytes of text called `name` in errors. Public for its test. */
int parser_read_text(struct assignments *assignments, const char *name, const char *text,
                     size_t length, struct error *err);
