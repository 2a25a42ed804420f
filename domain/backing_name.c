/* SPDX-License-Identifier: Apache-2.0 */
/* See backing_name.h. */
#include "domain/backing_name.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"

#define NAME_MAX_BYTES (1U << 20)

static bool is_network(const char *protocol, size_t length)
{
    static const char *const names[] = {"nbd",  "rbd",      "http", "https", "ftp",
                                        "ftps", "ssh",      "sftp", "iscsi", "nfs",
                                        "vxhs", "sheepdog", "iser", "nvme",  "gluster"};
    const char *plus = memchr(protocol, '+', length); /* nbd+unix, gluster+tcp */
    size_t size = plus ? (size_t)(plus - protocol) : length;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strlen(names[i]) == size && strncmp(protocol, names[i], size) == 0)
            return true;
    return false;
}

/* NULL: it is none that is understood; "": it is on the network. */
static const char *plain_path(const char *name)
{
    const char *colon = strchr(name, ':');
    if (name[0] == '/')
        return name;
    if (!colon)
        return NULL;
    if (is_network(name, (size_t)(colon - name)))
        return "";
    bool is_local = strncmp(name, "file:", 5) == 0 || strncmp(name, "host_device:", 12) == 0;
    return is_local && colon[1] == '/' ? colon + 1 : NULL;
}

/* Of a layer with one file below it, in {"file": {...}} or {"file.filename": ...}. */
static const char *json_path(json_t *object)
{
    json_t *file = json_object_get(object, "file"), *value;
    const char *driver = json_string_member(object, "driver"), *key;
    const char *name = json_string_member(object, "filename");
    json_object_foreach (object, key, value) {
        bool is_of_file = strncmp(key, "file.", 5) == 0 && !strchr(key + 5, '.');
        if ((strchr(key, '.') && !is_of_file) || (json_is_object(value) && value != file) ||
            json_is_array(value))
            return driver && is_network(driver, strlen(driver)) ? "" : NULL;
    }
    if (json_is_object(file))
        return json_path(file);
    if (json_string_member(object, "file.driver"))
        driver = json_string_member(object, "file.driver");
    if (json_string_member(object, "file.filename"))
        name = json_string_member(object, "file.filename");
    if (driver && is_network(driver, strlen(driver)))
        return "";
    return name ? plain_path(name) : NULL;
}

int backing_name_path(const char *name, const char *of, char ret_path[static DRIVER_PATH_MAX],
                      struct error *err)
{
    char found[DRIVER_PATH_MAX];
    struct error ignored = ERROR_INIT;
    json_t *object = NULL;
    bool is_json = strncmp(name, "json:", 5) == 0;
    if (is_json)
        (void)json_parse(name + 5, strlen(name + 5), NAME_MAX_BYTES, "a name", &object, &ignored);
    const char *path = is_json ? json_path(object) : plain_path(name);
    bool fits = path && (size_t)snprintf(found, sizeof(found), "%s", path) < sizeof(found);
    json_decref(object);
    if (!fits)
        return error_set(err, EOPNOTSUPP, EXC_INVALID_DISK_INFO,
                         "%s names what it stands on as %.200s: which file that is cannot be told",
                         of, name);
    (void)snprintf(ret_path, DRIVER_PATH_MAX, "%s", found);
    return 0;
}
