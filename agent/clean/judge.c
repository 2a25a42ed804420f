/* SPDX-License-Identifier: Apache-2.0 */
/* See judge.h. */
#include "agent/clean/judge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/clean/folder.h"
#include "agent/clean/storage.h"
#include "common/cleanup.h"
#include "common/same_file.h"
#include "conf/conf.h"
#include "driver/image/staging.h"

/* Guests first: their jobs are there whether or not there is such a directory here. */
int clean_judge_open(struct clean_look *look, struct clean_host *ret_host, struct error *err)
{
    const struct agent *agent = look->agent;
    *ret_host = (struct clean_host){
        .look = look, .path = agent->conf->libvirt.snapshots_directory, .fd = -1};
    (void)host_key_mark(&agent->key, HOST_KEY_STAGING, ret_host->mark);
    int r = clean_files_read(agent->driver, &ret_host->files, err);
    if (r < 0)
        return r;
    ret_host->fd = open(ret_host->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return ret_host->fd < 0 && errno != ENOENT ? error_errno(err, errno, "%s", ret_host->path) : 0;
}

void clean_judge_close(struct clean_host *host)
{
    cleanup_close_fd(&host->fd);
    clean_files_done(&host->files);
}

/* Any program of Python's names its folders as nova-compute does, whose the directory is. */
static int check_private(const struct clean_host *host, uid_t user, struct error *err)
{
    struct stat st;
    if (fstat(host->fd, &st) < 0)
        return error_errno(err, errno, "%s", host->path);
    if (st.st_mode & S_IWOTH)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "everybody may make folders in snapshots_directory");
    return st.st_uid == user ? 0
                             : error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                                         "it is another user's than snapshots_directory");
}

static int check_nova_made(const struct clean_host *host, const struct clean_folder *folder,
                           struct error *err)
{
    const struct conf *conf = host->look->agent->conf;
    int r = check_private(host, folder->user, err);
    if (r == 0)
        r = clean_storage_check_users(host->fd, conf->DEFAULT.instances_path, conf->DEFAULT.host,
                                      err);
    return r < 0 ? r : clean_look_check_nova(host->look, folder->made, err);
}

static int check_own(const struct clean_host *host, const char *name, time_t made,
                     struct error *err)
{
    if (!staging_has_mark(name, host->mark))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "an agent with another state_dir, of another host or of an older version "
                         "has made it");
    if (made >= host->look->begun.files)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "it was made since this agent began");
    return clean_look_check_journal(host->look, name, err);
}

/* Who made the folder is at nothing any more; *ret_why tells how that is known. */
static int check_maker(const struct clean_host *host, const char *name,
                       const struct clean_folder *folder, const char **ret_why, struct error *err)
{
    bool is_own = false;
    (void)clean_folder_is_named(name, &is_own);
    *ret_why = is_own ? "this agent made it, and its journal does not know it any more"
                      : "nova-compute made it, and has begun anew since";
    return is_own ? check_own(host, name, folder->made, err) : check_nova_made(host, folder, err);
}

struct left_out {
    const struct clean_host *host;
    const char *folder;
};

/* QEMU has it open until its job has ended. */
static bool is_of_job(void *arg, const char *name)
{
    const struct left_out *left_out = arg;
    const struct clean_files *files = &left_out->host->files;
    for (size_t i = 0; i < files->count; i++)
        if (files->files[i].use != DRIVER_FILE_DISK &&
            clean_files_is_in(&files->files[i], left_out->folder) &&
            strcmp(files->files[i].name, name) == 0)
            return true;
    return false;
}

/* The file that is written to is one of this folder, as it is called here. */
static int check_place(const struct clean_host *host, const char *folder, const char *path,
                       struct error *err)
{
    char here[DRIVER_PATH_MAX];
    (void)snprintf(here, sizeof(here), "%s/%s", host->path, folder);
    return same_file_in_folder(path, here)
               ? 0
               : error_set(err, EBUSY, EXC_INTERNAL_ERROR, "its file is not in %s here", here);
}

/* Nobody but jobs is at the folder. *ret_bytes is told also on failure, where it can be. */
static int judge_content(const struct clean_host *host, const char *name, uint64_t *ret_bytes,
                         const char **ret_why, struct error *err)
{
    struct left_out left_out = {host, name};
    struct clean_folder folder;
    if (host->fd < 0)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "its folder is not in %s", host->path);
    int r = clean_folder_read(host->fd, name, &folder, err);
    if (r < 0)
        return r;
    *ret_bytes = folder.bytes;
    r = clean_storage_check_local(host->fd, err);
    if (r == 0)
        r = check_maker(host, name, &folder, ret_why, err);
    return r < 0 ? r : clean_folder_check_closed(host->fd, name, is_of_job, &left_out, err);
}

int clean_judge_job(const struct clean_host *host, const struct clean_item *item,
                    const char **ret_why, struct error *err)
{
    uint64_t bytes = 0;
    int r = clean_look_check_journal(host->look, item->instance, err);
    if (r == 0)
        r = check_place(host, item->folder, item->what, err);
    return r < 0 ? r : judge_content(host, item->folder, &bytes, ret_why, err);
}

/* What is to be done to a job that writes to this file. */
static enum clean_verdict verdict_of_job(const struct clean_host *host,
                                         const struct clean_file *file)
{
    const struct clean_list *list = &host->look->list;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == CLEAN_JOB && strcmp(list->items[i].what, file->path) == 0 &&
            strcmp(list->items[i].instance, file->uuid) == 0)
            return list->items[i].verdict;
    return CLEAN_LEFT;
}

/* No guest has a file of it, but for jobs that go. */
static int check_guests(const struct clean_host *host, const char *name, struct error *err)
{
    for (size_t i = 0; i < host->files.count; i++) {
        const struct clean_file *file = &host->files.files[i];
        if (!clean_files_is_in(file, name))
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

int clean_judge_folder(const struct clean_host *host, struct clean_item *item, const char **ret_why,
                       struct error *err)
{
    int r = check_guests(host, item->folder, err);
    struct error failure = ERROR_INIT;
    int content = judge_content(host, item->folder, &item->bytes, ret_why, &failure);
    if (r == 0 && content < 0)
        *err = failure;
    return r < 0 ? r : content;
}
