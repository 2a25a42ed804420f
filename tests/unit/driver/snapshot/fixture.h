/* SPDX-License-Identifier: Apache-2.0 */
/* One snapshot of the guest of scripted_libvirt.h: what is asked, and what comes of it. */
#pragma once

#include <dirent.h>

#include "tests/unit/driver/scripted_libvirt.h"

static struct libvirt_driver driver = {.stall_timeout_s = 1, .freeze_timeout_s = 5};
static struct guest_info info;
static struct snapshot_plan plan;
static struct snapshot_result result;
static struct error err;

/* What was told, as of how many calls before it. */
static struct {
    unsigned n_instants;
    int instant_place;
    unsigned n_copied;
    uint64_t copied_bytes, total_bytes;
} told;

static inline void hear_instant(void *arg)
{
    (void)arg;
    told.n_instants++;
    told.instant_place = world.call_count;
}

static inline void hear_copied(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    (void)arg;
    told.n_copied++;
    told.copied_bytes = done_bytes;
    told.total_bytes = total_bytes;
}

/* For plan.observer; what was told before is forgotten. */
static inline const struct driver_observer *listen_to_it(void)
{
    static const struct driver_observer observer = {.instant = hear_instant, .copied = hear_copied};
    memset(&told, 0, sizeof(told));
    return &observer;
}

/* `info` becomes that of a running guest with its disk in a file, which is made. */
static inline void fill_info(void)
{
    info = (struct guest_info){.uuid = UUID,
                               .power_state = POWER_STATE_RUNNING,
                               .persistent = true,
                               .disk_target = "vda",
                               .disk_format = "qcow2",
                               .virtual_size_bytes = 1 << 20};
    (void)snprintf(info.disk_path, sizeof(info.disk_path), "%s", temp_path("disk"));
    FILE *disk = fopen(info.disk_path, "we");
    assert_non_null(disk);
    fclose(disk);
}

static inline size_t files_left(void)
{
    DIR *dir = opendir(driver.snapshots_directory);
    if (!dir)
        return 0;
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) /* NOLINT(concurrency-mt-unsafe) */
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* There is no image, nor any file of one, and the error says this. */
static inline void assert_error(const char *exc, const char *text)
{
    assert_string_equal(err.exc, exc);
    if (!strstr(err.message, text))
        fail_msg("\"%s\" does not say \"%s\"", err.message, text);
    assert_null(result.image);
    assert_int_equal(files_left(), 0);
}

/* Takes a snapshot whose work is cancelled while its call number `index` is under way. */
static inline int take_cancelled_at(int index, int (*take)(void))
{
    struct canceller canceller;
    canceller_enter(&canceller);
    world.canceller = &canceller;
    world.cancel_index = index;
    int r = take();
    canceller_leave(&canceller);
    world.canceller = NULL;
    return r;
}

/* For a group of tests. The directory has a short name: the path of a socket goes into it. */
static inline int fixture_start(void **state)
{
    if (virInitialize() < 0 || temp_folder_make(state) ||
        domain_watches_new(&world.watches, &err) < 0)
        return -1;
    driver.snapshots_directory = strdup(temp_path("s"));
    return driver.snapshots_directory ? 0 : -1;
}

static inline int fixture_finish(void **state)
{
    free(driver.snapshots_directory);
    domain_watches_free(world.watches);
    return temp_folder_remove(state);
}
