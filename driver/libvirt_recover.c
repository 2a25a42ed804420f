/* See libvirt_recover.h. */
#include "driver/libvirt_recover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/trap.h"
#include "driver/staged_image.h"

struct recovery {
    struct libvirt_driver *driver;
    struct driver_entries entries;
    bool host_rebooted;
    struct guest_info *info;
    struct staging *staging; /* what extract was to make */
    struct image_source *image;
};

/* One that is whole takes the staging with it. What a host that went down has left may not be. */
static int find_image(struct recovery *recovery, struct error *err)
{
    if (!recovery->entries.image)
        return 0;
    int r = staged_image_find(recovery->staging, recovery->entries.image,
                              recovery->driver->stall_timeout_s, &recovery->image, err);
    if (r == 0 && recovery->image)
        recovery->staging = NULL;
    return r;
}

/* The files stay until the guest is back: QEMU may be writing to them. */
static int recover_extract(struct recovery *recovery, const char *method, struct error *err)
{
    const struct driver_entries *entries = &recovery->entries;
    int r = strcmp(method, "live") == 0
                ? libvirt_live_recover(recovery->driver, recovery->info, entries,
                                       recovery->host_rebooted, recovery->staging, err)
                : libvirt_cold_recover(recovery->driver, recovery->info, entries, err);
    if (r < 0) {
        staging_leave(TAKE_PTR(recovery->staging));
        return r;
    }
    trap("recover:guest-is-back");
    if (!recovery->host_rebooted)
        r = find_image(recovery, err);
    staging_free(TAKE_PTR(recovery->staging));
    return r;
}

static int read_staging(struct recovery *recovery, struct error *err)
{
    const json_t *begin = recovery->entries.begin;
    char directory[DRIVER_PATH_MAX], file[64];
    int r = driver_entry_copy(begin, "directory", true, directory, sizeof(directory), err);
    if (r == 0)
        r = driver_entry_copy(begin, "file", true, file, sizeof(file), err);
    if (r == 0)
        r = driver_entry_copy(begin, "disk_target", true, recovery->info->disk_target,
                              sizeof(recovery->info->disk_target), err);
    if (r == 0)
        r = staging_adopt(recovery->driver->snapshots_directory, directory, file,
                          &recovery->staging, err);
    if (r == 0 && recovery->entries.image)
        r = staged_image_check(recovery->staging, recovery->entries.image, err);
    return r;
}

static int recover_method(struct recovery *recovery, struct error *err)
{
    const struct driver_entries *entries = &recovery->entries;
    char method[16], uuid[DRIVER_UUID_MAX];
    int r = driver_entry_copy(entries->begin, "method", true, method, sizeof(method), err);
    if (r == 0)
        r = driver_entry_copy(entries->begin, "uuid", true, uuid, sizeof(uuid), err);
    if (r < 0)
        return r;
    if (strcmp(uuid, recovery->info->uuid) != 0)
        return driver_entry_bad(err, "is about another instance");
    if (strcmp(method, "direct") == 0)
        return libvirt_direct_recover(recovery->driver, recovery->info, entries,
                                      recovery->host_rebooted, err);
    if (strcmp(method, "live") != 0 && strcmp(method, "cold") != 0)
        return driver_entry_bad(err, "names a method that there is not");
    r = read_staging(recovery, err);
    if (r == 0)
        return recover_extract(recovery, method, err);
    staging_leave(TAKE_PTR(recovery->staging));
    return r;
}

int libvirt_recover(struct libvirt_driver *driver, const char *uuid, const json_t *entries,
                    bool host_rebooted, struct image_source **ret_image, struct error *err)
{
    struct guest_info info = {0};
    struct recovery recovery = {.driver = driver, .host_rebooted = host_rebooted, .info = &info};
    (void)snprintf(info.uuid, sizeof(info.uuid), "%s", uuid);
    CANCEL_SHIELD();
    int r = driver_entries_read(entries, &recovery.entries, err);
    if (r == 0 && recovery.entries.begin)
        r = recover_method(&recovery, err);
    if (r < 0)
        return r;
    *ret_image = recovery.image;
    return 0;
}
