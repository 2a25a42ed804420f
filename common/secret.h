/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and passwords: memory that held one is cleared before it is given back, and text of others
 * that quotes one (a server its request, a database error its parameters) does not get it any
 * further. Thread-safe.
 */
#pragma once

#include <stdbool.h>

/* Shorter ones are not looked for: nothing would be left of any text. */
#define SECRET_MIN_BYTES 4

/*
 * From here on secret_strip() knows it. Borrowed until secret_unwatch() or secret_free(); NULL is
 * none. False without memory.
 */
bool secret_watch(const char *secret);

/* NULL-safe, as for a secret that is not watched. */
void secret_unwatch(const char *secret);

/*
 * Puts "***" in place of every watched secret, also of one in a JSON text, in a URL or on an HTML
 * page.
 */
void secret_strip(char *text);

/* secret_unwatch() + explicit_bzero() + free(). NULL-safe. */
void secret_free(char *secret);
