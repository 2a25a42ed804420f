/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files below snapshots_directory that guests have or their block jobs write to. Confined to
 * one thread.
 */
#pragma once

#include "driver/driver.h"

struct clean_file {
    enum driver_file_use use;
    char uuid[DRIVER_UUID_MAX];
    char disk_target[DRIVER_FORMAT_MAX];
    char *path;       /* owned; as the guest's definition has it */
    char *folder;     /* owned; the name of its folder in snapshots_directory */
    const char *name; /* its own, in `path` */
};

struct clean_files {
    struct clean_file *files; /* owned */
    size_t count;
};

/* Asks the driver. Fill of *ret_files is owned: clean_files_done(). */
int clean_files_read(struct driver *driver, const char *snapshots_directory,
                     struct clean_files *ret_files, struct error *err);

void clean_files_done(struct clean_files *files);
