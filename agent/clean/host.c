/* SPDX-License-Identifier: Apache-2.0 */
/* See host.h. */
#include "agent/clean/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/clean/folder.h"
#include "agent/clean/judge.h"
#include "agent/instance_queue.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/folder.h"
#include "common/retry.h"

#define CLOSED_MS 5000

static void find_job(struct clean_host *host, const struct clean_file *file)
{
    struct error err = ERROR_INIT;
    char folder[NAME_MAX + 1];
    const char *why = "";
    clean_files_folder(file, folder);
    if (file->use == DRIVER_FILE_DISK || folder[0] == '\0')
        return;
    struct clean_item *item = clean_list_add(&host->look->list, CLEAN_JOB, file->path);
    if (!item)
        return;
    item->use = file->use;
    (void)snprintf(item->folder, sizeof(item->folder), "%s", folder);
    (void)snprintf(item->instance, sizeof(item->instance), "%s", file->uuid);
    (void)snprintf(item->disk_target, sizeof(item->disk_target), "%s", file->disk_target);
    if (clean_judge_job(host, item, &why, &err) < 0)
        clean_list_judge(item, CLEAN_LEFT, "%s", err.message);
    else
        clean_list_judge(item, CLEAN_NOBODYS,
                         "its folder is nobody's: %s; look at the guest afterwards: it may be "
                         "frozen (virsh domfsthaw) or lack its definition (reboot --hard)",
                         why);
}

static void find_folder(struct clean_host *host, const char *name)
{
    char path[DRIVER_PATH_MAX];
    struct error err = ERROR_INIT;
    const char *why = "";
    (void)snprintf(path, sizeof(path), "%s/%s", host->path, name);
    struct clean_item *item = clean_list_add(&host->look->list, CLEAN_FOLDER, path);
    if (!item)
        return;
    (void)snprintf(item->folder, sizeof(item->folder), "%s", name);
    if (clean_judge_folder(host, item, &why, &err) < 0)
        clean_list_judge(item, CLEAN_LEFT, "%s", err.message);
    else
        clean_list_judge(item, CLEAN_NOBODYS,
                         "%s, no guest names a file of it, and no process has "
                         "one open",
                         why);
}

static int find_folders(struct clean_host *host, struct error *err)
{
    int fd = openat(host->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    bool is_own;
    if (!folder) {
        int saved_errno = errno;
        cleanup_close_fd(&fd);
        return error_errno(err, saved_errno, "%s", host->path);
    }
    const struct dirent *entry = NULL;
    int r = 0, next = 0;
    while (r == 0 && (next = folder_next(folder, &entry)) == 0 && entry) {
        r = cancel_check(err);
        if (r == 0 && clean_folder_is_named(entry->d_name, &is_own))
            find_folder(host, entry->d_name);
    }
    (void)closedir(folder);
    return next < 0 ? error_errno(err, -next, "%s cannot be read", host->path) : r;
}

void clean_host_find(struct clean_look *look)
{
    struct clean_host host;
    struct error err = ERROR_INIT;
    int r = clean_judge_open(look, &host, &err);
    for (size_t i = 0; r == 0 && i < host.files.count; i++) {
        r = cancel_check(&err);
        if (r == 0)
            find_job(&host, &host.files.files[i]);
    }
    if (r == 0 && host.fd >= 0)
        r = find_folders(&host, &err);
    if (r < 0)
        clean_list_trouble(&look->list, "folders and block jobs cannot be looked at", &err);
    clean_judge_close(&host);
}

/* Nobody else of this agent's is in the guest meanwhile; time has passed since it was found. */
static int end_job(const struct clean_host *host, struct clean_item *item, struct error *err)
{
    const struct agent *agent = host->look->agent;
    const struct driver_file file = {item->use, item->instance, item->disk_target, item->what};
    struct instance_turn *turn = NULL;
    const char *why;
    int r = clean_look_take_turn(host->look, item->instance, &turn, err);
    if (r == 0)
        r = clean_judge_job(host, item, &why, err);
    if (r == 0)
        r = agent->driver->ops->end_job(agent->driver, &file, err);
    instance_turn_free(turn);
    return r;
}

/* QEMU closes the file of a job that has ended a moment later. */
static int remove_folder(const struct clean_host *host, struct clean_item *item, struct error *err)
{
    static const struct retry_policy policy = {10, 100, 1000, CLOSED_MS};
    struct retry retry = retry_begin(&policy);
    const char *why;
    int r;
    while ((r = clean_judge_folder(host, item, &why, err)) == -EBUSY && retry_wait(&retry, 0))
        *err = (struct error)ERROR_INIT;
    return r < 0 ? r : clean_folder_remove(host->fd, item->folder, err);
}

/* All is looked at once more, for time has passed. */
static int remove_item(struct clean_look *look, struct clean_item *item, struct error *err)
{
    struct clean_host host;
    int r = clean_judge_open(look, &host, err);
    if (r == 0)
        r = (item->kind == CLEAN_JOB ? end_job : remove_folder)(&host, item, err);
    clean_judge_close(&host);
    return r;
}

static void remove_kind(struct clean_look *look, enum clean_kind kind)
{
    struct clean_list *list = &look->list;
    for (size_t i = 0; i < list->count; i++) {
        struct error err = ERROR_INIT;
        struct clean_item *item = &list->items[i];
        if (item->kind != kind || item->verdict != CLEAN_NOBODYS)
            continue;
        int r = cancel_check(&err);
        if (r == 0)
            r = remove_item(look, item, &err);
        clean_list_conclude(item, r, &err);
    }
}

void clean_host_remove(struct clean_look *look)
{
    remove_kind(look, CLEAN_JOB);
    remove_kind(look, CLEAN_FOLDER);
}
