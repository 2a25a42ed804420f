/* SPDX-License-Identifier: Apache-2.0 */
/* See checkpoint_name.h. */
#include "domain/checkpoint_name.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "domain/image_file.h"
#include "driver/libvirt/connection.h"

#define NAME_BYTES_MAX 255 /* of a file */
#define STAMP_WAIT_MS 50
#define STAMP_FORM "00000000T000000Z"

static void cleanup_free_snapshot(virDomainSnapshotPtr *snapshot)
{
    if (*snapshot)
        (void)virDomainSnapshotFree(*snapshot);
}

#define cleanup_snapshot __attribute__((cleanup(cleanup_free_snapshot)))

/* EEXIST when the domain has a checkpoint of the name. */
static int check_name(virDomainPtr domain, const char *name, struct error *err)
{
    cleanup_snapshot virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name, 0);
    if (snapshot)
        return error_set(err, EEXIST, EXC_INTERNAL_ERROR, "the domain has a checkpoint %s already",
                         name);
    return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_SNAPSHOT
               ? 0
               : libvirt_error(err, "cannot look for checkpoint %s", name);
}

static void write_stamp(char ret_stamp[static CHECKPOINT_STAMP_SIZE])
{
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        (void)strftime(ret_stamp, CHECKPOINT_STAMP_SIZE, "%Y%m%dT%H%M%SZ", &utc);
}

int checkpoint_name_stamp(virDomainPtr domain, const char *prefix,
                          char ret_stamp[static CHECKPOINT_STAMP_SIZE], struct error *err)
{
    char name[CHECKPOINT_NAME_SIZE];
    struct error failure = ERROR_INIT;
    int r = -EEXIST;
    for (int waits = 0; r == -EEXIST && waits < 2 * 1000 / STAMP_WAIT_MS; waits++) {
        if (waits > 0)
            (void)poll(NULL, 0, STAMP_WAIT_MS);
        write_stamp(ret_stamp);
        (void)snprintf(name, sizeof(name), "%s%s", prefix, ret_stamp);
        failure = (struct error)ERROR_INIT;
        r = check_name(domain, name, &failure);
    }
    if (r < 0)
        *err = failure;
    return r;
}

static int choose_name(virDomainPtr domain, const char *wanted, struct checkpoint_plan *plan,
                       struct error *err)
{
    if (!wanted)
        return checkpoint_name_stamp(domain, "", plan->name, err);
    (void)snprintf(plan->name, sizeof(plan->name), "%s", wanted);
    return check_name(domain, plan->name, err);
}

int checkpoint_name_current(virDomainPtr domain, char ret_name[static CHECKPOINT_NAME_SIZE],
                            struct error *err)
{
    cleanup_snapshot virDomainSnapshotPtr current = virDomainSnapshotCurrent(domain, 0);
    const char *name = current ? virDomainSnapshotGetName(current) : "";
    if (!name || (!current && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_SNAPSHOT))
        return libvirt_error(err, "cannot read which checkpoint is the current one");
    (void)snprintf(ret_name, CHECKPOINT_NAME_SIZE, "%s", name);
    return 0;
}

/* Of "web.img.one-20261130T063535Z", as the layers of `domain revert` are called: what is before
 * the time. */
static size_t length_without_time(const char *base, size_t length)
{
    static const char form[] = "-" STAMP_FORM;
    size_t size = sizeof(form) - 1;
    if (length <= size)
        return length;
    const char *time = base + length - size;
    for (size_t i = 0; i < size; i++)
        if (form[i] == '0' ? time[i] < '0' || time[i] > '9' : time[i] != form[i])
            return length;
    return length - size;
}

/* The file whose layer this is, as long as it is called after the earlier checkpoint. */
static size_t length_of_disk(const char *base, size_t length, const char *earlier)
{
    size_t tail = strlen(earlier);
    bool is_of_it = tail > 0 && length > tail + 1 && base[length - tail - 1] == '.' &&
                    base[length - tail - 2] != '/' &&
                    strncmp(base + length - tail, earlier, tail) == 0;
    return is_of_it ? length - tail - 1 : length;
}

bool checkpoint_name_overlay(const char *base, const char *earlier, const char *name,
                             char ret_path[static DRIVER_PATH_MAX])
{
    size_t all = strlen(base), length = length_of_disk(base, all, earlier);
    size_t without_time = length_without_time(base, all);
    if (length == all && length_of_disk(base, without_time, earlier) < without_time)
        length = length_of_disk(base, without_time, earlier);
    int n = snprintf(ret_path, DRIVER_PATH_MAX, "%.*s.%s", (int)length, base, name);
    const char *slash = strrchr(ret_path, '/');
    return n > 0 && n < DRIVER_PATH_MAX && slash && strlen(slash + 1) <= NAME_BYTES_MAX;
}

