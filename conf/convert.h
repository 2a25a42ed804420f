/* SPDX-License-Identifier: Apache-2.0 */
/* From text to the typed fields of struct conf. */
#pragma once

#include "common/error.h"
#include "conf/options.h"

/* Sets the field to NULL, "false", 0 or the empty list. */
int convert_clear(const struct option *option, void *field, struct error *err);

/*
 * Converts as oslo_config.types does and stores; an old value is freed. The text of an OPTION_MULTI
 * is added to the list. 1 when nova takes the number and we cannot: the nearest that we can is
 * stored. The error says what was expected.
 */
int convert_store(const struct option *option, const char *text, void *field, struct error *err);

/* Frees the field; secrets are cleared. */
void convert_free(const struct option *option, void *field);
