/* SPDX-License-Identifier: Apache-2.0 */
/* See id.h. */
#include "common/id.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <uuid/uuid.h>

void id_new_uuid(char ret_id[static ID_UUID_SIZE])
{
    uuid_t uuid;
    uuid_generate_random(uuid);
    uuid_unparse_lower(uuid, ret_id);
}

void id_new_hex(char ret_id[static ID_HEX_SIZE])
{
    char text[ID_UUID_SIZE];
    id_new_uuid(text);
    size_t used = 0;
    for (const char *c = text; *c != '\0'; c++)
        if (*c != '-')
            ret_id[used++] = *c;
    ret_id[used] = '\0';
}

void id_new_request_id(char ret_id[static ID_REQUEST_ID_SIZE])
{
    char text[ID_UUID_SIZE];
    id_new_uuid(text);
    (void)snprintf(ret_id, ID_REQUEST_ID_SIZE, "req-%s", text);
}

bool id_is_uuid(const char *text)
{
    if (!text)
        return false;
    for (int i = 0; i < ID_UUID_SIZE - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    return text[ID_UUID_SIZE - 1] == '\0';
}
