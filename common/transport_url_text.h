/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What any part of a transport URL is made of. For transport_url*.c alone; text is borrowed,
 * lengths are in bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* EINVAL, of the URL as a whole: parts of it are secrets. */
int transport_url_text_bad(struct error *err, const char *what);

/* Line ends and tabs, as of a continued value, count for nothing. Returns owned: secret_free(). */
int transport_url_text_clean(const char *text, char **ret_clean, struct error *err);

/*
 * urllib.parse.unquote: "%" without two hex digits stays. Returns owned. "%00" ends every C string:
 * transport_url_text_clean() refuses it.
 */
int transport_url_text_unquote(const char *text, size_t length, bool plus_is_space, char **ret_text,
                               struct error *err);

/* Blanks that people put after commas; the port's Python's int() takes as well. */
const char *transport_url_text_trim(const char *text, size_t *length);
