/* SPDX-License-Identifier: Apache-2.0 */
/* See clean_host.h. */
#include "agent/clean_host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/clean_files.h"
#include "agent/clean_folder.h"
#include "agent/instance_queue.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/retry.h"
#include "conf/conf.h"

#define CLOSED_MS 5000 /* QEMU closes a file a moment after its job has gone */

struct host {
    struct clean_look *look;
    struct clean_files files;
    const char *path; /* snapshots_directory */
    int fd;           /* the same */
};

static int open_host(struct host *host, struct error *err)
{
    const struct agent *agent = host->look->agent;
    host->path = agent->conf->libvirt.snapshots_directory;
    host->fd = open(host->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (host->fd < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s", host->path);
    return clean_files_read(agent->driver, host->path, &host->files, err);
}

static void close_host(struct host *host)
{
    cleanup_close_fd(&host->fd);
    clean_files_done(&host->files);
}

/* Any program of Python's names its folders as nova-compute does. */
static int check_private(const struct host *host, struct error *err)
{
    struct stat st;
    if (fstat(host->fd, &st) < 0)
        return error_errno(err, errno, "%s", host->path);
    return st.st_mode & S_IWOTH ? error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                                            "everybody may make folders in snapshots_directory")
                                : 0;
}

/* Who made a folder of this name then is at nothing any more; *why tells how that is known. */
static int check_maker(const struct host *host, const char *name, time_t made, char *why,
                       size_t size, struct error *err)
{
    const struct clean_process *other = &host->look->other_agent;
    bool is_own = false;
    char nova[128];
    (void)clean_folder_is_named(name, &is_own);
    if (!is_own) {
        clean_look_tell_nova(host->look, nova, sizeof(nova));
        (void)snprintf(why, size, "nova-compute made it; %s", nova);
        int r = check_private(host, err);
        return r < 0 ? r : clean_look_check_nova(host->look, made, 0, err);
    }
    (void)snprintf(why, size, "an agent that has ended made it; the journal does not know it");
    if (made >= host->look->agent_since)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "it was made since this agent began");
    if (other->state == CLEAN_PROCESS_RUNS && made >= other->since)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "another agent, which runs since %s, may have made it",
                         clean_look_time(other->since).text);
    return clean_look_check_journal(host->look, name, err);
}

static int judge_job(const struct host *host, const struct clean_file *file,
                     struct clean_item *item, char *why, size_t size, struct error *err)
{
    struct clean_folder folder;
    int r = clean_folder_check_local(host->fd, err);
    if (r == 0)
        r = clean_folder_read(host->fd, file->folder, &folder, err);
    if (r == 0)
        r = check_maker(host, file->folder, folder.made, why, size, err);
    return r < 0 ? r : clean_look_check_journal(host->look, item->instance, err);
}

static void find_job(struct host *host, const struct clean_file *file)
{
    struct error err = ERROR_INIT;
    char why[512];
    bool is_own;
    if (file->use == DRIVER_FILE_DISK || !clean_folder_is_named(file->folder, &is_own))
        return;
    struct clean_item *item = clean_list_add(&host->look->list, CLEAN_JOB, file->path);
    if (!item)
        return;
    item->use = file->use;
    (void)snprintf(item->instance, sizeof(item->instance), "%s", file->uuid);
    (void)snprintf(item->disk_target, sizeof(item->disk_target), "%s", file->disk_target);
    if (judge_job(host, file, item, why, sizeof(why), &err) < 0)
        clean_list_judge(item, CLEAN_LEFT, "%s", err.message);
    else
        clean_list_judge(item, CLEAN_NOBODYS, "its folder is nobody's: %s", why);
}

/* What is to be done to a job that writes to this file. */
static enum clean_verdict verdict_of_job(const struct host *host, const struct clean_file *file)
{
    const struct clean_list *list = &host->look->list;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == CLEAN_JOB && strcmp(list->items[i].what, file->path) == 0)
            return list->items[i].verdict;
    return CLEAN_LEFT;
}

/* No guest has a file of it, but for jobs that go. */
static int check_guests(const struct host *host, const char *name, struct error *err)
{
    for (size_t i = 0; i < host->files.count; i++) {
        const struct clean_file *file = &host->files.files[i];
        if (strcmp(file->folder, name) != 0)
            continue;
        if (file->use == DRIVER_FILE_DISK)
            return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "disk %s of instance %s is %s",
                             file->disk_target, file->uuid, file->name);
        if (verdict_of_job(host, file) != CLEAN_NOBODYS)
            return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                             "a block job of instance %s writes to it", file->uuid);
    }
    return 0;
}

struct left_out {
    const struct host *host;
    const char *folder;
};

