/* SPDX-License-Identifier: Apache-2.0 */
/* See rbd_name.h. */
#include "driver/ceph/rbd_name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

static bool is_plain_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

bool rbd_name_is_plain(const char *text)
{
    size_t length = strnlen(text, RBD_NAME_MAX);
    for (size_t i = 0; i < length; i++)
        if (!is_plain_char(text[i]))
            return false;
    return length > 0 && length < RBD_NAME_MAX;
}

bool rbd_name_copy(const char *text, size_t length, char ret_name[static RBD_NAME_MAX])
{
    if (length >= RBD_NAME_MAX)
        return false;
    memcpy(ret_name, text, length);
    ret_name[length] = '\0';
    return strlen(ret_name) == length && rbd_name_is_plain(ret_name);
}

int rbd_name_parse(const char *disk_path, struct rbd_name *ret_name, struct error *err)
{
    struct rbd_name name;
    const char *pool = disk_path + strlen("rbd:");
    const char *slash = strncmp(disk_path, "rbd:", 4) == 0 ? strchr(pool, '/') : NULL;
    if (!slash || !rbd_name_copy(pool, (size_t)(slash - pool), name.pool) ||
        !rbd_name_copy(slash + 1, strlen(slash + 1), name.image))
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                         "Disk info file is invalid: %s: not the plain name of an RBD image",
                         disk_path);
    *ret_name = name;
    return 0;
}

/* Writes ":KEY=VALUE" with QEMU's escapes. False when QEMU could not be told or it does not fit. */
static bool append_option(FILE *stream, const char *key, const char *value)
{
    if (!value || !value[0])
        return true;
    if (strchr(value, '@'))
        return false;
    (void)fprintf(stream, ":%s=", key);
    for (const char *c = value; *c; c++) {
        if (*c == ':' || *c == '\\')
            (void)fputc('\\', stream);
        (void)fputc(*c, stream);
    }
    return true;
}

int rbd_name_for_qemu(const char *disk_path, const struct rbd_options *options, char *ret_path,
                      size_t size, struct error *err)
{
    struct rbd_name name;
    char *text = NULL;
    size_t length = 0;
    int r = rbd_name_parse(disk_path, &name, err);
    if (r < 0)
        return r;
    FILE *stream = open_memstream(&text, &length);
    if (!stream)
        return error_nomem(err);
    (void)fprintf(stream, "rbd:%s/%s", name.pool, name.image);
    bool good = append_option(stream, "id", options->user) &&
                append_option(stream, "conf", options->ceph_conf);
    bool complete = fclose(stream) == 0;
    if (!complete)
        r = error_nomem(err);
    else if (!good || length >= size)
        r = error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                      "Disk info file is invalid: %s: QEMU cannot be given this user and "
                      "configuration file of Ceph",
                      disk_path);
    else
        memcpy(ret_path, text, length + 1);
    free(text);
    return r;
}
