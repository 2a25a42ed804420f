/* SPDX-License-Identifier: Apache-2.0 */
/* See recover.h. */
#include "driver/snapshot/recover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/snapshot/staged_image.h"

/* What was made, by its names; without them nobody can tell a job or a file of ours. */
static int recover_staging(struct recovery *recovery, struct error *err)
{
    char directory[DRIVER_PATH_MAX], file[64];
    const struct driver_entry_member members[] = {
        {"directory", directory, sizeof(directory)},
        {"file", file, sizeof(file)},
        {"disk_target", recovery->info->disk_target, sizeof(recovery->info->disk_target)},
    };
    int r = driver_entry_copy(recovery->entries.begin, members, ARRAY_SIZE(members), err);
    return r < 0 ? r : staging_named(directory, file, &recovery->staging, err);
}

/* One that is whole takes the staging with it. What a host that went down has left may not be. */
static int recover_image(struct recovery *recovery, struct error *err)
{
    const json_t *entry = recovery->entries.image;
    if (!entry || recovery->wanted->host_rebooted)
        return 0;
    qemu_user_take_back(staging_delta_path(recovery->staging));
    int r = staged_image_check(recovery->staging, entry, err);
    if (r < 0)
        return r;
    r = staged_image_find(recovery->staging, entry, recovery->driver, &recovery->image, err);
    if (r < 0)
        return r;
    log_debug("the image that was written down %s",
              recovery->image ? "is whole: it is kept" : "has changed: it is removed");
    if (recovery->image)
        recovery->staging = NULL;
    return 0;
}

/* An image in a folder that is none of ours any more is none. */
static int recover_files(struct recovery *recovery, struct error *err)
{
    if (staging_claim(recovery->staging, recovery->driver->snapshots_directory))
        return recover_image(recovery, err);
    log_warning("not removing %s: it is not in snapshots_directory %s",
                staging_directory(recovery->staging), recovery->driver->snapshots_directory);
    return 0;
}

static int recover_guest(struct recovery *recovery, const char *method, struct error *err)
{
    bool is_live = strcmp(method, "live") == 0;
    int r = (is_live ? libvirt_live_recover : libvirt_cold_recover)(recovery, err);
    if (r < 0)
        return r;
    log_debug("the guest is back as it was before the %s snapshot", method);
    failpoint("recover:guest-is-back");
    return 0;
}

/*
 * The files stay until the guest is back: QEMU may be writing to them. What cannot be understood is
 * told when all else has been done.
 */
static int recover_extract(struct recovery *recovery, const char *method, struct error *err)
{
    struct error unreadable = ERROR_INIT, failure = ERROR_INIT;
    (void)recover_staging(recovery, &unreadable);
    int r = recover_guest(recovery, method, &failure);
    if (r == -EINVAL) {
        error_join(&unreadable, &failure);
        failure = (struct error)ERROR_INIT;
    }
    if (r == 0 || r == -EINVAL)
        r = recovery->staging ? recover_files(recovery, &failure) : 0;
    else
        staging_leave(TAKE_PTR(recovery->staging));
    staging_free(TAKE_PTR(recovery->staging));
    if (r == 0 && unreadable.errnum == 0)
        return 0;
    image_source_close(TAKE_PTR(recovery->image));
    *err = r < 0 ? failure : unreadable;
    return -err->errnum;
}

static int recover_method(struct recovery *recovery, struct error *err)
{
    char method[16], uuid[DRIVER_UUID_MAX];
    const struct driver_entry_member members[] = {
        {"method", method, sizeof(method)},
        {"uuid", uuid, sizeof(uuid)},
    };
    int r = driver_entry_copy(recovery->entries.begin, members, ARRAY_SIZE(members), err);
    if (r < 0)
        return r;
    if (strcmp(uuid, recovery->info->uuid) != 0)
        return driver_entry_bad(err, "is about another instance");
    if (strcmp(method, "direct") == 0)
        return libvirt_direct_recover(recovery, err);
    if (strcmp(method, "live") != 0 && strcmp(method, "cold") != 0)
        return driver_entry_bad(err, "names a method that there is not");
    return recover_extract(recovery, method, err);
}

int libvirt_recover(struct libvirt_driver *driver, const struct driver_recovery *wanted,
                    struct image_source **ret_image, struct error *err)
{
    struct guest_info info = {0};
    struct recovery recovery = {.driver = driver, .wanted = wanted, .info = &info};
    (void)snprintf(info.uuid, sizeof(info.uuid), "%s", wanted->uuid);
    CANCEL_SHIELD();
    int r = driver_entries_read(wanted->entries, &recovery.entries, err);
    if (r < 0)
        return r;
    log_debug("recovering: %s%s%s",
              recovery.entries.begin ? "a snapshot was begun" : "nothing to do",
              recovery.entries.frozen ? ", the guest may be frozen" : "",
              recovery.entries.image ? ", an image was finished" : "");
    if (recovery.entries.begin)
        r = recover_method(&recovery, err);
    if (r < 0)
        return r;
    *ret_image = recovery.image;
    return 0;
}