/* A name nobody has, absolute. */
static int take_path(const char *path, char ret_path[static DRIVER_PATH_MAX], struct error *err)
{
    struct image_file file;
    int r = image_file_name_whole(path, &file, err);
    if (r < 0)
        return r;
    int n = snprintf(ret_path, DRIVER_PATH_MAX, "%s", file.path);
    return n < DRIVER_PATH_MAX
               ? 0
               : error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s is too long", path);
}

/* `domain revert` adds the time to the name; so it does to that of what is left behind by then,
 * when that is gone back to. */
static bool has_way_back(const struct checkpoint_disk *disk, const char *earlier, const char *name)
{
    char path[DRIVER_PATH_MAX], layer[CHECKPOINT_NAME_SIZE + CHECKPOINT_STAMP_SIZE];
    (void)snprintf(layer, sizeof(layer), "%s-" STAMP_FORM, name);
    return checkpoint_name_overlay(disk->base, earlier, layer, path) &&
           checkpoint_name_overlay(disk->overlay, name, CHECKPOINT_LEFT STAMP_FORM "-" STAMP_FORM,
                                   path);
}

int checkpoint_name_check_way_back(virDomainPtr domain, const struct checkpoint_plan *plan,
                                   struct error *err)
{
    char earlier[CHECKPOINT_NAME_SIZE];
    int r = plan->is_internal ? 0 : checkpoint_name_current(domain, earlier, err);
    for (size_t i = 0; r == 0 && !plan->is_internal && i < plan->disk_count; i++)
        if (!has_way_back(&plan->disks[i], earlier, plan->name))
            r = error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR,
                          "%s and %s: the time, which a way back adds to their names, finds no "
                          "room there; --force makes it all the same",
                          plan->disks[i].base, plan->disks[i].overlay);
    return r;
}

static int name_overlay(const struct checkpoint_request *request, const char *earlier,
                        const struct checkpoint_plan *plan, struct checkpoint_disk *disk,
                        struct error *err)
{
    char path[DRIVER_PATH_MAX];
    struct stat st;
    const char *given = checkpoint_request_file(request, disk->target);
    if (given)
        return take_path(given, disk->overlay, err);
    if (stat(disk->base, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "disk %s is no file that another could be put beside: say where the guest "
                         "is to write from then on, --disk %s=FILE",
                         disk->target, disk->target);
    if (!checkpoint_name_overlay(disk->base, earlier, plan->name, path))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s.%s is too long", disk->base,
                         plan->name);
    return take_path(path, disk->overlay, err);
}

static int name_memory(const struct checkpoint_request *request, struct checkpoint_plan *plan,
                       struct error *err)
{
    char path[DRIVER_PATH_MAX];
    if (request->memory_file)
        return take_path(request->memory_file, plan->memory_file, err);
    int n = snprintf(path, sizeof(path), "%s.memory", plan->disks[0].overlay);
    if (n < 0 || (size_t)n >= sizeof(path))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s is too long",
                         plan->disks[0].overlay);
    return take_path(path, plan->memory_file, err);
}

/* libvirt has qemu-img make "a,,b", and then takes "a,b" for what the domain is to write to. */
static bool is_misnamed_at_rest(const struct checkpoint_plan *plan, const char *overlay)
{
    return !plan->runs && strchr(overlay, ',');
}

/* Each --disk is one that takes part, and no file is meant for two. */
static int check_files(const struct checkpoint_request *request, const struct checkpoint_plan *plan,
                       struct error *err)
{
    size_t used = 0;
    for (size_t i = 0; i < plan->disk_count; i++) {
        const char *overlay = plan->disks[i].overlay;
        used += checkpoint_request_file(request, plan->disks[i].target) != NULL;
        bool is_taken = strcmp(overlay, plan->memory_file) == 0;
        for (size_t j = 0; j < i; j++)
            is_taken |= strcmp(overlay, plan->disks[j].overlay) == 0;
        if (is_misnamed_at_rest(plan, overlay))
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                             "%s has a comma: libvirt makes such a file while the guest runs, and "
                             "another one for a stopped domain; start it, or say --disk %s=FILE",
                             overlay, plan->disks[i].target);
        if (is_taken)
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s would be two files at once",
                             overlay);
    }
    return used == request->disk_count
               ? 0
               : error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                           "a --disk is none that takes part: see `virsh domblklist`");
}

int checkpoint_name_all(virDomainPtr domain, const struct checkpoint_request *request,
                        struct checkpoint_plan *plan, struct error *err)
{
    char earlier[CHECKPOINT_NAME_SIZE];
    int r = choose_name(domain, request->name, plan, err);
    if (r < 0 || plan->is_internal)
        return r;
    r = checkpoint_name_current(domain, earlier, err);
    for (size_t i = 0; r == 0 && i < plan->disk_count; i++)
        r = name_overlay(request, earlier, plan, &plan->disks[i], err);
    if (r == 0 && plan->has_memory)
        r = name_memory(request, plan, err);
    return r < 0 ? r : check_files(request, plan, err);
}
