/* SPDX-License-Identifier: Apache-2.0 */
/* See storage.h. */
#include "agent/clean/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "driver/driver.h"

#define USERS_MAX_BYTES 4096 /* of compute_nodes; what is longer names others than this host */

static int check_type(int fd, struct error *err)
{
    /* Those of linux/magic.h, and ZFS and bcachefs, which it lacks. */
    static const unsigned long local[] = {0xef53,     /* ext4 */
                                          0x58465342, /* XFS */
                                          0x9123683e, /* Btrfs */
                                          0x01021994, /* tmpfs */
                                          0xf2f52010, /* F2FS */
                                          0x2fc12fc1, /* ZFS */
                                          0xca451a4e /* bcachefs */};
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return error_errno(err, errno, "its file system cannot be told");
    unsigned long type = (unsigned long)fs.f_type & 0xffffffff;
    for (size_t i = 0; i < ARRAY_SIZE(local); i++)
        if (local[i] == type)
            return 0;
    return error_set(err, EREMOTE, EXC_INTERNAL_ERROR,
                     "other hosts may use it: its file system (type 0x%lx) is not known to be this "
                     "host's alone",
                     type);
}

int clean_storage_check_exports(const char *path, struct error *err)
{
    char line[1024];
    bool any = false;
    FILE *table = fopen(path, "re");
    if (!table)
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s", path);
    while (!any && fgets(line, sizeof(line), table))
        any = line[0] != '#' && line[strspn(line, " \t\n")] != '\0';
    int failed = ferror(table);
    (void)fclose(table);
    if (failed)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "%s cannot be read", path);
    return any ? error_set(err, EREMOTE, EXC_INTERNAL_ERROR,
                           "other hosts may use it: this one exports folders over NFS (%s)", path)
               : 0;
}

int clean_storage_check_local(int fd, struct error *err)
{
    int r = check_type(fd, err);
    if (r == 0)
        r = clean_storage_check_exports("/proc/fs/nfsd/exports", err);
    return r < 0 ? r : clean_storage_check_exports("/var/lib/nfs/etab", err);
}

/* {"host": time of its last look, ...} */
static int read_users(const char *path, json_t **ret_users, struct error *err)
{
    char text[USERS_MAX_BYTES];
    cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (n < 0)
        return error_errno(err, errno, "%s", path);
    return json_parse(text, (size_t)n, sizeof(text) - 1, path, ret_users, err);
}

static int check_names(const json_t *users, const char *host, const char *path, struct error *err)
{
    const char *name;
    json_t *value;
    if (!json_object_get(users, host))
        return error_set(err, EREMOTE, EXC_INTERNAL_ERROR,
                         "other hosts may use it: %s does not name %s", path, host);
    json_object_foreach ((json_t *)(uintptr_t)users, name, value) {
        if (strcmp(name, host) != 0)
            return error_set(err, EREMOTE, EXC_INTERNAL_ERROR,
                             "other hosts may use it: %s names %.255s", path, name);
    }
    return 0;
}

int clean_storage_check_users(int fd, const char *instances_path, const char *host,
                              struct error *err)
{
    char path[DRIVER_PATH_MAX];
    struct stat instances, folder;
    struct error failure = ERROR_INIT;
    json_t *users = NULL;
    if (stat(instances_path, &instances) < 0 || fstat(fd, &folder) < 0)
        return error_errno(err, errno, "%s", instances_path);
    if (instances.st_dev != folder.st_dev)
        return error_set(err, EREMOTE, EXC_INTERNAL_ERROR,
                         "other hosts may use it: snapshots_directory is on another file system "
                         "than instances_path, of whose users nova-compute keeps a list");
    (void)snprintf(path, sizeof(path), "%s/compute_nodes", instances_path);
    if (read_users(path, &users, &failure) < 0)
        return error_set(err, EREMOTE, EXC_INTERNAL_ERROR,
                         "other hosts may use it: the list of hosts that nova-compute keeps (each "
                         "[image_cache]manager_interval) cannot be read: %.300s",
                         failure.message);
    int r = check_names(users, host, path, err);
    json_decref(users);
    return r;
}
