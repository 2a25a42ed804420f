/* SPDX-License-Identifier: Apache-2.0 */
/* See installed.h. Versions are read from the names of *.dist-info and *.egg-info. */
#include "conf/installed.h"

#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

/* Of Debian, Red Hat, pip, kolla, openstack-ansible, openstack-helm (LOCI), devstack, the snap. */
static const char *const usual_places[] = {
    "/usr/lib/python3/dist-packages",
    "/usr/lib/python3*/site-packages",
    "/usr/local/lib/python3*/*-packages",
    "/var/lib/kolla/venv/lib/python3*/site-packages",
    "/openstack/venvs/nova-*/lib/python3*/site-packages",
    "/var/lib/openstack/lib/python3*/site-packages",
    "/opt/stack/data/venv/lib/python3*/site-packages",
    "/snap/openstack-hypervisor/current/lib/python3*/site-packages",
};

/* "nova-26.2.2.egg-info", "oslo_messaging-16.1.0.dist-info" */
static void read_name(const char *name, struct installed *found)
{
    static const char *const prefixes[INSTALLED_COUNT][2] = {
        [INSTALLED_NOVA] = {"nova-", "openstack_nova-"},
        [INSTALLED_OSLO_MESSAGING] = {"oslo.messaging-", "oslo_messaging-"},
    };
    if (!strstr(name, ".dist-info") && !strstr(name, ".egg-info"))
        return;
    for (unsigned i = 0; i < INSTALLED_COUNT; i++) {
        for (unsigned j = 0; j < 2; j++) {
            size_t length = strlen(prefixes[i][j]);
            unsigned major, minor;
            if (strncmp(name, prefixes[i][j], length) == 0 &&
                sscanf(name + length, "%u.%u", &major, &minor) == 2) {
                found->version[i].major = major;
                found->version[i].minor = minor;
            }
        }
    }
}

static bool look_into(const char *folder, struct installed *ret_found)
{
    *ret_found = (struct installed){.folder = ""};
    if (strlen(folder) >= sizeof(ret_found->folder))
        return false;
    DIR *entries = opendir(folder);
    if (!entries)
        return false;
    const struct dirent *entry;
    while ((entry = readdir(entries))) /* NOLINT(concurrency-mt-unsafe): glibc's is safe */
        read_name(entry->d_name, ret_found);
    (void)closedir(entries);
    (void)snprintf(ret_found->folder, sizeof(ret_found->folder), "%s", folder);
    return installed_is_known(ret_found, INSTALLED_NOVA);
}

static void keep_newest(const char *pattern, struct installed *newest)
{
    glob_t places;
    if (glob(pattern, 0, NULL, &places) != 0)
        return;
    for (size_t i = 0; i < places.gl_pathc; i++) {
        struct installed found;
        if (look_into(places.gl_pathv[i], &found) &&
            !installed_since(newest, INSTALLED_NOVA, found.version[INSTALLED_NOVA].major,
                             found.version[INSTALLED_NOVA].minor))
            *newest = found;
    }
    globfree(&places);
}

void installed_find(const char *folder, struct installed *ret_installed)
{
    *ret_installed = (struct installed){.folder = ""};
    if (folder && folder[0] != '\0') {
        (void)look_into(folder, ret_installed);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(usual_places); i++)
        keep_newest(usual_places[i], ret_installed);
}

bool installed_is_known(const struct installed *installed, enum installed_package package)
{
    return installed->version[package].major > 0;
}

bool installed_since(const struct installed *installed, enum installed_package package,
                     unsigned major, unsigned minor)
{
    unsigned has = installed->version[package].major;
    return has > major || (has == major && has > 0 && installed->version[package].minor >= minor);
}
