/* SPDX-License-Identifier: Apache-2.0 */
/* See id.h. */
#include "common/id.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <uuid/uuid.h>

#include "common/cleanup.h"

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

int id_read_boot(char ret_id[static ID_UUID_SIZE], struct error *err)
{
    cleanup_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, ret_id, ID_UUID_SIZE - 1);
    if (n < 0)
        return error_errno(err, errno, "cannot read the kernel's boot id");
    ret_id[n] = '\0';
    return 0;
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
