/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that guests have or their block jobs write to. Confined to one thread.
 */
#pragma once

#include <limits.h>

#include "driver/driver.h"

struct clean_file {
    enum driver_file_use use;
    char uuid[DRIVER_UUID_MAX];
    char disk_target[DRIVER_FORMAT_MAX];
    char *path;       /* owned; as the guest's definition has it */
    char *real;       /* owned; what that leads to here; NULL: nowhere, which tells nothing */
    const char *name; /* its own, in `path` */
};

struct clean_files {
    struct clean_file *files; /* owned */
    size_t count;
};

/* Asks the driver. Fill of *ret_files is owned: clean_files_done(). */
int clean_files_read(struct driver *driver, struct clean_files *ret_files, struct error *err);

/*
 * Whether the file is somewhere in a folder of this name, by its path or by what that leads to. A
 * snapshot's folder has a name that no other has, so it is that one wherever the path begins: in
 * another mount namespace, below a former name of instances_path.
 */
bool clean_files_is_in(const struct clean_file *file, const char *folder);

/* The name of the snapshot's folder it is in, the last that may be one; "" when it is in none. */
void clean_files_folder(const struct clean_file *file, char ret_folder[static NAME_MAX + 1]);

void clean_files_done(struct clean_files *files);