/* QEMU has it open until its job has ended. */
static bool is_of_job(void *arg, const char *name)
{
    const struct left_out *left_out = arg;
    const struct clean_files *files = &left_out->host->files;
    for (size_t i = 0; i < files->count; i++)
        if (files->files[i].use != DRIVER_FILE_DISK &&
            strcmp(files->files[i].folder, left_out->folder) == 0 &&
            strcmp(files->files[i].name, name) == 0)
            return true;
    return false;
}

static int judge_folder(const struct host *host, struct clean_item *item, char *why, size_t size,
                        struct error *err)
{
    const char *name = strrchr(item->what, '/') + 1;
    struct left_out left_out = {host, name};
    struct clean_folder folder;
    int r = clean_folder_read(host->fd, name, &folder, err);
    if (r < 0)
        return r;
    item->bytes = folder.bytes;
    r = clean_folder_check_local(host->fd, err);
    if (r == 0)
        r = check_maker(host, name, folder.made, why, size, err);
    if (r == 0)
        r = check_guests(host, name, err);
    return r < 0 ? r : clean_folder_check_closed(host->fd, name, is_of_job, &left_out, err);
}

static void find_folder(struct host *host, const char *name)
{
    char path[DRIVER_PATH_MAX], why[512];
    struct error err = ERROR_INIT;
    (void)snprintf(path, sizeof(path), "%s/%s", host->path, name);
    struct clean_item *item = clean_list_add(&host->look->list, CLEAN_FOLDER, path);
    if (!item)
        return;
    if (judge_folder(host, item, why, sizeof(why), &err) < 0)
        clean_list_judge(item, CLEAN_LEFT, "%s", err.message);
    else
        clean_list_judge(item, CLEAN_NOBODYS, "%s, and no process has a file of it open", why);
}

static int find_folders(struct host *host, struct error *err)
{
    int fd = openat(host->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    bool is_own;
    if (!folder) {
        int saved_errno = errno;
        cleanup_close_fd(&fd);
        return error_errno(err, saved_errno, "%s", host->path);
    }
    for (const struct dirent *entry; (entry = readdir(folder));)
        if (clean_folder_is_named(entry->d_name, &is_own))
            find_folder(host, entry->d_name);
    (void)closedir(folder);
    return 0;
}

void clean_host_find(struct clean_look *look)
{
    struct host host = {.look = look, .fd = -1};
    struct error err = ERROR_INIT;
    int r = open_host(&host, &err);
    for (size_t i = 0; r == 0 && i < host.files.count; i++)
        find_job(&host, &host.files.files[i]);
    if (r == 0 && host.fd >= 0)
        r = find_folders(&host, &err);
    if (r < 0)
        clean_list_trouble(&look->list, "folders and block jobs cannot be looked at", &err);
    close_host(&host);
}

/* Nobody else of this agent's is in the guest meanwhile. */
static int end_job(const struct agent *agent, const struct clean_item *item, struct error *err)
{
    const struct driver_file file = {item->use, item->instance, item->disk_target, item->what};
    struct instance_turn *turn = NULL;
    int r = instance_queue_join(agent->instance_queue, item->instance, &turn, err);
    if (r == 0)
        r = instance_turn_await(turn, clock_now_ms(), err);
    if (r == -ETIMEDOUT)
        (void)error_set(err, EBUSY, EXC_INTERNAL_ERROR, "a request on the server is under way");
    if (r == 0)
        r = agent->driver->ops->end_job(agent->driver, &file, err);
    instance_turn_free(turn);
    return r;
}

/* All is looked at once more, for time has passed. */
static int remove_folder(const struct host *host, struct clean_item *item, struct error *err)
{
    static const struct retry_policy policy = {10, 100, 1000, CLOSED_MS};
    struct retry retry = retry_begin(&policy);
    char why[512];
    int r;
    while ((r = judge_folder(host, item, why, sizeof(why), err)) == -EBUSY && retry_wait(&retry, 0))
        *err = (struct error)ERROR_INIT;
    return r < 0 ? r : clean_folder_remove(host->fd, strrchr(item->what, '/') + 1, err);
}

static void remove_item(const struct host *host, struct clean_item *item)
{
    struct error err = ERROR_INIT;
    int r = item->kind == CLEAN_JOB ? end_job(host->look->agent, item, &err)
                                    : remove_folder(host, item, &err);
    clean_list_conclude(item, r, &err);
}

static void remove_kind(const struct host *host, enum clean_kind kind)
{
    struct clean_list *list = &host->look->list;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == kind && list->items[i].verdict == CLEAN_NOBODYS)
            remove_item(host, &list->items[i]);
}

void clean_host_remove(struct clean_look *look)
{
    struct host host = {.look = look, .fd = -1};
    struct error err = ERROR_INIT;
    remove_kind(&host, CLEAN_JOB);
    if (open_host(&host, &err) < 0)
        clean_list_trouble(&look->list, "folders cannot be removed", &err);
    else if (host.fd >= 0)
        remove_kind(&host, CLEAN_FOLDER);
    close_host(&host);
}
