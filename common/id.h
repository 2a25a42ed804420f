/* SPDX-License-Identifier: Apache-2.0 */
/* Random identifiers in the spellings OpenStack uses. Thread-safe. */
#pragma once

#include <stdbool.h>

#include "common/error.h"

#define ID_HEX_SIZE 33        /* 32 hex digits: _unique_id, _msg_id */
#define ID_UUID_SIZE 37       /* with dashes, lower case */
#define ID_REQUEST_ID_SIZE 41 /* "req-" and a uuid */

void id_new_hex(char ret_id[static ID_HEX_SIZE]);
void id_new_uuid(char ret_id[static ID_UUID_SIZE]);
void id_new_request_id(char ret_id[static ID_REQUEST_ID_SIZE]);

/* The running kernel's, which the next start of the host has not. */
int id_read_boot(char ret_id[static ID_UUID_SIZE], struct error *err);

/* True for 8-4-4-4-12 hex digits and nothing else: safe in a path or a URL. NULL is false. */
bool id_is_uuid(const char *text);
