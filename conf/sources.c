/* SPDX-License-Identifier: Apache-2.0 */
/* See sources.h. */
#include "conf/sources.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define NOVA_USER "nova"
#define PASSWD_MAX 4096

/* What Red Hat's packages of nova and oslo.config add, below all else. */
#define DISTRIBUTION_FILE "/usr/share/nova/nova-dist.conf"

/* The first that is there. */
static const char *const own_files[] = {"/etc/nova/nova-snapshot-agent.conf",
                                        "/usr/local/etc/nova/nova-snapshot-agent.conf"};

/* Where oslo looks, first match wins: ~ is that of nova-compute's user, whoever runs the agent. */
struct search {
    char folders[6][PATH_MAX];
    size_t n, n_home; /* of them in the home */
};

static void add_folder(struct search *search, const char *parent, const char *name)
{
    if (!parent)
        return;
    int n = snprintf(search->folders[search->n], PATH_MAX, "%s%s", parent, name);
    if (n > 0 && n < PATH_MAX)
        search->n++;
}

static void find_folders(struct search *search)
{
    struct passwd entry, *found = NULL;
    char buffer[PASSWD_MAX];
    if (getpwnam_r(NOVA_USER, &entry, buffer, sizeof(buffer), &found) != 0)
        found = NULL;
    const char *home = found ? found->pw_dir : NULL;
    search->n = 0;
    add_folder(search, home, "/.nova");
    add_folder(search, home, "");
    search->n_home = search->n;
    add_folder(search, "/etc/nova", "");
    add_folder(search, "/etc", "");
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): before the first thread */
    add_folder(search, getenv("SNAP_COMMON"), "/etc/nova");
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): before the first thread */
    add_folder(search, getenv("SNAP"), "/etc/nova");
}

/*
 * What is read is obeyed, by root as a rule: only root or we may have put it into that home. To go
 * on with other files than nova-compute would be no better.
 */
static int check_owner(const char *path, const struct stat *st, struct error *err)
{
    if (st->st_uid == 0 || st->st_uid == geteuid())
        return 0;
    return error_set(err, EPERM, EXC_INTERNAL_ERROR,
                     "nova-compute reads %s, which belongs to user %u: it has to be root's, or "
                     "given with --config-file or --config-dir",
                     path, (unsigned)st->st_uid);
}

static int add_source(struct conf_sources *list, const char *path, bool is_folder,
                      struct error *err)
{
    if (list->n == CONF_SOURCES_MAX || list->n_owned == CONF_SOURCES_MAX)
        return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "more than %d configuration files",
                         CONF_SOURCES_MAX);
    char *copy = strdup(path);
    if (!copy)
        return error_nomem(err);
    list->owned[list->n_owned++] = copy;
    list->items[list->n++] = (struct conf_source){copy, is_folder};
    return 0;
}

/* The first of its name. */
static int add_first(struct conf_sources *list, const struct search *search, const char *name,
                     bool is_folder, struct error *err)
{
    for (size_t i = 0; i < search->n; i++) {
        char path[PATH_MAX];
        struct stat st;
        int n = snprintf(path, sizeof(path), "%s/%s", search->folders[i], name);
        if (n < 0 || n >= PATH_MAX || stat(path, &st) < 0)
            continue;
        int r = i < search->n_home ? check_owner(path, &st, err) : 0;
        return r < 0 ? r : add_source(list, path, is_folder, err);
    }
    return 0;
}

static int add_own(struct conf_sources *list, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(own_files); i++)
        if (access(own_files[i], F_OK) == 0)
            return add_source(list, own_files[i], false, err);
    return 0;
}

static int add_optional(struct conf_sources *list, const char *path, struct error *err)
{
    return access(path, F_OK) == 0 ? add_source(list, path, false, err) : 0;
}

static bool has_source(const struct conf_sources *sources, bool folder)
{
    for (size_t i = 0; i < sources->n; i++)
        if (sources->items[i].is_folder == folder)
            return true;
    return false;
}

static int add_default_files(struct conf_sources *list, const struct search *search,
                             struct error *err)
{
    int r = add_optional(list, DISTRIBUTION_FILE, err);
    if (r < 0)
        return r;
    r = add_first(list, search, "nova.conf", false, err);
    if (r < 0)
        return r;
    return add_first(list, search, "nova-compute.conf", false, err);
}

static int add_default_folders(struct conf_sources *list, const struct search *search,
                               struct error *err)
{
    int r = add_first(list, search, "nova.conf.d", true, err);
    if (r < 0)
        return r;
    return add_first(list, search, "nova-compute.conf.d", true, err);
}

static int add_defaults(const struct conf_sources *given, struct conf_sources *list,
                        struct error *err)
{
    struct search search;
    find_folders(&search);
    int r = has_source(given, false) ? 0 : add_default_files(list, &search, err);
    if (r < 0 || has_source(given, true))
        return r;
    return add_default_folders(list, &search, err);
}

int conf_sources_complete(struct conf_sources *sources, struct error *err)
{
    struct conf_sources *list = calloc(1, sizeof(*list));
    if (!list)
        return error_nomem(err);
    int r = add_defaults(sources, list, err);
    if (r == 0 && sources->n == 0)
        r = add_own(list, err);
    for (size_t i = 0; r == 0 && i < sources->n; i++)
        r = add_source(list, sources->items[i].path, sources->items[i].is_folder, err);
    conf_sources_done(sources);
    *sources = *list;
    free(list);
    return r;
}

void conf_sources_done(struct conf_sources *sources)
{
    for (size_t i = 0; i < sources->n_owned; i++)
        free(sources->owned[i]);
    *sources = (struct conf_sources){.n = 0};
}
